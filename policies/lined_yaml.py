"""YAML as plain text values, with the line of each: so that a mistake can name its file and line.

Every value is taken as it is written: `no` is the text "no", `2026-01-01` is a text, `0.10` keeps
its zero. What a field means is decided by its schema, never by YAML's guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from policies.errors import BursarError

#: A place in a document: the names and list positions on the way to it.
Place = tuple[str | int, ...]

# Hand-written files are a few KiB; a thousand budgets are about 100 KiB.
FILE_BYTES_MAX: Final = 1024 * 1024
# The deepest schema, the configuration, has five levels.
DEPTH_MAX: Final = 16

_VARIABLE: Final = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>\$\{[^}]*\}?)"
)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_DEPTH_CHANGE: Final[Mapping[type[yaml.Event], int]] = {
    yaml.MappingStartEvent: 1,
    yaml.SequenceStartEvent: 1,
    yaml.MappingEndEvent: -1,
    yaml.SequenceEndEvent: -1,
}
# What people run into, by a part of the parser's words.
_HINTS: Final = (
    (r"'\t'", "it is indented with a tab: use spaces"),
    ("while scanning an alias", "a text that begins with * needs quotes, such as '*mini*'"),
    ("mapping values are not allowed here", "a text with ': ' in it needs quotes"),
    ("expected ',' or '}'", "a comma or a } is missing, or a text with ${…} or ': ' needs quotes"),
    ("expected ',' or ']'", "a comma or a ] is missing, or a text needs quotes"),
    ("that cannot start any token", "a text that begins with this character needs quotes"),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a file, and what to do about it."""

    file: str
    line: int
    #: Such as `budgets[2].limit`; empty for the file as a whole.
    field: str
    message: str

    def __str__(self) -> str:
        """Return the mistake as one line, in the form that editors know how to jump to."""
        subject = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {subject}{self.message}"


class Mistakes(BursarError):
    """What people wrote cannot be used; every mistake is named at once."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lined:
    """A document's values (dicts, lists and texts), their lines, and what is wrong with it."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[Place, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    #: The places of the mistakes, and all places around those.
    _faulty: set[Place] = field(default_factory=set)

    def line(self, place: Place) -> int:
        """Return the line of a place; of what surrounds it where it is not written."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def add(self, place: Place, message: str, line: int | None = None) -> None:
        """Note a mistake, unless one at this place or inside it is known: this follows from it."""
        if place in self._faulty:
            return
        self._faulty.update(place[:length] for length in range(len(place) + 1))
        self.mistakes.append(
            Mistake(self.file, line or self.line(place), place_text(place), message)
        )

    @property
    def readable(self) -> bool:
        """Whether the file could be read at all."""
        return all(mistake.field for mistake in self.mistakes)

    def where(self, place: Place) -> str:
        """Return file and line of a place, to point at it in a message."""
        return f"{self.file}:{self.line(place)}"


def yaml_files(paths: Sequence[Path]) -> tuple[list[Path], list[Mistake]]:
    """Return the files that the paths name, in order and each once, and what is wrong with paths.

    Hidden files are left out: editors and Kubernetes keep copies of their own in such.
    """
    files: dict[Path, Path] = {}
    mistakes = []
    for path in paths:
        found = [path] if path.is_file() else []
        if path.is_dir():
            found = sorted(
                file
                for file in path.iterdir()
                if file.suffix in (".yaml", ".yml") and file.name[0] != "." and file.is_file()
            )
        if not found:
            said = (
                "holds no *.yaml files: add one" if path.is_dir() else "does not exist: create it"
            )
            mistakes.append(Mistake(str(path), 1, "", said))
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values()), mistakes


def read(path: Path, environ: Mapping[str, str]) -> Lined:
    """Return a file's values, with `${NAME}` and `${NAME:-default}` taken from the environment.

    Nothing is raised: what is wrong is in the result's `mistakes`. An empty file has empty data.
    """
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        return _unreadable(file, 1, f"cannot be read: {error.strerror or error}")
    if len(raw) > FILE_BYTES_MAX:
        return _unreadable(file, 1, "is larger than 1 MiB: split it into several files")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return _unreadable(file, line, "is not UTF-8: save the file in that encoding")
    return parse(text, file, environ)


def parse(text: str, file: str, environ: Mapping[str, str]) -> Lined:
    """Return the values of a text; see `read`."""
    reader = _Reader(file, text, environ)
    try:
        return reader.document()
    except _StopReading as stop:
        return _unreadable(file, stop.line, stop.message)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _unreadable(file, line, "holds a control character, which YAML forbids: remove it")
    except yaml.MarkedYAMLError as error:
        return _unreadable(file, *_syntax(error))


def place_text(place: Place) -> str:
    """Return a place as people write it: `budgets[2].limit`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _unreadable(file: str, line: int, message: str) -> Lined:
    lined = Lined(file=file)
    lined.add((), message, line)
    return lined


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Return the line of a syntax error and what to do about it."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((hint for words, hint in _HINTS if words in said), said)
    return mark.line + 1 if mark else 1, f"is not valid YAML: {hint}"


