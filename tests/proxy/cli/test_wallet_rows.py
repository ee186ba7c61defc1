"""What providers report of our accounts, as rows."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from policies.decisions import Admitted
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.redis_ledger import RedisLedger
from policies.units import Amounts
from proxy.billing_settings import WalletSettings
from proxy.cli.wallet_rows import WalletRows
from proxy.settings import ProviderSettings
from proxy.wallets.limits import budget_of, limit_of, window_of
from proxy.wallets.store import WalletStore
from proxy.wallets.wallet import KnownQuota, Source, Wallet
from tests.doubles.fake_clock import FakeClock

USD = 1_000_000_000
SETTINGS = WalletSettings()
MANAGED = ProviderSettings(
    kind="agipower", base_url="http://127.0.0.1:9", api_key="sk-ai-v1-x", management_key="sk-mg-x"
)
UNMANAGED = MANAGED.model_copy(update={"management_key": ""})
LOCAL = ProviderSettings(kind="openai", base_url="http://127.0.0.1:9")


@dataclass
class World:
    """A ledger, and what was reported of one account."""

    ledger: RedisLedger
    store: WalletStore
    commands: Connection

    def rows(self, provider: ProviderSettings = MANAGED) -> WalletRows:
        return WalletRows(
            {"sim": provider, "local": LOCAL},
            SETTINGS,
            commands=self.commands,
            keys=self.ledger.keys,
            ledger=self.ledger,
        )

    async def told(self, quota: KnownQuota, *, closed: str = "", status: str = "healthy") -> None:
        """Let a poll find a quota."""
        now_ms = self.ledger.now_ms()
        source = Source(began_ms=now_ms, quotas=(quota,), account_status=status)
        wallet = Wallet(
            sources={"detail": source, "rate": Source(fault="status 500")},
            asked_ms=now_ms,
            began_ms=now_ms,
            polled_at_ms=now_ms,
            next_poll_ms=now_ms + 60_000,
        )
        assert await self.store.claim("sim", "token", 1_000)
        assert await self.store.keep("sim", "token", wallet)
        budget = budget_of("sim", quota.name, quota.unit, window_of(SETTINGS, is_polled=True))
        limit = limit_of(quota, 0)
        await self.ledger.report(budget, quota.cycle, limit=limit, closed=closed, began_ms=now_ms)

    async def spend(self, name: str, unit: str, settled: int, held: int) -> None:
        """Let one call end and another one begin."""
        budget = budget_of("sim", name, unit, window_of(SETTINGS, is_polled=True))
        for call_id, amount in (("call_ended", settled), ("call_open", held)):
            ask = Ask(budget=budget, subject="", held=amount, bound=amount)
            decision = await self.ledger.reserve(
                call_id, [ask], data="{}", admission=Admission.DECIDE
            )
            assert isinstance(decision, Admitted)
            if call_id == "call_ended":
                amounts = Amounts(nano_usd=amount)
                await self.ledger.settle(decision.reservation, amounts, outcome="{}")


@pytest.fixture
def world(redis_ledger: RedisLedger, connection: Connection, clock: FakeClock) -> World:
    del clock
    return World(redis_ledger, WalletStore(connection, redis_ledger.keys), connection)


async def test_a_quota_is_shown_as_reported_with_what_came_of_ours_since(world: World) -> None:
    # Three dollars had been counted when the provider was asked.
    quota = KnownQuota(name="balance", unit="USD", remaining=100 * USD, samples=((1, 3 * USD),))
    await world.told(quota)
    await world.spend("balance", "USD", 5 * USD, 2 * USD)

    (row,) = await world.rows().list()

    (shown,) = row.quotas
    assert (row.provider, row.account_status, row.closed) == ("sim", "healthy", None)
    assert row.polled_at is not None
    assert row.faults == {"rate": "status 500"}
    assert (shown.name, shown.limit, shown.closed, shown.stale) == ("balance", None, None, False)
    assert shown.remaining == {"nano_usd": 100 * USD, "usd": "100"}
    assert shown.spent == {"nano_usd": 2 * USD, "usd": "2"}
    assert shown.reserved == {"nano_usd": 2 * USD, "usd": "2"}


async def test_a_quota_that_is_used_up_says_so(world: World) -> None:
    said = "the 5-hour quota of 'sim' is used up"
    quota = KnownQuota(name="5_hour", unit="flows", limit=9, remaining=0, resets_at_ms=1_000)
    await world.told(msgspec.structs.replace(quota, closed=said), closed=said)

    (row,) = await world.rows().list()

    assert row.closed is None
    assert (row.quotas[0].closed, row.quotas[0].resets_at) == (said, "1970-01-01T00:00:01Z")


async def test_an_account_that_pays_for_nothing_says_so(world: World) -> None:
    quota = KnownQuota(name="balance", unit="USD", remaining=USD)
    await world.told(quota, closed="account 'sim' is suspended")
    budget = budget_of("sim", "balance", "USD", window_of(SETTINGS, is_polled=True))
    now_ms = world.ledger.now_ms()
    await world.store.nudge("sim", now_ms, "the credit at 'sim' is used up: it refused a call")
    await world.ledger.close(budget, "", reason="refused", for_ms=60_000)

    (row,) = await world.rows().list()

    assert row.closed == "the credit at 'sim' is used up: it refused a call"
    assert row.quotas[0].closed == row.closed


async def test_without_a_key_that_may_ask_the_row_says_which_is_missing(world: World) -> None:
    await world.told(KnownQuota(name="balance", unit="USD", remaining=USD))

    (row,) = await world.rows(UNMANAGED).list()

    assert row.never == "no key of it may ask: set management_key"
    assert (row.quotas, row.polled_at, row.next_poll_at) == ([], None, None)


async def test_a_provider_that_was_not_asked_yet_tells_nothing(world: World) -> None:
    (row,) = await world.rows().list()

    assert (row.never, row.account_status, row.quotas) == (None, None, [])
