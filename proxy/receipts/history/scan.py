"""Reading what is new in a billing history, again and again, and keeping the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from proxy.receipts.history.groups import Group
from proxy.receipts.history.pages import (
    Gone,
    HistoryReader,
    Pass,
    Reading,
    Refused,
    Stopped,
    Unreadable,
)
from proxy.receipts.history.rows import BadRow
from proxy.receipts.history.shelf import Place, Shelf
from proxy.receipts.history.walks import Endpoint
from proxy.receipts.receipt import SlowDown

# By so much our clock may be behind the provider's.
_AHEAD_MS: Final = 86_400_000
# The first scan reads the overlap twice: our clock may be ahead of the provider's by an hour.
_OVERLAPS_AT_FIRST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A scan read something, and it is on the shelf."""

    endpoint: Endpoint
    #: Up to when the history was read whole, in the provider's time; None: it never was.
    place_ms: int | None
    #: Rows that the shelf did not have.
    new_rows: int
    #: Why the scan did not come to the end of the history; the next one goes on. None: it did.
    stopped: Stopped | None = None
    #: Of rows: `rows` in all, and among them `duplicates`, `credits`, `outside`, `bad`.
    counts: Mapping[str, int] = field(default_factory=dict)
    #: The first of the bad ones.
    bad: tuple[BadRow, ...] = ()


ScanResult = Scanned | Refused | SlowDown | Unreadable


class Scan:
    """Scans one provider's billing history. One replica does it at a time; two do no harm."""

    def __init__(
        self,
        reader: HistoryReader,
        shelf: Shelf,
        *,
        billing: Literal["auto", "usage", "usage-history"] = "auto",
        overlap_ms: int,
    ) -> None:
        """Take what reads and what keeps.

        Args:
            reader: reads the provider's history.
            shelf: keeps it.
            billing: which endpoint; `auto`: the older one, until it says that it is gone.
            overlap_ms: by how much each scan goes back, because rows may come late.
        """
        self._reader = reader
        self._shelf = shelf
        self._billing = billing
        self._overlap_ms = overlap_ms

    async def run_once(self, now_ms: int) -> ScanResult:
        """Read what is new, and put it on the shelf; the place moves when everything is there.

        Args:
            now_ms: the time by Redis. The provider's may be another one: what decides is the time
                of the newest row that was read, and ours only the first time.

        Raises:
            LedgerUnavailable: the shelf did not answer; the next scan reads the same again.
        """
        place = await self._shelf.place()
        start_ms = self._start_ms(place, now_ms)
        new_rows = 0

        async def put(groups: Sequence[Group]) -> None:
            nonlocal new_rows
            new_rows += await self._shelf.put(groups, now_ms)

        endpoint = self._endpoint(place)
        end_ms = now_ms + _AHEAD_MS
        reading: Reading = await self._reader.read(start_ms, end_ms, endpoint, put)
        if isinstance(reading, Gone) and self._billing == "auto" and endpoint == "usage":
            endpoint = "usage-history"
            reading = await self._reader.read(start_ms, end_ms, endpoint, put)
        if isinstance(reading, Gone):
            return Unreadable(f"'{endpoint}' is gone: set billing to auto or to its successor")
        if not isinstance(reading, Pass):
            return reading
        await put(reading.groups)
        place_ms = await self._keep_place(reading, endpoint, place, start_ms, now_ms)
        return Scanned(
            endpoint=endpoint,
            place_ms=place_ms,
            new_rows=new_rows,
            stopped=reading.stopped,
            counts=reading.counts,
            bad=reading.bad,
        )

    async def _keep_place(
        self, reading: Pass, endpoint: Endpoint, place: Place, start_ms: int, now_ms: int
    ) -> int | None:
        if reading.resume_ms is not None:
            await self._shelf.paused(max(reading.resume_ms, start_ms), endpoint)
            return place.place_ms
        newest_ms = reading.newest_ms
        if newest_ms is None:
            # There is nothing yet: what comes is looked for from the same moment on.
            newest_ms = start_ms + self._overlap_ms
        place_ms = await self._shelf.reached(newest_ms, endpoint, now_ms)
        await self._shelf.prune(place_ms - self._overlap_ms)
        return place_ms

    def _start_ms(self, place: Place, now_ms: int) -> int:
        if place.resume_ms is not None:
            return place.resume_ms
        if place.place_ms is None:
            return now_ms - _OVERLAPS_AT_FIRST * self._overlap_ms
        return place.place_ms - self._overlap_ms

    def _endpoint(self, place: Place) -> Endpoint:
        if self._billing != "auto":
            return self._billing
        return place.endpoint or "usage"
