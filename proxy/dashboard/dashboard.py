"""The dashboard as a part of the admin plane's application."""

from __future__ import annotations

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from proxy.dashboard.assets import Assets
from proxy.dashboard.audit import Audit
from proxy.dashboard.budget_page import BudgetPage
from proxy.dashboard.calls import Calls
from proxy.dashboard.gate import Gate
from proxy.dashboard.grants import GrantForms
from proxy.dashboard.keys import Keys
from proxy.dashboard.life import Life
from proxy.dashboard.live import EVERY_S, Live, Tail
from proxy.dashboard.overview import Overview
from proxy.dashboard.pages import Pages
from proxy.dashboard.receipts import Receipts
from proxy.dashboard.sessions import Sessions
from proxy.dashboard.sign_in import SignIn
from proxy.dashboard.sources import Sources
from proxy.dashboard.wallets import Wallets
from proxy.tasks import Tasks


class Dashboard:
    """Pages for people, on the admin plane's port."""

    def __init__(
        self, sources: Sources, log: FilteringBoundLogger, *, live_every_s: float = EVERY_S
    ) -> None:
        """Take what pages are made from.

        Args:
            sources: where everything that is shown comes from.
            log: for what fails.
            live_every_s: how often the journal is looked into while somebody follows calls.
        """
        services = sources.services
        self._log = log
        self._assets = Assets()
        pages = Pages(self._assets, services.rulebook().organization)
        sessions = Sessions(sources.commands, sources.prefix, sources.tokens, services.clock)
        self._gate = Gate(sessions, pages, log)
        self._tail = Tail(services.ledger, Tasks(self._live_failed), live_every_s)
        budget = BudgetPage(sources, self._gate, pages)
        self._parts = (
            SignIn(sources, sessions, self._gate, pages),
            Overview(sources, self._gate, pages),
            budget,
            GrantForms(sources, self._gate, budget),
            # Before the page of one call: `live` is nobody's id.
            Live(sources, sessions, self._gate, self._tail),
            Calls(sources, self._gate, pages),
            Life(sources, self._gate, pages),
            Receipts(sources, self._gate, pages),
            Wallets(sources, self._gate, pages),
            Keys(sources, self._gate, pages),
            Audit(sources, self._gate, pages),
        )

    def add_to(self, application: web.Application) -> None:
        """Add every page. Whatever else the application serves must be there before."""
        application.router.add_get("/static/{name}", self._gate.open(self._assets.show))
        for part in self._parts:
            application.router.add_routes(part.routes())
        # Whoever mistypes an address gets a page; programs below /admin/v1 get their JSON.
        application.router.add_get(r"/{path:(?!admin/v1(?:/|$)).*}", self._gate.page(_nothing))
        application.on_shutdown.append(self._close)

    def _live_failed(self, error: BaseException) -> None:
        self._log.error("dashboard_live_failed", exc_info=error)

    async def _close(self, application: web.Application) -> None:
        del application
        await self._tail.close()


async def _nothing(visit: object) -> web.StreamResponse:
    del visit
    raise web.HTTPNotFound
