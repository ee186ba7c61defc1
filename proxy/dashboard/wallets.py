"""Wallets: what providers say is left of our accounts, and when their quotas begin anew."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from markupsafe import Markup

from proxy.admin.schemas import QuotaRow, WalletRow
from proxy.dashboard.charts.bars import fill_bar
from proxy.dashboard.forecast import Tone
from proxy.dashboard.gate import Gate, Visit
from proxy.dashboard.notices import LOW_PERCENT, amount_of
from proxy.dashboard.pages import Pages
from proxy.dashboard.sources import Sources
from proxy.dashboard.wording import percent, short


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One quota as a page shows it; amounts in its unit."""

    row: QuotaRow
    limit: int | None
    remaining: int | None
    spent: int | None
    reserved: int | None
    bar: Markup | None
    share: str
    word: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account at one provider."""

    row: WalletRow
    quotas: tuple[Quota, ...]


class Wallets:
    """`/wallets`."""

    def __init__(self, sources: Sources, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [web.get("/wallets", self._gate.page(self.show, of_all_teams=True))]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """Show them."""
        rows = await self._sources.services.wallets.list()
        accounts = [
            Account(row=row, quotas=tuple(quota_of(quota) for quota in row.quotas)) for row in rows
        ]
        return self._pages.show(
            "wallets.html",
            title="Wallets",
            place="/wallets",
            session=visit.session,
            values={"accounts": accounts},
        )


def quota_of(row: QuotaRow) -> Quota:
    """Return a quota with its bar: used by anybody, then what of ours came since the report."""
    limit, remaining = amount_of(row.limit), amount_of(row.remaining)
    spent, reserved = amount_of(row.spent), amount_of(row.reserved)
    bar = None
    if limit is not None and remaining is not None:
        bar = fill_bar(
            limit=limit,
            spent=max(0, limit - remaining),
            reserved=(spent or 0) + (reserved or 0),
            passed=None,
            title=f"{short(row.unit, remaining)} of {short(row.unit, limit)} left",
        )
    word, tone = _judged(row, limit, remaining)
    return Quota(
        row=row,
        limit=limit,
        remaining=remaining,
        spent=spent,
        reserved=reserved,
        bar=bar,
        share=percent(remaining, limit) if limit and remaining is not None else "",
        word=word,
        tone=tone,
    )


def _judged(row: QuotaRow, limit: int | None, remaining: int | None) -> tuple[str, Tone]:
    if row.closed is not None:
        return "closed", "bad"
    if limit and remaining is not None and remaining * 100 <= limit * LOW_PERCENT:
        return "low", "warn"
    if row.stale:
        return "out of date", "warn"
    return "open", "good"
