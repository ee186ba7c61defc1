"""Scans of a billing history: what they find, where they go on, and what they survive."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.receipts.history.pages import HistoryReader, Refused, Unreadable
from proxy.receipts.history.scan import Scan, Scanned, ScanResult
from proxy.receipts.history.shelf import Place, Shelf, Taken
from proxy.receipts.receipt import SlowDown
from tests.doubles.fake_upstream import FakeAnswer
from tests.proxy.receipts.history.fake_history import NOON_MS, Configured, FakeHistory, raw

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SETTLE_MS = 60_000
ENDPOINTS = ("usage", "usage-history")


@pytest.fixture
def shelf(connection: Connection, organization: str) -> Shelf:
    return Shelf(connection, Keys(organization), "venice")


class Scans:
    """Scans a history that a test prepared."""

    def __init__(
        self, shelf: Shelf, history: FakeHistory, billing: Any = "auto", **more: Any
    ) -> None:
        self.shelf = shelf
        self.history = history
        settings = more.pop("settings", Configured())
        reader = HistoryReader(history, settings, timeout_ms=60_000, settle_ms=SETTLE_MS, **more)
        self.scan = Scan(reader, shelf, billing=billing, overlap_ms=HOUR_MS)

    async def run(self, now_ms: int = NOON_MS) -> ScanResult:
        return await self.scan.run_once(now_ms)

    async def scanned(self, now_ms: int = NOON_MS) -> Scanned:
        found = await self.run(now_ms)
        assert isinstance(found, Scanned), found
        return found

    @property
    def starts(self) -> list[str]:
        """From when on each pass asked."""
        names = ("startTimestamp", "startDate")
        queries = (query for query in self.history.queries if query.get("page", "1") == "1")
        return [query[name][11:19] for query in queries for name in names if name in query]


async def amounts(
    shelf: Shelf, ids: Sequence[str], now_ms: int = NOON_MS + DAY_MS
) -> list[Decimal]:
    """Return what calls come to, each of which has one of the ids."""
    found = [await shelf.take(f"call of {each}", [each], SETTLE_MS, now_ms) for each in ids]
    return [
        sum(each.group.amounts.values(), Decimal(0)) if isinstance(each, Taken) else Decimal(-1)
        for each in found
    ]


# Where a scan begins…


@pytest.mark.parametrize("billing", ENDPOINTS)
async def test_the_first_scan_goes_back_twice_the_overlap(shelf: Shelf, billing: Any) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS - 2 * HOUR_MS)]), billing)

    found = await scans.scanned()

    assert scans.starts == ["11:00:00"]
    assert (found.new_rows, found.endpoint, found.stopped) == (1, billing, None)


@pytest.mark.parametrize("billing", ENDPOINTS)
async def test_the_next_scan_begins_by_the_providers_time_and_not_by_ours(
    shelf: Shelf, billing: Any
) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS - 30 * MINUTE_MS)]), billing)

    await scans.scanned()
    await scans.scanned(NOON_MS + 5 * DAY_MS)

    assert scans.starts == ["11:00:00", "11:30:00"]


@pytest.mark.parametrize("billing", ENDPOINTS)
@pytest.mark.parametrize("off_ms", [-HOUR_MS, HOUR_MS])
async def test_a_clock_that_is_an_hour_off_loses_nothing(
    shelf: Shelf, billing: Any, off_ms: int
) -> None:
    scans = Scans(shelf, FakeHistory(), billing)
    for minute in range(0, 120, 7):
        at_ms = NOON_MS + minute * MINUTE_MS
        scans.history.rows.append(raw(at_ms, f"chatcmpl-{minute}"))
        await scans.scanned(at_ms + off_ms)

    ids = [f"chatcmpl-{minute}" for minute in range(0, 120, 7)]
    assert await amounts(shelf, ids) == [Decimal("0.5")] * len(ids)


async def test_without_rows_each_scan_begins_where_the_first_did(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory(), "usage-history")
    await scans.scanned()
    await scans.scanned(NOON_MS + 10 * HOUR_MS)

    assert scans.starts == ["11:00:00", "11:00:00"]


async def test_a_row_from_the_far_future_does_not_lead_the_scan_there(shelf: Shelf) -> None:
    rows = [raw(NOON_MS), raw(NOON_MS + 400 * DAY_MS, "chatcmpl-future")]
    scans = Scans(shelf, FakeHistory(rows), "usage-history")

    found = await scans.scanned()
    scans.history.rows.append(raw(NOON_MS + 1, "chatcmpl-2"))
    await scans.scanned(NOON_MS + MINUTE_MS)

    assert found.place_ms == NOON_MS
    assert await amounts(shelf, ["chatcmpl-2", "chatcmpl-future"]) == [Decimal("0.5")] * 2


async def test_rows_that_come_late_are_found_within_the_overlap(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS)]))
    await scans.scanned()
    scans.history.rows.append(raw(NOON_MS - HOUR_MS + 1, "chatcmpl-late"))
    scans.history.rows.append(raw(NOON_MS - 5, "chatcmpl-1", sku="input"))

    found = await scans.scanned()

    assert found.new_rows == 2
    assert await amounts(shelf, ["chatcmpl-late", "chatcmpl-1"]) == [Decimal("0.5"), Decimal(1)]


async def test_reading_the_same_again_changes_nothing(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS, sku=sku) for sku in "abc"]))
    await scans.scanned()

    assert [(await scans.scanned()).new_rows for _ in range(3)] == [0, 0, 0]
    assert await amounts(shelf, ["chatcmpl-1"]) == [Decimal("1.5")]


async def test_what_was_given_away_is_forgotten_when_it_is_not_read_again(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS)]))
    await scans.scanned()
    await amounts(shelf, ["chatcmpl-1"])
    await shelf.mark_booked("call of chatcmpl-1", "chatcmpl-1")

    scans.history.rows.append(raw(NOON_MS + HOUR_MS, "chatcmpl-2"))
    await scans.scanned(NOON_MS + HOUR_MS)
    assert await shelf.take("call of chatcmpl-1", ["chatcmpl-1"], 0, NOON_MS + DAY_MS)

    scans.history.rows.append(raw(NOON_MS + HOUR_MS + 1, "chatcmpl-2"))
    await scans.scanned(NOON_MS + HOUR_MS)
    assert await shelf.take("call of chatcmpl-1", ["chatcmpl-1"], 0, NOON_MS + DAY_MS) is None


# …which endpoint it asks…


async def test_the_old_endpoint_is_asked_until_it_is_gone_and_that_is_remembered(
    shelf: Shelf,
) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS)]))
    assert (await scans.scanned()).endpoint == "usage"

    scans.history.usage_is_gone = True
    scans.history.rows.append(raw(NOON_MS + 1, "chatcmpl-2"))
    found = await scans.scanned()
    await Scans(shelf, scans.history).scanned()

    # The rows that both endpoints showed are the same rows.
    assert (found.endpoint, found.new_rows) == ("usage-history", 1)
    paths = [target.url.path.rpartition("/")[2] for target in scans.history.sent]
    assert paths == ["usage", "usage", "usage-history", "usage-history"]


async def test_that_it_is_gone_is_not_remembered_before_its_successor_was_read(
    shelf: Shelf,
) -> None:
    scans = Scans(shelf, FakeHistory())
    scans.history.usage_is_gone = True
    scans.history.instead = [None, FakeAnswer(b"{}", status=503)]

    assert isinstance(await scans.run(), Unreadable)
    assert await shelf.place() == Place()


async def test_an_endpoint_that_was_chosen_and_is_gone_is_told(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory(), "usage")
    scans.history.usage_is_gone = True

    found = await scans.run()

    assert isinstance(found, Unreadable)
    assert "billing" in found.reason
    assert len(scans.history.sent) == 1


async def test_a_successor_that_is_gone_too_is_told(shelf: Shelf) -> None:
    scans = Scans(shelf, FakeHistory())
    scans.history.instead = [FakeAnswer(status=410), FakeAnswer(status=410)]

    assert isinstance(await scans.run(), Unreadable)
    assert len(scans.history.sent) == 2


# …and what it survives.


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (FakeAnswer(b'{"error":"Admin API key required"}', status=401), Refused),
        (FakeAnswer(b"Rate limit exceeded", status=429), SlowDown),
        (FakeAnswer(b"<html>"), Unreadable),
    ],
)
async def test_a_scan_that_reads_nothing_moves_nothing(
    shelf: Shelf, answer: FakeAnswer, result: type
) -> None:
    scans = Scans(shelf, FakeHistory([raw(NOON_MS)]))
    scans.history.instead = [answer]

    assert isinstance(await scans.run(), result)
    assert await shelf.place() == Place()
    assert await amounts(shelf, ["chatcmpl-1"]) == [Decimal(-1)]


async def test_a_scan_that_was_stopped_is_gone_on_with(shelf: Shelf) -> None:
    rows = [raw(NOON_MS - HOUR_MS + n * MINUTE_MS, f"chatcmpl-{n}") for n in range(50)]
    scans = Scans(shelf, FakeHistory(rows, page_rows=20))
    scans.history.instead = [None, FakeAnswer(status=429, headers={"retry-after": "60"})]

    found = await scans.scanned()
    assert found.stopped == SlowDown(60_000)
    assert found.place_ms is None

    found = await scans.scanned()
    assert (found.stopped, found.place_ms) == (None, NOON_MS - 11 * MINUTE_MS)
    assert scans.starts == ["11:00:00", "12:17:00"]
    assert await amounts(shelf, [f"chatcmpl-{n}" for n in range(50)]) == [Decimal("0.5")] * 50


@pytest.mark.parametrize("billing", ENDPOINTS)
async def test_a_history_too_long_for_one_scan_is_read_by_several(
    shelf: Shelf, billing: Any
) -> None:
    rows = [raw(NOON_MS - HOUR_MS + n * MINUTE_MS, f"chatcmpl-{n // 2}") for n in range(50)]
    rows = [row | {"sku": str(n)} for n, row in enumerate(rows)]
    scans = Scans(shelf, FakeHistory(rows, page_rows=5), billing, pages_max=3)
    for _ in range(50):
        if (await scans.scanned()).stopped is None:
            break

    assert (await shelf.place()).place_ms == NOON_MS - 11 * MINUTE_MS
    assert await amounts(shelf, [f"chatcmpl-{n}" for n in range(25)]) == [Decimal(1)] * 25


async def test_a_place_is_not_kept_of_what_could_not_be_put(
    shelf: Shelf, connection: Connection
) -> None:
    class Away:
        """A Redis that goes away when rows are put."""

        def execute(self, *command: bytes | str | int) -> Any:
            if command[0] == "EVAL":
                raise LedgerUnavailable("gone")
            return connection.execute(*command)

    history = FakeHistory([raw(NOON_MS)])
    away = Shelf(Away(), Keys("scan-away"), "venice")

    with pytest.raises(LedgerUnavailable):
        await Scans(away, history).run()
    assert await away.place() == Place()


async def test_bad_rows_are_told(shelf: Shelf) -> None:
    rows = [raw(NOON_MS), raw(NOON_MS, None, "10"), raw(NOON_MS), raw(NOON_MS) | {"amount": None}]

    found = await Scans(shelf, FakeHistory(rows)).scanned()

    assert found.counts == {"rows": 4, "credits": 1, "duplicates": 1, "bad": 1}
    assert len(found.bad) == 1
