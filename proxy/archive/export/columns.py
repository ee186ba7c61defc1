"""Columns of exports in which a call is a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from proxy.archive.lines import CallLine

Value = str | int | bool | None


class Kind(StrEnum):
    """What a column holds, and how its values come."""

    TEXT = "text"
    WHOLE = "whole"
    TRUTH = "truth"
    #: Whole nano-dollars; written as exact decimal dollars.
    DOLLARS = "dollars"
    #: Milliseconds since 1970; written in UTC.
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it holds, and its value for a call."""

    name: str
    kind: Kind
    value: Callable[[CallLine], Value]


def _own(name: str, kind: Kind, field: str | None = None) -> Column:
    source = field or name
    return Column(name, kind, lambda line: getattr(line, source))


#: A call as the archive has it.
CALL_COLUMNS: Final = (
    _own("number", Kind.WHOLE),
    _own("call_id", Kind.TEXT),
    _own("at", Kind.TIME, "at_ms"),
    _own("ended", Kind.TIME, "ended_ms"),
    _own("state", Kind.TEXT),
    _own("team", Kind.TEXT),
    _own("user", Kind.TEXT),
    _own("key_id", Kind.TEXT),
    _own("provider", Kind.TEXT),
    _own("model", Kind.TEXT),
    _own("dialect", Kind.TEXT),
    _own("streamed", Kind.TRUTH),
    _own("status", Kind.WHOLE),
    _own("refused_by", Kind.TEXT),
    _own("quoted_usd", Kind.DOLLARS, "quoted_nano_usd"),
    _own("settled_usd", Kind.DOLLARS, "settled_nano_usd"),
    _own("receipted_usd", Kind.DOLLARS, "receipted_nano_usd"),
    _own("charged_usd", Kind.DOLLARS, "charged_nano_usd"),
    _own("input_tokens", Kind.WHOLE),
    _own("output_tokens", Kind.WHOLE),
    _own("usage", Kind.TEXT),
    _own("generation_id", Kind.TEXT),
    _own("tags", Kind.TEXT),
)
