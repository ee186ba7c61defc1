"""The admin plane as it is wired to a proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from structlog.typing import FilteringBoundLogger

from policies.rulebook import Rulebook
from proxy.admin.access import Grant
from proxy.admin.plane import AdminPlane
from proxy.admin.services import Receipts, Services
from proxy.cli.ledger_access import LedgerAccess
from proxy.cli.wallet_rows import WalletRows
from proxy.policy_watch import Rejected, Reloaded
from proxy.settings import Settings
from proxy.telemetry.metrics import Metrics


def admin_plane(
    settings: Settings,
    *,
    access: LedgerAccess,
    receipts: Receipts,
    metrics: Metrics,
    rulebook: Callable[[], Rulebook],
    reload: Callable[[], Awaitable[Reloaded | Rejected]],
    obstacles: Callable[[], Sequence[str]],
    log: FilteringBoundLogger,
) -> AdminPlane:
    """Return the admin plane of a proxy; `obstacles` are those of its own, besides the ledger."""
    ledger = access.ledger

    def all_obstacles() -> Sequence[str]:
        missing = [] if settings.providers else ["no provider is configured"]
        return [*obstacles(), *missing]

    services = Services(
        ledger=ledger,
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
    grants = [
        Grant(token=entry.token, role=entry.role, teams=frozenset(entry.teams))
        for entry in settings.admin.tokens
    ]
    return AdminPlane(services, grants, log)
