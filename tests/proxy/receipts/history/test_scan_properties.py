"""However a history is cut into pages and passes, calls and ghosts come to what its rows come to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from proxy.receipts.history.pages import HistoryReader
from proxy.receipts.history.scan import Scan, Scanned
from proxy.receipts.history.shelf import Shelf, Taken
from tests.doubles.fake_upstream import FakeAnswer
from tests.proxy.receipts.history.fake_history import NOON_MS, Configured, FakeHistory, Raw, raw
from tests.proxy.receipts.history.opened_shelf import opened_shelf

MINUTE_MS = 60_000
OVERLAP_MS = 10 * MINUTE_MS
SETTLE_MS = 1_000
REQUESTS = (*(f"chatcmpl-{number}" for number in range(5)), None)

rows = st.builds(
    raw,
    at_ms=st.integers(0, 5 * MINUTE_MS).map(lambda late_ms: NOON_MS + late_ms),
    request_id=st.sampled_from(REQUESTS),
    amount=st.integers(1, 10**12).map(lambda pico: f"-{pico}e-12"),
    sku=st.sampled_from(["input", "output", "cache"]),
    currency=st.sampled_from(["USD", "DIEM", "VCU"]),
)
faults = st.sampled_from([None, None, None, 400, 429, 503, "<html>"])


def expected(history: list[Raw]) -> dict[str, Fraction]:
    """Return the plain sums of distinct rows by request; images under no id."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    distinct = {str(sorted(row.items(), key=str)): row for row in history}
    for row in distinct.values():
        request_id = (row["inferenceDetails"] or {}).get("requestId")
        sums[request_id or ""] -= Fraction(row["amount"])
    return dict(sums)


async def found(shelf: Shelf, now_ms: int) -> dict[str, Fraction]:
    """Return what calls and ghosts come to: every second request is a call's."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for request_id in REQUESTS[:-1:2]:
        taken = await shelf.take(f"call {request_id}", [str(request_id)], 0, now_ms)
        if isinstance(taken, Taken):
            sums[taken.group.request_id] += sum(map(Fraction, taken.group.amounts.values()))
    for ghost in await shelf.unclaimed(0, 1_000, now_ms):
        sums[ghost.group.request_id] += sum(map(Fraction, ghost.group.amounts.values()))
    return dict(sums)


class World:
    """A history that grows between scans and while it is read, and breaks off now and then."""

    def __init__(self, data: DataObject, shelf: Shelf) -> None:
        self.data = data
        self.shelf = shelf
        self.history = FakeHistory()
        self.history.before_page = self._before_page
        options: dict[str, Any] = {
            "form": data.draw(st.sampled_from(["json", "csv"])),
            "rows_held_max": data.draw(st.sampled_from([1, 1_000])),
            "pages_max": data.draw(st.sampled_from([5, 1_000])),
        }
        reader = HistoryReader(
            self.history, Configured(), timeout_ms=60_000, settle_ms=SETTLE_MS, **options
        )
        self.scan = Scan(reader, shelf, overlap_ms=OVERLAP_MS)
        self.faults_left = 6
        self.now_ms = NOON_MS + 5 * MINUTE_MS

    def _before_page(self, pages: int) -> None:
        draw = self.data.draw
        self.history.page_rows = draw(st.integers(1, 4)) if self._by_cursor() else 2
        if draw(st.booleans()):
            self.history.rows += draw(st.lists(rows, max_size=2))
        if self.history.rows and draw(st.integers(0, 4)) == 0:
            self.history.rows.append(draw(st.sampled_from(self.history.rows)))
        if self.faults_left and (fault := draw(faults)) is not None:
            self.faults_left -= 1
            answer = FakeAnswer(b"<html>") if fault == "<html>" else FakeAnswer(status=int(fault))
            self.history.instead = [answer]

    def _by_cursor(self) -> bool:
        # A number is the place of a page of one size; a cursor says where the page begins.
        return self.history.usage_is_gone

    async def run(self) -> None:
        for _ in range(self.data.draw(st.integers(1, 4))):
            self.history.rows += self.data.draw(st.lists(rows, max_size=8))
            self.history.usage_is_gone |= self.data.draw(st.booleans())
            await self.scan.run_once(self.now_ms)
            self.now_ms += MINUTE_MS
        await self._to_the_end()

    async def _to_the_end(self) -> None:
        """Scan without faults and new rows until everything was read."""
        self.history.before_page = lambda _: None
        self.history.instead = []
        self.history.page_rows = 50
        for _ in range(200):
            result = await self.scan.run_once(self.now_ms)
            if isinstance(result, Scanned) and result.stopped is None:
                break
        result = await self.scan.run_once(self.now_ms)
        assert isinstance(result, Scanned)


def test_any_pages_and_passes_come_to_the_plain_sums(redis_url: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: DataObject) -> None:
        async def run() -> None:
            async with opened_shelf(redis_url) as shelf:
                world = World(data, shelf)
                await world.run()
                assert await found(shelf, world.now_ms + OVERLAP_MS) == expected(world.history.rows)

        asyncio.run(run())

    holds()
