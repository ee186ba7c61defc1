"""SVG elements as text; everything that goes in is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Number = int | float


def element(name: str, *children: Markup | str, **attributes: str | Number | None) -> Markup:
    """Return one element. `class_` is the attribute `class`; an underscore inside is a hyphen."""
    given = Markup("").join(
        Markup(' {}="{}"').format(_attribute(key), _value(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, inner)


def group(children: Iterable[Markup], **attributes: str | Number | None) -> Markup:
    """Return elements as one."""
    return element("g", *children, **attributes)


def points(pairs: Iterable[tuple[Number, Number]]) -> str:
    """Return a path through points, in order."""
    return "M" + "L".join(f"{_value(x)},{_value(y)}" for x, y in pairs)


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | Number) -> str:
    # A hundredth of a pixel is finer than any screen.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
