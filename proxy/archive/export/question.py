"""What is asked to be exported, and in which form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from proxy.archive.filters import BadFilter, CallFilter


class Format(StrEnum):
    """The forms of an export."""

    #: The journal: entries with their chain.
    JSONL = "jsonl"
    #: Calls, a row each.
    CSV = "csv"
    PARQUET = "parquet"
    #: What was charged, in the columns of FOCUS 1.2.
    FOCUS = "focus"
    FOCUS_PARQUET = "focus-parquet"


#: What the forms are called on the web.
MEDIA_TYPES: Final = {
    Format.JSONL: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.FOCUS: "text/csv; charset=utf-8",
    Format.FOCUS_PARQUET: "application/vnd.apache.parquet",
}
#: What files of these forms are called.
SUFFIXES: Final = {
    Format.JSONL: ".jsonl",
    Format.CSV: ".csv",
    Format.PARQUET: ".parquet",
    Format.FOCUS: ".focus.csv",
    Format.FOCUS_PARQUET: ".focus.parquet",
}
#: Kinds of entries that can be asked for at once.
KINDS_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to export.

    Raises:
        BadFilter: it makes no sense.
    """

    format: Format
    #: Which calls; of a journal, the entries of these calls.
    calls: CallFilter
    #: Of a journal: entries of these kinds alone; none: of all.
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.kinds and self.format is not Format.JSONL:
            raise BadFilter("kind", "entries have kinds, calls have not: use --format jsonl")
        if len(self.kinds) > KINDS_MAX or any(not kind or "\0" in kind for kind in self.kinds):
            raise BadFilter("kind", f"name up to {KINDS_MAX} kinds such as settle or key_created")

    @property
    def of_calls(self) -> bool:
        """Whether it names calls by more than their time."""
        asked = asdict(self.calls)
        return any(asked[name] is not None for name in asked if name not in _TIMES)

    @property
    def chained(self) -> bool:
        """Whether what is asked for is a whole stretch of the journal, which can be verified."""
        return self.format is Format.JSONL and not self.kinds and not self.of_calls

    def document(self) -> dict[str, Any]:
        """Return it as JSON; what is not asked for is left out."""
        asked = {name: value for name, value in asdict(self.calls).items() if value is not None}
        if "teams" in asked:
            asked["teams"] = sorted(asked["teams"])
        kinds = {"kinds": list(self.kinds)} if self.kinds else {}
        return {"format": self.format.value, **asked, **kinds}


_TIMES: Final = frozenset({"since_ms", "until_ms"})
