"""What goes wrong when a provider is asked: nothing of it moves a quota, and nobody is asked too often."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from policies.errors import LedgerUnavailable
from policies.ledger.memory import MemoryLedger
from proxy.providers.connection import MaybeSent, NeverSent
from proxy.wallets.poll import ANSWER_BYTES_MAX
from proxy.wallets.wallet import SLOW_MS_MAX
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer, never
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.waiting import until
from tests.proxy.wallets.documents import PAYG, detail, payg_balance, window
from tests.proxy.wallets.rig import BALANCE, DETAIL, RATE, Answer, MemoryStore, Rig, adapter_of

MakeRig = Callable[..., Rig]
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    "answer",
    [
        FakeAnswer(b"<html>Bad gateway</html>"),
        FakeAnswer(b'{"success": false, "message": "no"}'),
        FakeAnswer(b"[]"),
        FakeAnswer(b"{}", status=500),
        FakeAnswer(b"", status=302, headers={"location": "http://elsewhere.test"}),
        FakeAnswer(b" " * (ANSWER_BYTES_MAX + 1)),
        FakeAnswer(b'{"success": tr', MaybeSent("cut")),
        NeverSent("refused"),
        MaybeSent("broken"),
        detail(quota_5_hour=window(remaining_flows=-5)),
        detail(quota_5_hour=window(max_flows=1)),
        detail(account_status=7),
    ],
)
async def test_a_poll_that_fails_changes_nothing_and_is_logged_once(
    clock: FakeClock, answer: Answer
) -> None:
    rig = Rig(clock, MemoryLedger(clock), MemoryStore(clock))
    await rig.polled()
    before = await rig.wallet()
    rig.witness.take()
    rig.account.answers[DETAIL] = answer

    await rig.polled(after_ms=MINUTE_MS)
    if isinstance(answer, FakeAnswer):
        assert answer.ends
        rig.account.answers[DETAIL] = NeverSent("again")
    await rig.polled(after_ms=MINUTE_MS)
    await rig.polled(after_ms=MINUTE_MS)

    after = await rig.wallet()
    assert after.quotas == before.quotas
    assert (after.began_ms, after.account_status) == (before.began_ms, "healthy")
    failures = rig.witness.take()
    assert [(kind, name) for kind, name, *_ in failures] == [("failed", "subscription_detail")] * 3
    assert (failures[0][3], failures[-1][3]) == (False, True)
    assert await rig.passes(742_800_000_000)


async def test_a_provider_that_hangs_is_given_up(clock: FakeClock) -> None:
    rig = Rig(clock, MemoryLedger(clock), MemoryStore(clock))
    hanging = FakeAnswer(b"{", never)
    rig.account.answers[DETAIL] = hanging

    assert await rig.poller(timeout_s=0.01).poll_if_due("acme")

    assert hanging.ends == ["closed"]
    assert rig.witness.take()[0] == (
        "failed",
        "subscription_detail",
        "no whole answer came within 0.01 seconds",
        False,
    )


async def test_a_poll_that_is_cancelled_lets_go_of_its_claim(rig: Rig) -> None:
    rig.account.meanwhile = never
    task = asyncio.create_task(rig.poll.poll_if_due("acme"))
    await until(lambda: bool(rig.account.asked))

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    rig.account.meanwhile = None
    assert await rig.poller().poll_if_due("acme")


async def test_a_provider_that_wants_a_pause_gets_it(rig: Rig) -> None:
    rig.account.answers[DETAIL] = FakeAnswer(status=429, headers={"retry-after": "95"})
    await rig.polled()
    rig.account.answers[DETAIL] = detail()
    await rig.gate.upstream_refused("acme", "quota")

    assert not await rig.polled(after_ms=94_999)
    assert await rig.polled(after_ms=1)
    assert (await rig.standing("5_hour")).limit > 0


async def test_pauses_double_up_to_a_quarter_of_an_hour(rig: Rig) -> None:
    rig.account.answers[DETAIL] = lambda: FakeAnswer(status=422)
    pauses = []
    for _ in range(7):
        assert await rig.polled()
        wallet = await rig.wallet()
        pauses.append((wallet.slow_until_ms - rig.clock.now_ms()) // 1_000)
        assert not await rig.polled(after_ms=pauses[-1] * 1_000 - 1)
        rig.clock.advance(1)

    assert pauses == [30, 60, 120, 240, 480, 900, 900]
    assert SLOW_MS_MAX == 900_000
    rig.account.answers[DETAIL] = detail()
    await rig.polled()
    assert (await rig.wallet()).slow_ms == 0


async def test_with_422_on_every_second_poll_quotas_stay_fresh(rig: Rig) -> None:
    turns = itertools.cycle([detail(), None])
    rig.account.answers[DETAIL] = lambda: next(turns) or FakeAnswer(status=422)

    ages = []
    for _ in range(1_200):
        await rig.polled(after_ms=1_000)
        ages.append(rig.clock.now_ms() - (await rig.wallet()).began_ms)

    assert max(ages) <= 91_000
    # A poll each minute, of which every second one is answered half a minute later.
    assert 20 <= len(rig.account.asked) <= 28
    assert len([event for event in rig.witness.take("failed") if not event[3]]) > 0


@pytest.mark.parametrize("every", ["10s", "60s"])
async def test_with_422_on_every_second_request_no_request_starves(
    make_rig: MakeRig, every: str
) -> None:
    rig = make_rig(api_key=PAYG, every=every)
    numbers = itertools.count(1)

    def every_second(document: dict[str, Any]) -> Answer:
        return FakeAnswer(status=422) if next(numbers) % 2 == 0 else document

    rig.account.answers = {
        DETAIL: lambda: every_second(detail()),
        BALANCE: lambda: every_second(payg_balance()),
    }
    for _ in range(600):
        await rig.polled(after_ms=1_000)

    now_ms = rig.clock.now_ms()
    for source in (await rig.wallet()).sources.values():
        assert now_ms - source.began_ms <= 151_000


async def test_an_account_without_a_plan_is_asked_about_it_rarely(make_rig: MakeRig) -> None:
    rig = make_rig(api_key=PAYG)
    rig.account.answers = {BALANCE: payg_balance()}

    for _ in range(60):
        await rig.polled(after_ms=MINUTE_MS)

    assert rig.account.paths.count(DETAIL) == 2
    assert rig.account.paths.count(BALANCE) == 60
    assert (await rig.standing("balance")).limit == 482_740_000_000


async def test_what_another_key_could_not_have_is_asked_for_with_a_new_one(rig: Rig) -> None:
    rig.account.answers = {}
    await rig.polled()
    assert not await rig.polled(after_ms=MINUTE_MS)

    rig.account.answers = {DETAIL: detail()}
    repaired = rig.poller(adapter=adapter_of(management_key="sk-mg-v1-another"))

    assert await repaired.poll_if_due("acme")
    assert len((await rig.wallet()).quotas) == 3


async def test_a_flows_worth_is_asked_for_only_where_nothing_else_tells_it(rig: Rig) -> None:
    await rig.polled()
    assert rig.account.paths == [DETAIL]

    rig.account.answers[DETAIL] = detail(effective_usd_per_flow=None)
    rate = {"success": True, "data": {"effective_usd_per_flow": 0.05}}
    rig.account.answers[RATE] = rate
    await rig.polled(after_ms=MINUTE_MS)

    assert rig.account.paths == [DETAIL, DETAIL, RATE]
    assert (await rig.wallet()).usd_per_credit == {"flows": "0.05"}


async def test_without_a_ledger_nobody_is_asked(clock: FakeClock) -> None:
    flaky = FlakyLedger(MemoryLedger(clock))
    rig = Rig(clock, flaky, MemoryStore(clock))
    await rig.polled()
    flaky.fail("standings")
    clock.advance(MINUTE_MS)

    with pytest.raises(LedgerUnavailable):
        await rig.polled()

    assert len(rig.account.asked) == 1
    assert await rig.polled()


async def test_what_a_ledger_did_not_take_is_asked_for_again(clock: FakeClock) -> None:
    flaky = FlakyLedger(MemoryLedger(clock))
    rig = Rig(clock, flaky, MemoryStore(clock))
    flaky.fail("journal_once")
    await rig.polled()

    assert await rig.journalled() == []
    assert len((await rig.wallet()).quotas) == 3
    await rig.polled(after_ms=MINUTE_MS)
    assert await rig.journalled() == ["wallet_status", *["wallet_opened"] * 3]