class _StopReading(Exception):
    """The document's structure makes no sense from here on."""

    def __init__(self, event: yaml.Event, message: str) -> None:
        super().__init__(message)
        self.line = _line(event)
        self.message = message


class _Reader:
    """Turns the parser's events into values: no aliases, no tags, and so no objects."""

    def __init__(self, file: str, text: str, environ: Mapping[str, str]) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._environ = environ
        self._lines: dict[Place, int] = {}
        self._lined = Lined(file=file, lines=self._lines)

    def document(self) -> Lined:
        """Return the only document there is; the top must be a mapping."""
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return self._lined
        event = next(self._events)
        if isinstance(event, yaml.ScalarEvent) and _is_null(event):
            next(self._events)
        elif isinstance(event, yaml.MappingStartEvent):
            self._refuse_decoration(event)
            self._lined.data.update(self._mapping(()))
            next(self._events)
        else:
            raise _StopReading(event, "holds no fields at the top: write 'name: value' lines there")
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _StopReading(event, "holds a second document (---): put it in a file of its own")
        return self._lined

    def _value(self, event: yaml.Event, place: Place) -> object:
        """Return the value that begins with this event; None where a mistake was noted."""
        self._refuse_decoration(event)
        if len(place) > DEPTH_MAX:
            raise _StopReading(event, f"is nested deeper than {DEPTH_MAX} levels")
        if isinstance(event, yaml.ScalarEvent):
            if not _is_null(event):
                return self._substituted(event.value, place)
            self._lined.add(place, "has no value: write one, or remove the field")
            return None
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place)
        return self._mapping(place)

    def _mapping(self, place: Place) -> dict[str, object]:
        values: dict[str, object] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            self._refuse_decoration(key)
            if not isinstance(key, yaml.ScalarEvent):
                raise _StopReading(key, "a name was expected here, before a colon")
            name, line = key.value, _line(key)
            inner = (*place, name)
            if inner in self._lines:
                said = f"is set twice, first in line {self._lines[inner]}: keep one"
                self._lined.add(inner, said, line)
                self._skip(next(self._events))
                continue
            self._lines[inner] = line
            value = self._value(next(self._events), inner)
            if value is not None:
                values[name] = value
        return values

    def _sequence(self, place: Place) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            inner = (*place, len(values))
            self._lines[inner] = _line(event)
            values.append(self._value(event, inner))
        return values

    def _skip(self, event: yaml.Event) -> None:
        """Pass over the value that begins with this event."""
        depth = _DEPTH_CHANGE.get(type(event), 0)
        while depth:
            depth += _DEPTH_CHANGE.get(type(next(self._events)), 0)

    def _refuse_decoration(self, event: yaml.Event) -> None:
        """Refuse what makes a file read differently from what it says."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            found, sign = f"'*{anchor}' is an alias", "*"
        elif anchor is not None:
            found, sign = f"'&{anchor}' is an anchor", "&"
        elif tag is not None:
            found, sign = f"'{tag.replace('tag:yaml.org,2002:', '!!')}' is a tag", "!"
        else:
            return
        raise _StopReading(
            event,
            f"{found}, which is not supported: write the value out, "
            f"or put quotes around a text that begins with {sign}",
        )

    def _substituted(self, text: str, place: Place) -> str | None:
        """Return the text with variables from the environment; `$${` stands for a plain `${`."""
        if "${" not in text:
            return text
        faults: list[str] = []

        def value_of(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["bad"]:
                faults.append(
                    f"'{match['bad']}' is no variable: write ${{NAME}} or ${{NAME:-default}}"
                )
                return ""
            if name is None:
                return "${"
            if default is None and name not in self._environ:
                faults.append(
                    f"the environment variable {name} is not set: set it, "
                    f"or give a default as in ${{{name}:-default}}"
                )
            # As in a shell, the default also stands in for a variable that is empty.
            return self._environ.get(name) or default or ""

        result = _VARIABLE.sub(value_of, text)
        if faults:
            self._lined.add(place, faults[0])
            return None
        return result


def _is_null(event: yaml.ScalarEvent) -> bool:
    """Tell whether a scalar is YAML's nothing: unquoted, and empty, `~` or `null`."""
    return event.style is None and event.value in _NULLS


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
