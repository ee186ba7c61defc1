"""The ledger for commands: the one that the configuration names, else the embedded one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from policies.clock import Clock, SystemClock
from policies.ledger.deployment import Commands, deployment
from policies.ledger.redis_ledger import RedisLedger
from proxy.cli.configuration import Configuration
from proxy.embedded_redis import EmbeddedRedis
from proxy.key_store import KeyStore
from proxy.settings import Settings
from proxy.tasks import Tasks

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccess:
    """A ledger, and the keys beside it."""

    commands: Commands
    ledger: RedisLedger
    key_store: KeyStore
    clock: Clock

    async def open(self) -> None:
        """Connect. Raises `LedgerUnavailable`; it goes on trying all the same."""
        await self.commands.open()
        await self.ledger.synchronise()


@contextmanager
def ledger_url(settings: Settings) -> Iterator[str]:
    """Give the ledger's address; an embedded one runs at least until the end."""
    if settings.ledger.url is not None:
        yield settings.ledger.url
        return
    # It is shared: a proxy that runs on the same folder, and this process, use one server.
    server = EmbeddedRedis(settings.data_dir / "redis")
    try:
        yield server.start()
    finally:
        server.stop()


@asynccontextmanager
async def ledger_access(
    url: str, settings: Settings, organization: str
) -> AsyncIterator[LedgerAccess]:
    """Give an organisation's ledger, not connected yet."""
    clock, tasks = SystemClock(), Tasks()
    commands = deployment(
        url, timeout_s=settings.ledger.timeout_ms / 1000, spawn=tasks.spawn, clock=clock
    )
    ledger = RedisLedger(commands, organization, clock, lease_ms=settings.ledger.lease_ms)
    try:
        yield LedgerAccess(
            commands=commands,
            ledger=ledger,
            key_store=KeyStore(commands, ledger.keys, clock),
            clock=clock,
        )
    finally:
        await commands.close()
        await tasks.close()


@asynccontextmanager
async def open_ledger(
    url: str, settings: Settings, organization: str
) -> AsyncIterator[LedgerAccess]:
    """Give an organisation's ledger, connected.

    Raises:
        LedgerUnavailable: it does not answer.
    """
    async with ledger_access(url, settings, organization) as access:
        await access.open()
        yield access


def with_ledger(
    configuration: Configuration,
    work: Callable[[LedgerAccess], Coroutine[Any, Any, Result]],
) -> Result:
    """Return what work on the configuration's ledger comes to."""

    async def do() -> Result:
        organization = configuration.rulebook.organization
        async with open_ledger(url, configuration.settings, organization) as access:
            return await work(access)

    with ledger_url(configuration.settings) as url:
        return run_loop(do())


def run_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run work on a fast event loop, where there is one."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
