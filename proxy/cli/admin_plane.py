"""The admin plane as it is wired to a proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from structlog.typing import FilteringBoundLogger

from policies.clock import SystemClock
from policies.ledger.redis_ledger import RedisLedger
from policies.rulebook import Rulebook
from proxy.admin.access import Grant
from proxy.admin.plane import AdminPlane
from proxy.admin.services import Services
from proxy.key_store import KeyStore
from proxy.policy_watch import Rejected, Reloaded
from proxy.settings import Settings
from proxy.telemetry.metrics import Metrics


def admin_plane(
    settings: Settings,
    *,
    ledger: RedisLedger,
    key_store: KeyStore,
    metrics: Metrics,
    rulebook: Callable[[], Rulebook],
    reload: Callable[[], Awaitable[Reloaded | Rejected]],
    obstacles: Callable[[], Sequence[str]],
    log: FilteringBoundLogger,
) -> AdminPlane:
    """Return the admin plane of a proxy; `obstacles` are those of its own, besides the ledger."""

    def all_obstacles() -> Sequence[str]:
        missing = [] if settings.providers else ["no provider is configured"]
        return [*obstacles(), *missing]

    services = Services(
        ledger=ledger,
        keys=key_store,
        clock=SystemClock(),
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
