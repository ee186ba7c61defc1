"""What readers of the archive ask for, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policies.errors import BursarError
from policies.journal import REFUSED
from policies.reservations import State
from proxy.archive.contents import name_of

#: What a page holds at most: enough for any screen, and little enough to be answered at once.
PAGE_MAX: Final = 1_000
#: The longest text that can be asked for. Names of 200 characters are the longest that policies take.
TEXT_MAX: Final = 500
#: What a call can be, in the order of its life.
CALL_STATES: Final = (*(state.value for state in State), REFUSED)
#: What SQL's BIGINT holds.
_NUMBER_MAX: Final = 2**63 - 1


class BadFilter(BursarError, ValueError):
    """What is asked of the archive makes no sense; the message says what to ask instead."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        #: The part of the question that is wrong, as readers name it: `until`, `state`.
        self.field = field
        #: What is wrong and what to do, without the field's name.
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls; what is None asks for nothing.

    Raises:
        BadFilter: it makes no sense.
    """

    #: Whose calls the reader may see: None sees all, an empty set sees none. Every reader says it.
    teams: frozenset[str] | None
    team: str | None = None
    user: str | None = None
    key_id: str | None = None
    provider: str | None = None
    #: Exact, or a glob with `*` (any characters) and nothing else that is special.
    model: str | None = None
    #: One of `CALL_STATES`.
    state: str | None = None
    #: When it was admitted or refused, in milliseconds since 1970: [since, until).
    since_ms: int | None = None
    until_ms: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for field in ("team", "user", "key_id", "provider", "model"):
            _refuse_odd_text(field, getattr(self, field))
        if self.state is not None and self.state not in CALL_STATES:
            raise BadFilter("state", f"no call is ever that: use one of {', '.join(CALL_STATES)}")
        refuse_odd_times(self.since_ms, self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries of the journal; what is None asks for nothing.

    Raises:
        BadFilter: it makes no sense.
    """

    #: Whose entries the reader may see: None sees all; else those about calls of these teams, and no
    #: administrative act. Every reader says it.
    teams: frozenset[str] | None
    #: Such as `settle` or `key_created`; one that this program does not know matches what is so named.
    kind: str | None = None
    call_id: str | None = None
    #: When it was written, in milliseconds since 1970: [since, until).
    since_ms: int | None = None
    until_ms: int | None = None
    #: Administrative acts only: what is about no call.
    acts_only: bool = False
    #: Who did it, exactly as the act says: acts only, for calls have none.
    actor: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for field in ("kind", "call_id", "actor"):
            _refuse_odd_text(field, getattr(self, field))
        refuse_odd_times(self.since_ms, self.until_ms)
        if self.call_id is not None and self.acts_only:
            raise BadFilter("call_id", "acts are about no call: ask for one or the other")
        if self.call_id is not None and self.actor is not None:
            raise BadFilter("actor", "entries about a call name no actor: leave out one of both")


def kept_names(names: Iterable[str]) -> frozenset[str]:
    """Return names as the archive's columns have them: the longest are cut there."""
    return frozenset(map(name_of, names))


def refuse_odd_times(since_ms: int | None, until_ms: int | None) -> None:
    """Raise `BadFilter` for times that are none, or that have nothing between them."""
    for field, at_ms in (("since", since_ms), ("until", until_ms)):
        if at_ms is not None and not 0 <= at_ms <= _NUMBER_MAX:
            raise BadFilter(field, "not a time after 1970 in milliseconds")
    if since_ms is not None and until_ms is not None and until_ms <= since_ms:
        raise BadFilter("until", "it is not after since, and nothing lies between them")


def refuse_odd_page(before: int | None, count_max: int) -> None:
    """Raise `BadFilter` for a page that cannot be."""
    if before is not None and not 0 <= before <= _NUMBER_MAX:
        raise BadFilter("cursor", "not one that a page gave: begin without it")
    if not 1 <= count_max <= PAGE_MAX:
        raise BadFilter("limit", f"a page holds between 1 and {PAGE_MAX}")


def _refuse_odd_text(field: str, text: str | None) -> None:
    if text is None:
        return
    if not text:
        raise BadFilter(field, "it is empty: leave it out to ask for all")
    if len(text) > TEXT_MAX:
        raise BadFilter(field, f"it is longer than {TEXT_MAX} characters, and no name is")
    # Postgres keeps no NUL, and UTF-8 no half of a pair: no name has either.
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadFilter(field, "it has characters that no name has")
