"""Receipts: how far bills differ from what was metered, what waits, and what nobody called for."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from markupsafe import Markup

from policies.units import USD
from proxy.admin.acts import RECEIPTS_RUN, note_act
from proxy.admin.schemas import DriftRow, ReceiptsRow
from proxy.dashboard.charts.bars import difference_bar
from proxy.dashboard.gate import Gate, Visit
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import MINUS, SPACE, short

#: People wait for a page; what is due stays due.
RUN_S: Final = 20.0
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What one model was metered at and billed with, over all days that are told of."""

    model: str
    compared: int
    metered: int
    billed: int
    difference: int
    percent: str
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How the receipts of one provider stand."""

    row: ReceiptsRow
    drift: tuple[Drift, ...]


class Receipts:
    """`/receipts`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages, run_s: float = RUN_S) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages
        self._run_s = run_s

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/receipts", self._gate.page(self.show, of_all_teams=True)),
            web.post("/receipts/run", self._gate.act(self.run)),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show them."""
        return await self._page(visit, "")

    async def run(self, visit: Visit) -> web.StreamResponse:
        """Look for what is due now, as far as that gets in the time."""
        services = self._sources.services
        results: dict[str, int] = {}

        def told(so_far: Mapping[str, int]) -> None:
            results.update(so_far)

        finished = True
        try:
            async with asyncio.timeout(self._run_s):
                told(await services.receipts.run_due(told))
        except TimeoutError:
            finished = False
        await note_act(
            services.ledger,
            RECEIPTS_RUN,
            visit.session.access,
            results=json.dumps(results),
            finished=finished,
        )
        counts = ", ".join(f"{count} {name}" for name, count in results.items() if count)
        said = f"Looked for what was due: {counts or 'nothing was'}."
        return await self._page(visit, said if finished else f"{said} The rest stays due.")

    async def _page(self, visit: Visit, done: str) -> web.Response:
        rows = await self._sources.services.receipts.status()
        accounts = [Account(row=row, drift=tuple(drift_by_model(row.drift))) for row in rows]
        values = {
            "accounts": accounts,
            "done": done,
            "has_ghosts": any(row.ghost_spend.calls for row in rows),
        }
        return self._pages.show(
            "receipts.html",
            title="Receipts",
            place="/receipts",
            session=visit.session,
            values=values,
        )


def drift_by_model(rows: Iterable[DriftRow]) -> list[Drift]:
    """Return the drift of each model over all days, the largest first."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        numbers = (row.compared, row.metered.nano_usd, row.billed.nano_usd)
        for index, number in enumerate(numbers):
            sums[row.model][index] += number
    most = max((abs(billed - metered) for _, metered, billed in sums.values()), default=0)
    found = [
        Drift(
            model=model,
            compared=compared,
            metered=metered,
            billed=billed,
            difference=billed - metered,
            percent=_percent(billed - metered, metered),
            bar=difference_bar(
                billed - metered,
                most,
                f"{model}: billed {short(USD, billed)} for {short(USD, metered)}",
            ),
        )
        for model, (compared, metered, billed) in sums.items()
    ]
    return sorted(found, key=lambda drift: (-abs(drift.difference), drift.model))


def _percent(difference: int, metered: int) -> str:
    """Return a difference in percent with its sign, to the tenth."""
    if metered <= 0:
        return "–"
    tenths = (abs(difference) * _HUNDRED * 10 + metered // 2) // metered
    sign = "+" if difference > 0 else MINUS if difference < 0 else "±"
    return f"{sign}{tenths // 10}.{tenths % 10}{SPACE}%"
