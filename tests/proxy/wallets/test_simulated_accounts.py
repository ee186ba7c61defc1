"""Wallets of the simulated providers, over real sockets: what they report is what they then refuse by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from policies.decisions import Admitted
from policies.ledger.memory import MemoryLedger
from proxy.providers.connection import Upstream
from proxy.providers.exhaustion import PAYMENT_REQUIRED
from proxy.providers.interface import Exhausted
from proxy.simulator.server import Simulator
from tests.doubles.fake_clock import FakeClock
from tests.proxy.wallets.documents import MANAGEMENT, NANO, PAYG, SUBSCRIPTION
from tests.proxy.wallets.rig import MemoryStore, Rig, adapter_of, spent

MINUTE_MS = 60_000


class Simulated(Rig):
    """A rig in front of a simulated provider."""

    simulator: Simulator
    url: str
    http: aiohttp.ClientSession
    api_key: str

    async def send(
        self, *, usd: str = "1", path: str = "/api/v1/chat/completions", **scenario: Any
    ) -> int:
        """Make a call that the provider bills at so many dollars, past the gate; return its status."""
        billed = {"billed_nano_usd": int(Decimal(usd) * NANO), "times": 1}
        self.simulator.add_scenario(**(scenario or billed))
        headers = {"authorization": f"Bearer {self.api_key}"}
        body = {"model": "acme/mini", "messages": [{"role": "user", "content": "Hi"}]}
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def simulated(
    kind: str = "agipower",
    api_key: str = SUBSCRIPTION,
    *,
    base: str = "",
    provider: dict[str, Any] | None = None,
    **wallets: Any,
) -> AsyncIterator[Simulated]:
    clock = FakeClock()
    simulator = Simulator(clock=lambda: clock.now_ms() / 1_000)
    url = f"http://127.0.0.1:{await simulator.start('127.0.0.1', 0)}"
    upstream = Upstream(connect_timeout_s=5, idle_timeout_s=5)
    await upstream.open()
    keys = {"management_key": MANAGEMENT, **(provider or {}), "base_url": url + base}
    try:
        async with aiohttp.ClientSession() as http:
            rig = Simulated(clock, MemoryLedger(clock), MemoryStore(clock), **wallets)
            rig.simulator, rig.url, rig.http, rig.api_key = simulator, url, http, api_key
            rig.adapter = adapter_of(kind, api_key, **keys)
            rig.upstream = upstream
            rig.poll, rig.gate = rig.poller(), rig.worker()
            yield rig
    finally:
        await upstream.close()
        await simulator.stop()


async def test_a_subscription_is_used_up_and_resets() -> None:
    async with simulated() as rig:
        assert await rig.polled()
        rig.simulator.add_scenario(quota={"quota_5_hour": {"used_flows": "799.5"}})
        await rig.polled(after_ms=MINUTE_MS)
        assert await rig.passes(NANO // 2)
        assert not await rig.passes(NANO)

        rig.simulator.add_scenario(quota={"quota_5_hour": {"used_flows": "800"}})
        await rig.polled(after_ms=MINUTE_MS)
        assert not await rig.passes(1)
        view = rig.gate.describe("acme", "wallet.acme.5_hour")
        assert view is not None
        assert view.closed == "the 5-hour quota of 'acme' is used up"
        assert view.resets_at_ms is not None

        rig.simulator.add_scenario(account_status="monitored")
        while rig.clock.now_ms() + MINUTE_MS // 2 < view.resets_at_ms:
            await rig.polled(after_ms=MINUTE_MS // 2)
            assert not await rig.passes(1)
        await rig.polled(after_ms=view.resets_at_ms + 1_000 - rig.clock.now_ms())
        assert await rig.passes(800 * NANO)
        assert ("status", "monitored") in rig.witness.take()


async def test_quotas_follow_a_window_that_is_reset_by_hand() -> None:
    async with simulated() as rig:
        rig.simulator.add_scenario(quota={"quota_7_day": {"used_flows": "6100"}})
        await rig.polled()
        assert (await rig.standing("7_day")).remaining == 82 * NANO

        rig.simulator.add_scenario(quota={"reset": True})
        await rig.polled(after_ms=MINUTE_MS)

        assert (await rig.standing("7_day")).remaining == 6_182 * NANO
        assert (await rig.wallet()).quotas[1].resets_at_ms is None


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        ("healthy", True),
        ("monitored", True),
        ("abusive", True),
        ("suspended", False),
        ("banned", False),
    ],
)
@pytest.mark.parametrize("api_key", [SUBSCRIPTION, PAYG])
async def test_the_accounts_state_decides(status: str, passes: bool, api_key: str) -> None:
    async with simulated(api_key=api_key) as rig:
        rig.simulator.add_scenario(account_status=status)

        await rig.polled()

        unit = "flows" if api_key == SUBSCRIPTION else "USD"
        assert await rig.passes(1, unit) is passes
        assert (await rig.send() == 200) is passes


async def test_with_422_on_every_second_request_calls_pass_and_quotas_are_known() -> None:
    async with simulated(api_key=PAYG) as rig:
        rig.simulator.add_scenario(management_422_every=2)
        for _ in range(300):
            await rig.polled(after_ms=1_000)

        wallet = await rig.wallet()

        assert wallet.account_status == "healthy"
        assert [quota.name for quota in wallet.quotas] == ["balance"]
        assert rig.clock.now_ms() - wallet.began_ms <= 91_000
        assert await rig.passes(1, "USD")


async def test_a_subscription_runs_out_in_mid_burst_and_no_call_too_many_is_sent() -> None:
    """Twelve calls of four Flows each want in; there are thirty Flows."""
    async with simulated() as rig:
        rig.simulator.add_scenario(quota={"quota_5_hour": {"used_flows": "770"}})
        await rig.polled()
        workers = [rig.worker() for _ in range(4)]
        for worker in workers:
            await worker.refresh()
        # At $0.60 for a million output tokens, and $0.03283 for a Flow, these are four Flows.
        usage = {"input": 0, "output": 218_867}

        statuses = []
        for number in range(12):
            decision = await rig.call(4 * NANO, worker=workers[number % 4])
            if not isinstance(decision, Admitted):
                continue
            statuses.append(await rig.send(usage=usage, times=1))
            await rig.ledger.settle(decision.reservation, spent(4 * NANO, "flows"), outcome="{}")

        assert statuses == [200] * 7
        await rig.polled(after_ms=MINUTE_MS)
        assert 2 * NANO - 100_000 <= (await rig.standing("5_hour")).remaining <= 2 * NANO


async def test_a_402_closes_until_the_next_poll_says_otherwise() -> None:
    async with simulated() as rig:
        await rig.polled()
        rig.simulator.add_scenario(quota={"quota_5_hour": {"used_flows": "800"}})

        assert await rig.passes(1)
        assert await rig.send() == PAYMENT_REQUIRED
        await rig.gate.upstream_refused("acme", Exhausted.QUOTA)
        assert rig.gate.is_closed("acme")
        assert not await rig.passes(1)

        await rig.polled(after_ms=2_000)
        assert not rig.gate.is_closed("acme")
        assert not await rig.passes(1)
        rig.simulator.add_scenario(quota={"reset": True})
        await rig.polled(after_ms=MINUTE_MS)
        assert await rig.passes(1)


async def test_pay_as_you_go_ends_with_its_balance() -> None:
    async with simulated(api_key=PAYG) as rig:
        rig.simulator.add_scenario(balance_usd="5")
        await rig.polled()
        assert (await rig.standing("balance")).remaining == 5 * NANO
        assert await rig.send(usd="5.25") == 200

        # AGIPower takes a bill in after three minutes; here at once.
        rig.clock.advance(5 * MINUTE_MS)
        await rig.polled()

        assert rig.witness.take("closed") == [
            ("closed", "balance", "the balance of 'acme' is used up")
        ]
        assert await rig.send() == PAYMENT_REQUIRED
        assert (await rig.wallet()).usd_per_credit == {"flows": "0.03283"}


async def test_a_subscription_key_without_a_management_key_is_not_polled() -> None:
    async with simulated(provider={"management_key": ""}) as rig:
        assert rig.adapter.targets() == ()
        assert await rig.passes(1)


async def test_a_wrong_management_key_is_said_once_and_changes_nothing() -> None:
    async with simulated(provider={"management_key": "sk-ai-v1-wrong"}) as rig:
        for _ in range(5):
            await rig.polled(after_ms=MINUTE_MS)

        failures = rig.witness.take("failed")
        assert len(failures) == 2
        assert all("status 403" in str(fault) for _, _, fault, _ in failures)
        assert await rig.passes(1)


async def test_venice_has_a_balance_and_a_key() -> None:
    keys = {"billing_key": "VENICE_ADMIN_KEY_a"}
    async with simulated(
        "venice", "VENICE_INFERENCE_KEY_a", base="/venice/api", provider=keys
    ) as rig:
        await rig.send(usd="10", path="/venice/api/v1/chat/completions")
        await rig.polled()

        quotas = {quota.name: quota for quota in (await rig.wallet()).quotas}
        assert quotas["balance"].remaining == quotas["key"].remaining == 11_015 * NANO
        assert quotas["key"].partly_in_passing
        assert quotas["key"].resets_at_ms is not None
        assert await rig.passes(11_015 * NANO, "USD")
        assert not await rig.passes(11_016 * NANO, "USD")


async def test_an_inference_key_may_not_see_venices_balance() -> None:
    keys = {"billing_key": "VENICE_INFERENCE_KEY_b"}
    async with simulated(
        "venice", "VENICE_INFERENCE_KEY_a", base="/venice/api/v1", provider=keys
    ) as rig:
        await rig.polled()

        assert [quota.name for quota in (await rig.wallet()).quotas] == ["key"]
        ((_, request, fault, _),) = rig.witness.take("failed")
        assert request == "billing_balance"
        assert "status 401" in str(fault)


@pytest.mark.parametrize(
    ("kind", "base", "quotas"),
    [
        ("openrouter", "/openrouter/api/v1", {"balance": 990 * NANO, "key": 990 * NANO}),
        ("vercel", "/vercel/v1", {"balance": 990 * NANO}),
    ],
)
async def test_credits_of_openrouter_and_vercel(
    kind: str, base: str, quotas: dict[str, int]
) -> None:
    async with simulated(kind, "sk-or-v1-a", base=base) as rig:
        await rig.send(usd="10", path=f"{base}/chat/completions")
        await rig.polled()

        assert {q.name: q.remaining for q in (await rig.wallet()).quotas} == quotas
        assert not await rig.passes(991 * NANO, "USD")
