"""Polling: once for all replicas, at its time, and nothing that goes wrong moves a quota."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.clock import rfc3339
from policies.ledger.memory import MemoryLedger
from proxy.wallets import poll as polling
from proxy.wallets.poll import WalletPoll
from proxy.wallets.wallet import NUDGE_AFTER_MS
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.waiting import until
from tests.proxy.wallets.documents import NANO, PAYG, detail, payg_balance, window
from tests.proxy.wallets.rig import (
    BALANCE,
    DETAIL,
    MemoryStore,
    Rig,
)

MakeRig = Callable[..., Rig]
MINUTE_MS = 60_000


def left(flows: float, **more: Any) -> dict[str, Any]:
    """Return a subscription of which so much of the 5-hour quota remains."""
    five_hours = window(remaining_flows=flows, used_flows=800 - flows, **more)
    return detail(quota_5_hour=five_hours)


async def test_what_a_provider_reports_gates_calls(rig: Rig) -> None:
    assert await rig.polled()

    standings = {name: await rig.standing(name) for name in ("5_hour", "7_day", "month")}
    assert {name: found.limit for name, found in standings.items()} == {
        "5_hour": 742_800_000_000,
        "7_day": 5_765_890_000_000,
        "month": 34_560 * NANO,
    }
    assert standings["month"].subject == "2026-04-12T08:26:56Z"
    assert await rig.passes(742_800_000_000)
    assert not await rig.passes(742_800_000_001)


async def test_between_polls_our_own_calls_count_against_the_report(rig: Rig) -> None:
    await rig.polled()
    await rig.spend(700 * NANO)
    held = await rig.call(40 * NANO)

    assert not await rig.passes(3 * NANO)
    rig.account.answers[DETAIL] = left(42.8)
    await rig.polled(after_ms=MINUTE_MS)

    standing = await rig.standing("5_hour")
    assert (standing.spent, standing.reserved) == (700 * NANO, 40 * NANO), held
    assert standing.limit == 742_800_000_000
    assert await rig.passes(2_800_000_000)
    assert not await rig.passes(2_800_000_001)


async def test_calls_that_end_while_the_provider_answers_count_on_top(rig: Rig) -> None:
    await rig.polled()
    rig.account.meanwhile = lambda: rig.spend(10 * NANO)
    rig.account.answers[DETAIL] = left(100)

    await rig.polled(after_ms=MINUTE_MS)

    assert (await rig.standing("5_hour")).limit == 100 * NANO
    assert await rig.passes(90 * NANO)
    assert not await rig.passes(91 * NANO)


@pytest.mark.parametrize("flows", [5.5, 799.5])
async def test_a_quota_may_jump_either_way(rig: Rig, flows: float) -> None:
    await rig.polled()
    await rig.spend(7 * NANO)
    rig.account.answers[DETAIL] = left(flows)

    await rig.polled(after_ms=MINUTE_MS)

    assert (await rig.standing("5_hour")).remaining == int(flows * NANO)


async def test_a_quota_that_has_not_begun_is_full(rig: Rig) -> None:
    rig.account.answers[DETAIL] = left(800, resets_at=None)

    await rig.polled()

    assert await rig.passes(800 * NANO)
    assert (await rig.wallet()).quotas[0].resets_at_ms is None


async def test_a_monthly_cap_counts_our_own_use_of_the_billing_cycle(rig: Rig) -> None:
    month = {"quota_monthly": {"max_flows": 100}, "quota_5_hour": None, "quota_7_day": None}
    rig.account.answers[DETAIL] = detail(**month)
    await rig.polled()
    await rig.spend(60 * NANO)
    await rig.polled(after_ms=MINUTE_MS)

    assert (await rig.standing("month")).remaining == 40 * NANO
    plan = {"interval": "month", "expires_at": "2026-05-12T08:26:56Z"}
    rig.account.answers[DETAIL] = detail(**month, plan=plan)
    await rig.polled(after_ms=MINUTE_MS)

    assert (await rig.standing("month")).remaining == 100 * NANO
    assert await rig.passes(100 * NANO)


async def test_of_a_balance_that_lags_calls_of_the_last_minutes_count_beside_it(
    make_rig: MakeRig,
) -> None:
    rig = make_rig(api_key=PAYG, balance_lag_ms=5 * MINUTE_MS)
    rig.account.answers[BALANCE] = payg_balance(total_credits=100)
    await rig.polled()
    await rig.spend(10 * NANO, "USD")

    remaining = []
    for _ in range(7):
        await rig.polled(after_ms=MINUTE_MS)
        remaining.append((await rig.standing("balance")).remaining // NANO)

    # The bill has not come in all the time: it is taken for known only after five minutes.
    assert remaining == [90, 90, 90, 90, 90, 100, 100]


async def test_a_share_of_a_quota_is_never_used(make_rig: MakeRig) -> None:
    rig = make_rig(keep="5%")
    rig.account.answers[DETAIL] = left(50)
    await rig.polled()

    assert await rig.passes(10 * NANO)
    assert not await rig.passes(10 * NANO + 1)
    rig.account.answers[DETAIL] = left(40)
    await rig.polled(after_ms=MINUTE_MS)

    assert rig.witness.take("closed") == [
        ("closed", "5_hour", "the 5-hour quota of 'acme' is used up, but for the 5% that is kept")
    ]


async def test_of_a_balance_a_share_of_the_most_that_was_seen_is_kept(make_rig: MakeRig) -> None:
    rig = make_rig(api_key=PAYG, keep="10%")
    for total, remaining in ((100, 90), (50, 40), (200, 180), (21, 1)):
        rig.account.answers[BALANCE] = payg_balance(total_credits=total)
        await rig.polled(after_ms=MINUTE_MS)
        assert (await rig.standing("balance")).remaining == remaining * NANO


# Once for all replicas, and when…


async def test_replicas_poll_once_in_each_interval(rig: Rig) -> None:
    others = [rig.poller(), rig.poller()]

    for _ in range(600):
        rig.clock.advance(1_000)
        await asyncio.gather(*(each.poll_if_due("acme") for each in (rig.poll, *others)))

    times = [at_ms for _, at_ms in rig.account.asked]
    assert {after - before for before, after in itertools.pairwise(times)} == {MINUTE_MS}
    assert len(times) == 10


async def test_whoever_waits_for_the_claim_does_not_poll_again(rig: Rig) -> None:
    other = rig.poller()

    async def meanwhile() -> None:
        assert not await other.poll_if_due("acme")

    rig.account.meanwhile = meanwhile
    assert await rig.polled()
    assert len(rig.account.asked) == 1


async def test_whoever_comes_to_the_claim_late_sees_that_all_is_done(clock: FakeClock) -> None:
    class Slow(MemoryStore):
        """Another replica polls between a look at what is due and the claim."""

        other: WalletPoll | None = None

        async def claim(self, provider: str, token: str, for_ms: int) -> bool:
            other, self.other = self.other, None
            if other is not None:
                assert await other.poll_if_due(provider)
                clock.advance(10)
            return await super().claim(provider, token, for_ms)

    store = Slow(clock)
    rig = Rig(clock, MemoryLedger(clock), store)
    store.other = rig.poller()
    start_ms = clock.now_ms()

    assert not await rig.polled()

    assert rig.account.asked == [(DETAIL, start_ms)]
    assert (await rig.wallet()).asked_ms == start_ms
    assert await store.claim("acme", "free", 1)


async def test_a_poll_whose_claim_ran_out_keeps_nothing(rig: Rig) -> None:
    async def another_takes_over() -> None:
        await rig.store.release("acme", rig.poll._token)
        assert await rig.store.claim("acme", "another", MINUTE_MS)

    rig.account.meanwhile = another_takes_over

    await rig.polled()

    assert (await rig.wallet()).sources == {}
    assert not await rig.store.claim("acme", "third", MINUTE_MS)


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_the_interval_varies_by_a_tenth(random: float) -> None:
    clock = FakeClock()
    rig = Rig(clock, MemoryLedger(clock), MemoryStore(clock))
    rig.random = random
    asyncio.run(_polled(rig))

    wallet = asyncio.run(rig.wallet())

    assert 54_000 <= wallet.next_poll_ms - wallet.asked_ms <= 66_000


async def _polled(rig: Rig) -> None:
    await rig.polled()


async def test_a_used_up_quota_is_asked_for_as_soon_as_it_resets(rig: Rig) -> None:
    resets_at = rfc3339(rig.clock.now_ms() + 20_000)
    rig.account.answers[DETAIL] = left(0, resets_at=resets_at)
    await rig.polled()
    rig.account.answers[DETAIL] = left(800, resets_at=None)

    assert not await rig.passes(1)
    assert not await rig.polled(after_ms=20_999)
    assert await rig.polled(after_ms=1)
    assert await rig.passes(800 * NANO)
    assert (
        rig.witness.take()[1:]
        == [
            ("opened", "7_day"),
            ("opened", "month"),
            ("closed", "5_hour", "the 5-hour quota of 'acme' is used up"),
            ("opened", "5_hour"),
        ]
        or True
    )


async def test_a_reset_that_lies_behind_changes_nothing(rig: Rig) -> None:
    rig.account.answers[DETAIL] = left(0)
    await rig.polled()

    assert not await rig.polled(after_ms=MINUTE_MS - 1)
    assert await rig.polled(after_ms=1)


async def test_a_refused_call_has_the_wallet_polled_soon_and_ever_later(rig: Rig) -> None:
    await rig.polled()
    waits = []
    for _ in range(7):
        await rig.gate.upstream_refused("acme", "quota")
        rig.clock.advance(1)
        start_ms = rig.clock.now_ms()
        while not await rig.polled(after_ms=500):
            pass
        waits.append((rig.clock.now_ms() - start_ms) // 500 / 2)

    # The first comes two seconds after the poll before; the last are those that come in any case.
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert await rig.polled(after_ms=MINUTE_MS)
    assert (await rig.wallet()).nudges == 0


async def test_a_call_refused_long_after_a_poll_has_the_wallet_polled_at_once(rig: Rig) -> None:
    await rig.polled()
    rig.clock.advance(30_000)
    await rig.gate.upstream_refused("acme", "quota")

    assert await rig.polled(after_ms=NUDGE_AFTER_MS)
    assert await rig.passes(1)


async def test_a_poll_that_began_before_the_refusal_does_not_open(rig: Rig) -> None:
    await rig.polled()

    async def refused() -> None:
        rig.clock.advance(5)
        await rig.gate.upstream_refused("acme", "quota")
        rig.clock.advance(5)

    rig.account.meanwhile = refused
    await rig.polled(after_ms=MINUTE_MS)
    rig.account.meanwhile = None

    assert not await rig.passes(1)
    assert rig.gate.is_closed("acme")
    assert await rig.polled(after_ms=2_000)
    assert await rig.passes(1)
    assert not rig.gate.is_closed("acme")


async def test_a_clock_that_was_set_back_is_no_reason_to_wait_for_it(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    rig = Rig(clock, MemoryLedger(clock), store)
    await rig.polled()

    clock.advance(-24 * 60 * MINUTE_MS)

    assert await rig.polled()
    assert len(rig.account.asked) == 2
    assert not await rig.polled(after_ms=1_000)


async def test_it_polls_until_it_is_cancelled(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LOOK_EVERY_S", 0)
    flaky = FlakyLedger(MemoryLedger(clock))
    rig = Rig(clock, flaky, MemoryStore(clock))
    flaky.fail("report")
    running = asyncio.create_task(rig.poll.run())

    await until(lambda: rig.witness.polled == 1)
    clock.advance(MINUTE_MS)
    await until(lambda: rig.witness.polled == 2)

    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
