"""What the address of the calls page asks for: one filter for the archive, links and live calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlencode

from policies.windows import parse_duration_ms
from proxy.admin.schemas import CallRow
from proxy.archive.filters import BadFilter, CallFilter
from proxy.dashboard.wording import DAY_MS

#: Fields of the form, in its order, as addresses have them.
FIELDS: Final = ("team", "user", "key", "provider", "model", "state", "since", "until")
#: A date without a time; as an end it is meant with its whole day.
_DATE_CHARACTERS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants to see: as it was written, and as the archive takes it."""

    #: What was written, without what was left empty.
    fields: Mapping[str, str]
    calls: CallFilter

    def address(self, path: str, **more: str | int) -> str:
        """Return an address that asks for the same."""
        asked = {**self.fields, **{name: str(value) for name, value in more.items()}}
        return f"{path}?{urlencode(asked)}" if asked else path

    def takes(self, row: CallRow) -> bool:
        """Tell whether a call that just came in is one of them."""
        wanted = self.calls
        pairs = (
            (wanted.team, row.team),
            (wanted.user, row.user),
            (wanted.key_id, row.key_id),
            (wanted.provider, row.provider),
            (wanted.state, row.state),
        )
        if any(asked is not None and asked != found for asked, found in pairs):
            return False
        return wanted.model is None or _matches(row.model or "", wanted.model)


def wanted_of(query: Mapping[str, str], teams: frozenset[str] | None, now_ms: int) -> Wanted:
    """Return what an address asks for.

    Args:
        query: what follows the question mark.
        teams: whose calls the reader may see; None: everybody's.
        now_ms: the present; `since` may count back from it.

    Raises:
        BadFilter: it makes no sense.
    """
    fields = {name: query[name].strip() for name in FIELDS if query.get(name, "").strip()}
    return Wanted(
        fields=fields,
        calls=CallFilter(
            teams=teams,
            team=fields.get("team"),
            user=fields.get("user"),
            key_id=fields.get("key"),
            provider=fields.get("provider"),
            model=fields.get("model"),
            state=fields.get("state"),
            since_ms=time_of("since", fields.get("since"), now_ms),
            until_ms=time_of("until", fields.get("until"), now_ms),
        ),
    )


def time_of(field: str, text: str | None, now_ms: int) -> int | None:
    """Return when something is meant: a date, a date with a time (UTC), or a duration back from now.

    Raises:
        BadFilter: it is none of these.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return max(0, now_ms - parse_duration_ms(text))
        except ValueError as error:
            said = f"'{text}' is no time: write 2026-11-23, 2026-11-23T14:00 or 3h"
            raise BadFilter(field, said) from error
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    at_ms = int(at.timestamp() * 1000)
    is_whole_day = len(text) == _DATE_CHARACTERS
    return at_ms + DAY_MS if field == "until" and is_whole_day else at_ms


def cursor_of(text: str) -> int | None:
    """Return where a page begins; None: at the newest. Raises `BadFilter`."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise BadFilter("before", "not one that a page gave: begin without it")
    return int(text)


def _matches(model: str, pattern: str) -> bool:
    # Nothing but * is special, as in the archive.
    return fnmatchcase(model, pattern.replace("[", "[[]").replace("?", "[?]"))
