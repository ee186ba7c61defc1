"""The admin plane as it is wired to a proxy: its API, and the dashboard on the same port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from structlog.typing import FilteringBoundLogger

from policies.rulebook import Rulebook
from proxy.admin.access import Opening
from proxy.admin.plane import AdminPlane
from proxy.admin.services import Receipts, Services
from proxy.archive.database import Database
from proxy.archive.reader import ArchiveReader
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.wallet_rows import WalletRows
from proxy.dashboard.dashboard import Dashboard
from proxy.dashboard.sources import Sources
from proxy.grant_store import GrantStore
from proxy.policy_watch import Rejected, Reloaded
from proxy.settings import Settings
from proxy.telemetry.metrics import Metrics


def admin_services(
    settings: Settings,
    *,
    access: LedgerAccess,
    database: Database,
    receipts: Receipts,
    metrics: Metrics,
    rulebook: Callable[[], Rulebook],
    reload: Callable[[], Awaitable[Reloaded | Rejected]],
    obstacles: Callable[[], Sequence[str]],
) -> Services:
    """Return what the admin plane works with; `obstacles` are a proxy's own, besides the ledger."""
    ledger = access.ledger

    def all_obstacles() -> Sequence[str]:
        missing = [] if settings.providers else ["no provider is configured"]
        return [*obstacles(), *missing]

    return Services(
        ledger=ledger,
        archive=ArchiveReader(database, rulebook().organization),
        database=database,
        grants=GrantStore(access.commands, ledger.keys, ledger.now_ms),
        keys=access.key_store,
        receipts=receipts,
        wallets=WalletRows(
            settings.providers,
            settings.wallets,
            commands=access.commands,
            keys=ledger.keys,
            ledger=ledger,
        ),
        clock=access.clock,
        providers={name: provider.kind for name, provider in settings.providers.items()},
        rulebook=rulebook,
        reload_policies=reload,
        metrics=metrics.render,
        ping=ledger.synchronise,
        obstacles=all_obstacles,
    )


def admin_plane(
    settings: Settings, services: Services, access: LedgerAccess, log: FilteringBoundLogger
) -> AdminPlane:
    """Return the admin plane of a proxy, with its dashboard."""
    openings = [
        Opening(
            token=entry.token,
            role=entry.role,
            teams=frozenset(entry.teams),
            name=entry.name or "",
            expires_ms=entry.expires_ms,
        )
        for entry in settings.admin.tokens
    ]
    plane = AdminPlane(services, openings, log)
    sources = Sources(
        services=services,
        tokens=plane.tokens,
        attempts=plane.attempts,
        commands=access.commands,
        prefix=access.ledger.keys.prefix,
    )
    Dashboard(sources, log).add_to(plane.application)
    return plane
