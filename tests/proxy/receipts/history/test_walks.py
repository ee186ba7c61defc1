"""The ways through pages, by number and by cursor."""

from __future__ import annotations

from proxy.receipts.history.rows import Numbering, Page
from proxy.receipts.history.walks import (
    Ask,
    Astray,
    CursorWalk,
    Done,
    NumberWalk,
    Shifted,
    iso_time,
    walk,
)
from tests.proxy.receipts.history.fake_history import NOON_MS

NOON = "2026-11-23T13:00:00.000Z"


def by_cursor(cursor: str | None) -> Page:
    return Page(entries=(), cursor=cursor, tells_cursor=True)


def numbered(total: int, pages: int) -> Page:
    return Page(entries=(), numbering=Numbering(total, pages))


def query(step: object) -> dict[str, str]:
    assert isinstance(step, Ask), step
    return dict(step.query)


def test_a_cursor_is_asked_for_alone_and_no_end_is_ever_named() -> None:
    way = walk("usage-history", NOON_MS, NOON_MS + 1)

    assert query(way.first()) == {"startTimestamp": NOON, "pageSize": "1000"}
    assert query(way.after(by_cursor("abc"))) == {"cursor": "abc"}
    assert query(way.after(by_cursor("def"))) == {"cursor": "def"}
    assert way.after(by_cursor(None)) == Done()


def test_a_page_that_does_not_tell_its_cursor_is_no_end() -> None:
    assert isinstance(CursorWalk(NOON_MS).after(Page(entries=())), Astray)


def test_cursors_that_go_in_a_circle_are_noticed() -> None:
    way = CursorWalk(NOON_MS)
    way.after(by_cursor("a"))
    way.after(by_cursor("b"))

    assert isinstance(way.after(by_cursor("a")), Astray)


def test_numbered_pages_are_asked_for_oldest_first_up_to_the_last() -> None:
    way = walk("usage", NOON_MS, NOON_MS + 86_400_000)
    asked = {"startDate": NOON, "endDate": "2026-11-24T13:00:00.000Z"}
    asked |= {"sortOrder": "asc", "limit": "500"}

    assert query(way.first()) == {**asked, "page": "1"}
    assert query(way.after(numbered(800, 2))) == {**asked, "page": "2"}
    assert way.after(numbered(800, 2)) == Done()


def test_a_history_without_rows_has_no_page() -> None:
    assert NumberWalk(NOON_MS, NOON_MS).after(numbered(0, 0)) == Done()


def test_rows_that_come_meanwhile_make_more_pages() -> None:
    way = NumberWalk(NOON_MS, NOON_MS)

    assert isinstance(way.after(numbered(900, 2)), Ask)
    assert isinstance(way.after(numbered(1_001, 3)), Ask)
    assert way.after(numbered(1_001, 3)) == Done()


def test_rows_that_vanish_may_have_hidden_others() -> None:
    way = NumberWalk(NOON_MS, NOON_MS)
    way.after(numbered(900, 2))

    assert way.after(numbered(899, 2)) == Shifted("there were 900 rows, and then 899")


def test_a_page_without_numbers_leads_nowhere() -> None:
    assert isinstance(NumberWalk(NOON_MS, NOON_MS).after(Page(entries=())), Astray)


def test_times_are_told_to_the_millisecond() -> None:
    assert iso_time(NOON_MS + 7) == "2026-11-23T13:00:00.007Z"
    assert iso_time(NOON_MS + 999) == "2026-11-23T13:00:00.999Z"
