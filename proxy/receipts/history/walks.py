"""The two ways through the pages of a billing history: by number and by cursor; no I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from policies.clock import utc
from proxy.receipts.history.rows import Page

Endpoint = Literal["usage", "usage-history"]

#: The most that either endpoint gives at once (2.2, 2.3).
NUMBERED_ROWS_MAX: Final = 500
CURSOR_ROWS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for the next page with this query."""

    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """That was the last page."""


@dataclass(frozen=True, slots=True)
class Shifted:
    """What was read does not hold together: read the pages again, from the first one on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Astray:
    """The pages lead nowhere."""

    reason: str


Step = Ask | Done | Shifted | Astray


class CursorWalk:
    """`/billing/usage-history`: from a time on, page after page by cursor (2.2)."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self._seen: set[str] = set()

    def first(self) -> Ask:
        """Return how to ask for the first page."""
        return Ask({"startTimestamp": iso_time(self._start_ms), "pageSize": str(CURSOR_ROWS_MAX)})

    def after(self, page: Page) -> Step:
        """Return what comes after a page; beside a cursor nothing else may be asked."""
        if not page.tells_cursor:
            return Astray("a page does not say whether there is another one")
        if page.cursor is None:
            return Done()
        if page.cursor in self._seen:
            return Astray("the pages' cursors go in a circle")
        self._seen.add(page.cursor)
        return Ask({"cursor": page.cursor})


class NumberWalk:
    """`/billing/usage`: oldest first, by number, between two times (2.3).

    Rows that arrive meanwhile only move others to later pages, where they are seen once more:
    nothing that was there is missed, so growing is no reason to read again (an account in use
    grows all the time). Rows that vanish move others to pages that were read already.
    """

    def __init__(self, start_ms: int, end_ms: int) -> None:
        self._query = {
            "startDate": iso_time(start_ms),
            "endDate": iso_time(end_ms),
            "sortOrder": "asc",
            "limit": str(NUMBERED_ROWS_MAX),
        }
        self._number = 1
        self._total = 0

    def first(self) -> Ask:
        """Return how to ask for the first page."""
        return Ask({**self._query, "page": str(self._number)})

    def after(self, page: Page) -> Step:
        """Return what comes after a page."""
        if page.numbering is None:
            return Astray("a page does not say how many there are")
        total, pages = page.numbering
        if total < self._total:
            return Shifted(f"there were {self._total} rows, and then {total}")
        self._total = total
        if self._number >= pages:
            return Done()
        self._number += 1
        return Ask({**self._query, "page": str(self._number)})


Walk = CursorWalk | NumberWalk


def walk(endpoint: Endpoint, start_ms: int, end_ms: int) -> Walk:
    """Return the way through an endpoint's pages.

    The newer endpoint is given no end: our clock may be behind the provider's, and rows of theirs
    are not in our future.
    """
    if endpoint == "usage":
        return NumberWalk(start_ms, end_ms)
    return CursorWalk(start_ms)


def iso_time(at_ms: int) -> str:
    """Return a time in ms since the epoch as the endpoints take it, in UTC."""
    moment = utc(0) + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
