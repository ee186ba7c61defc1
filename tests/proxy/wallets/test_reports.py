"""What the ledger and the journal are told: closures for every reason, changes once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from policies.ledger.memory import MemoryLedger
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer
from tests.doubles.flaky_ledger import FlakyLedger
from tests.proxy.wallets.documents import NANO, PAYG, detail, payg_balance, window
from tests.proxy.wallets.rig import BALANCE, DETAIL, MemoryStore, Rig

MakeRig = Callable[..., Rig]
MINUTE_MS = 60_000


async def test_an_account_goes_through_all_its_states(rig: Rig) -> None:
    passes = {}
    states = ["healthy", "monitored", "abusive", "suspended", "banned", "healthy"]
    for status in states:
        rig.account.answers[DETAIL] = detail(account_status=status)
        await rig.polled(after_ms=MINUTE_MS)
        passes[status] = await rig.passes(1)

    assert passes == {
        "healthy": True,
        "monitored": True,
        "abusive": True,
        "suspended": False,
        "banned": False,
    }
    events = rig.witness.take()
    assert [event[1] for event in events if event[0] == "status"] == states
    assert {event[2] for event in events if event[0] == "closed"} == {
        "account 'acme' is suspended",
        "account 'acme' is banned",
    }


@pytest.mark.parametrize(("setting", "passes"), [("admit", True), ("refuse", False)])
async def test_whether_an_abusive_account_is_used_is_a_setting(
    make_rig: MakeRig, setting: str, passes: bool
) -> None:
    rig = make_rig(when_abusive=setting)
    rig.account.answers[DETAIL] = detail(account_status="abusive")

    await rig.polled()

    assert await rig.passes(1) is passes


async def test_a_closed_account_closes_quotas_that_have_room_and_free_calls_too(rig: Rig) -> None:
    rig.account.answers[DETAIL] = detail(account_status="suspended")

    await rig.polled()

    for quota in ("5_hour", "7_day", "month"):
        assert (await rig.standing(quota)).closed
    assert not await rig.passes(0)


async def test_one_used_up_quota_refuses_and_names_itself(rig: Rig) -> None:
    empty = window(used_flows=6_182, remaining_flows=0, max_flows=6_182)
    rig.account.answers[DETAIL] = detail(quota_7_day=empty)

    await rig.polled()

    assert not await rig.passes(1)
    assert (await rig.standing("7_day")).closed
    assert not (await rig.standing("5_hour")).closed
    assert rig.witness.take("closed") == [
        ("closed", "7_day", "the 7-day quota of 'acme' is used up")
    ]


async def test_a_closed_account_closes_what_another_request_told_too(make_rig: MakeRig) -> None:
    rig = make_rig(api_key=PAYG)
    rig.account.answers[BALANCE] = payg_balance()
    await rig.polled()
    rig.account.answers = {
        DETAIL: detail(account_status="banned"),
        BALANCE: FakeAnswer(b"", status=500),
    }

    await rig.polled(after_ms=MINUTE_MS)

    assert not await rig.passes(1, "USD")
    (quota,) = (await rig.wallet()).quotas
    assert quota.closed == "account 'acme' is banned"
    rig.account.answers = {DETAIL: detail(), BALANCE: payg_balance()}
    await rig.polled(after_ms=MINUTE_MS)
    assert await rig.passes(1, "USD")


async def test_changes_are_journalled_once_for_all_replicas(rig: Rig) -> None:
    others = [rig.poller(), rig.poller()]
    full, empty = detail(), detail(quota_5_hour=window(used_flows=800, remaining_flows=0))

    for document in (full, full, empty, empty, full):
        rig.account.answers[DETAIL] = document
        for poll in (rig.poll, *others):
            rig.clock.advance(MINUTE_MS)
            await poll.poll_if_due("acme")

    assert await rig.journalled() == [
        "wallet_status",
        *["wallet_opened"] * 3,
        "wallet_closed",
        "wallet_opened",
    ]
    entries = [e for e in await rig.ledger.journal(count_max=99) if e.kind == "wallet_closed"]
    assert json.loads(entries[0].data) == {
        "provider": "acme",
        "quota": "5_hour",
        "reason": "the 5-hour quota of 'acme' is used up",
        "unit": "flows",
        "limit": 800 * NANO,
        "remaining": 0,
        "resets_at_ms": 1_774_341_309_000,
    }


async def test_an_account_without_quotas_is_closed_and_opened_by_its_state(
    make_rig: MakeRig,
) -> None:
    nothing: dict[str, Any] = {"quota_5_hour": None, "quota_7_day": None, "quota_monthly": None}
    rig = make_rig(when_unknown="refuse")
    assert not await rig.passes(1)

    for status, passes in (("healthy", True), ("suspended", False), ("healthy", True)):
        rig.account.answers[DETAIL] = detail(account_status=status, **nothing)
        await rig.polled(after_ms=MINUTE_MS)
        assert await rig.passes(1) is passes
    assert [event for event in rig.witness.take() if event[0] != "status"] == [
        ("opened", "account"),
        ("closed", "account", "account 'acme' is suspended"),
        ("opened", "account"),
    ]


async def test_while_a_part_of_a_wallet_is_missing_it_is_not_known(make_rig: MakeRig) -> None:
    rig = make_rig(api_key=PAYG, when_unknown="refuse")
    rig.account.answers[BALANCE] = FakeAnswer(b"", status=500)
    await rig.polled()

    assert not await rig.passes(1, "USD")
    rig.account.answers[BALANCE] = payg_balance()
    await rig.polled(after_ms=MINUTE_MS)
    assert await rig.passes(1, "USD")


@pytest.mark.parametrize(("setting", "passes"), [("admit", True), ("refuse", False)])
async def test_what_happens_once_a_report_is_stale_is_a_setting(
    make_rig: MakeRig, setting: str, passes: bool
) -> None:
    rig = make_rig(when_stale=setting, stale_after="10m")
    await rig.polled()
    await rig.spend(742 * NANO)
    rig.account.answers[DETAIL] = FakeAnswer(b"", status=500)

    for _ in range(10):
        await rig.polled(after_ms=MINUTE_MS)
        assert not await rig.passes(10 * NANO)
    await rig.polled(after_ms=MINUTE_MS)

    assert await rig.passes(10 * NANO) is passes


async def test_a_report_that_came_too_late_closes_and_opens_nothing(rig: Rig) -> None:
    await rig.polled()
    rig.witness.take()

    async def refused() -> None:
        await rig.gate.upstream_refused("acme", "credit")

    rig.account.meanwhile = refused
    await rig.polled(after_ms=MINUTE_MS)

    assert {event[0] for event in rig.witness.take()} == {"closed"}
    assert not await rig.passes(1)


async def test_a_journal_that_is_away_keeps_no_report_back(clock: FakeClock) -> None:
    flaky = FlakyLedger(MemoryLedger(clock))
    rig = Rig(clock, flaky, MemoryStore(clock))
    flaky.fail("journal_once")

    await rig.polled()

    assert await rig.passes(742_800_000_000)
    assert rig.witness.take() == []
