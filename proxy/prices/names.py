"""One model, many spellings: what a caller may write, and what a price list has."""

from __future__ import annotations

import re
from typing import Final

#: Longer names are no models; it bounds what is matched, and kept.
NAME_CHARACTERS_MAX: Final = 256

#: Kinds of provider that take a colon and something after it: an upstream, or features.
_KINDS_WITH_SUFFIX: Final = frozenset({"agipower", "venice"})

# What an answer adds to the name that was asked for: the day of the version, as OpenAI, Anthropic and
# Vertex write it, or as OpenAI and DeepSeek once did (`-0613`), or `latest`.
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_DATED: Final = re.compile(
    rf"-(?:20\d\d-{_MONTH}-{_DAY}|20\d\d{_MONTH}{_DAY}|{_MONTH}{_DAY}|latest)$"
)

_PUBLISHER: Final = re.compile(r"^(?:.*/)?publishers/(?P<owner>[^/]+)/models/(?P<model>.+)$")


def spellings(kind: str, model: str) -> tuple[str, ...]:
    """Return the names to look a model up by, the most exact first.

    AGIPower takes `model:provider`, Venice `model:feature=on`; elsewhere a colon belongs to the
    name (OpenRouter prices `model:free` apart). Dates at the end are part of the name everywhere.
    """
    found = [model, _without_path(kind, model), plain(kind, model)]
    if kind == "venice":
        found.append(found[-1].removeprefix("venice-"))
    return tuple(dict.fromkeys(found))


def plain(kind: str, model: str) -> str:
    """Return a name as it was written, without what only this kind of provider takes beside it."""
    name = _without_path(kind, model)
    return name.partition(":")[0] if kind in _KINDS_WITH_SUFFIX else name


def same_model(asked: str, answered: str) -> bool:
    """Tell whether an answer names the model that was asked for, or only a dated version of it.

    A missing owner says nothing, two owners are two models. What a provider takes after a colon must
    be gone from the name that was asked for (`plain`): elsewhere it belongs to the name.
    """
    asked_owner, asked_name = _owner_and_name(asked)
    owner, name = _owner_and_name(answered)
    if asked_owner and owner and asked_owner != owner:
        return False
    # `latest` was asked for: whichever version answers is the one.
    asked_name = asked_name.removesuffix("-latest")
    return name == asked_name or _DATED.sub("", name) == asked_name


def canonical(name: str) -> str:
    """Return a name in the spelling that dots, underscores and capitals do not change."""
    return name.casefold().replace(".", "-").replace("_", "-")


def bare(name: str) -> str:
    """Return a name without its owner."""
    return name.rpartition("/")[2]


def _without_path(kind: str, model: str) -> str:
    name = model
    if (publisher := _PUBLISHER.match(model)) is not None:
        by_owner = kind in {"agipower", "vercel"}
        name = publisher["model"]
        name = f"{publisher['owner']}/{name}" if by_owner else name
    return name.removeprefix("models/")


def _owner_and_name(model: str) -> tuple[str, str]:
    """Return both in their canonical spelling; Vertex writes a date behind an `@`."""
    owner, _, name = canonical(_without_path("agipower", model)).replace("@", "-").rpartition("/")
    return owner, name
