"""What a worker knows of wallets: budgets by name, a flag that is set at once, words for refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from policies.decisions import Admitted, Refused
from policies.ledger.memory import MemoryLedger
from policies.windows import Reported
from proxy.prices.figures import NotAPrice
from proxy.wallets import gate as gating
from proxy.wallets.gate import WalletGate
from proxy.wallets.wallet import NUDGE_AFTER_MS, Source, Wallet
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.waiting import until
from tests.proxy.wallets.documents import NANO, PAYG, detail, payg_balance, venice_key, window
from tests.proxy.wallets.rig import BALANCE, DETAIL, MemoryStore, Rig, adapter_of

MakeRig = Callable[..., Rig]
MINUTE_MS = 60_000
KEY = "/v1/api_keys/rate_limits"
USED_UP = "a quota of 'acme' is used up: it refused a call"


def names(gate: WalletGate, provider: str = "acme") -> list[str]:
    return [budget.name for budget, _ in gate.budgets(provider)]


@pytest.fixture
async def venice(make_rig: MakeRig) -> Rig:
    """A key of Venice's with $100, and no other credits."""
    keys = {"management_key": ""}
    rig = make_rig(kind="venice", api_key="VENICE_INFERENCE_KEY_a", provider=keys)
    rig.account.answers = {KEY: venice_key(balances={"USD": 99, "DIEM": 1})}
    await rig.polled()
    return rig


def venice_headers(usd: str, diem: str = "0") -> dict[str, str]:
    return {"x-venice-balance-usd": usd, "x-venice-balance-diem": diem}


# Budgets…


async def test_a_call_is_charged_to_every_quota_once_they_are_known(rig: Rig) -> None:
    assert names(rig.gate) == ["wallet.acme.account"]
    await rig.polled()

    assert names(rig.gate) == ["wallet.acme.5_hour", "wallet.acme.7_day", "wallet.acme.month"]
    assert names(rig.gate, "unheard-of") == []


async def test_only_providers_that_can_tell_are_waited_for(rig: Rig) -> None:
    strict = make_strict(rig)

    def refuses(provider: str) -> bool:
        ((budget, _),) = strict.budgets(provider)
        assert isinstance(budget.window, Reported)
        return budget.window.refuse_unknown

    assert {name: refuses(name) for name in ("acme", "mute", "keyless")} == {
        "acme": True,
        "mute": False,
        "keyless": False,
    }


def make_strict(rig: Rig) -> WalletGate:
    rig.settings = rig.settings.model_copy(update={"when_unknown": "refuse"})
    keyless = adapter_of(management_key="")
    return rig.worker(acme=rig.adapter, mute=None, keyless=keyless)


async def test_what_was_known_of_a_provider_that_is_not_asked_any_more_gates_nothing(
    rig: Rig,
) -> None:
    await rig.polled()
    worker = rig.worker(acme=adapter_of(management_key=""))

    await worker.refresh()

    assert names(worker) == ["wallet.acme.account"]


async def test_workers_learn_what_credits_are_worth_when_that_changes(rig: Rig) -> None:
    await rig.polled()
    await rig.polled(after_ms=MINUTE_MS)
    rig.account.answers[DETAIL] = detail(effective_usd_per_flow=0.05)
    await rig.polled(after_ms=MINUTE_MS)

    assert rig.rates == [
        ("acme", "flows", Decimal("0.03283")),
        ("acme", "flows", Decimal("0.05")),
    ]


@pytest.mark.parametrize("rate", ["dear", "-1"])
async def test_a_worth_that_makes_no_sense_is_passed_over(rig: Rig, rate: str) -> None:
    def refuse(provider: str, credit: str, worth: Decimal) -> None:
        raise NotAPrice("no")

    gate = rig.gate
    gate._set_rate = refuse
    wallet = Wallet(sources={"detail": Source(usd_per_credit={"flows": rate})})
    await rig.store.claim("acme", "t", MINUTE_MS)
    await rig.store.keep("acme", "t", wallet)

    await gate.refresh()

    assert names(gate) == ["wallet.acme.account"]


async def test_workers_keep_up_until_they_are_cancelled(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "REFRESH_EVERY_S", 0)
    rig = Rig(clock, MemoryLedger(clock), MemoryStore(clock))
    running = asyncio.create_task(rig.gate.run())
    await rig.poll.poll_if_due("acme")

    await until(lambda: len(names(rig.gate)) == 3)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# Refusals of the provider…


@pytest.mark.parametrize("label", ["quota", "credit", "spend_limit", "key_limit"])
async def test_a_refusal_closes_the_wallet_for_all_workers_at_once(rig: Rig, label: str) -> None:
    await rig.polled()
    other = rig.worker()
    await other.refresh()

    await rig.gate.upstream_refused("acme", label)

    assert rig.gate.is_closed("acme")
    assert not other.is_closed("acme")
    assert isinstance(await rig.call(1, worker=other), Refused)
    closed = rig.witness.take("closed")
    assert [quota for _, quota, _ in closed] == ["5_hour", "7_day", "month"]


async def test_the_flag_is_set_before_anything_is_waited_for(rig: Rig) -> None:
    await rig.polled()
    closing = asyncio.ensure_future(rig.gate.upstream_refused("acme", "quota"))
    seen: list[bool] = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(rig.gate.is_closed("acme")))

    await closing

    assert seen == [True]


async def test_a_rate_limit_or_an_unknown_label_closes_nothing(rig: Rig) -> None:
    await rig.polled()
    for label in ("rate_limit", "weather", ""):
        await rig.gate.upstream_refused("acme", label)

    assert not rig.gate.is_closed("acme")
    assert await rig.passes(1)


async def test_a_poll_that_begins_later_opens_it_again(rig: Rig) -> None:
    await rig.polled()
    rig.clock.advance(10_000)
    await rig.gate.upstream_refused("acme", "quota")
    assert not await rig.polled(after_ms=NUDGE_AFTER_MS - 1)
    rig.witness.take()

    assert await rig.polled(after_ms=1)

    assert not rig.gate.is_closed("acme")
    assert await rig.passes(1)
    assert [event[0] for event in rig.witness.take()] == ["opened"] * 3


async def test_without_a_poll_a_refusal_holds_for_a_while(rig: Rig) -> None:
    mute = rig.worker(acme=None)
    await mute.upstream_refused("acme", "credit")

    assert mute.is_closed("acme")
    assert isinstance(await rig.call(1, worker=mute), Refused)
    rig.clock.advance(2 * MINUTE_MS - 1)
    assert mute.is_closed("acme")
    assert isinstance(await rig.call(1, worker=mute), Refused)
    rig.clock.advance(1)
    assert not mute.is_closed("acme")
    assert isinstance(await rig.call(1, worker=mute), Admitted)
    await mute.refresh()
    assert mute._shut == {}


async def test_each_closure_is_told_once_though_the_reason_is_the_same(rig: Rig) -> None:
    workers = [rig.worker(acme=None) for _ in range(3)]
    for _ in range(2):
        for worker in workers:
            await worker.upstream_refused("acme", "credit")
        rig.clock.advance(2 * MINUTE_MS)

    assert await rig.journalled() == ["wallet_closed"] * 2
    assert len(rig.witness.take("closed")) == 2


async def test_without_news_a_refusal_holds_no_longer_than_a_report(rig: Rig) -> None:
    await rig.polled()
    await rig.gate.upstream_refused("acme", "quota")
    rig.account.answers = {}

    await rig.polled(after_ms=10 * MINUTE_MS - 1)
    assert rig.gate.is_closed("acme")
    assert not await rig.passes(1)
    await rig.polled(after_ms=1)
    assert not rig.gate.is_closed("acme")


async def test_without_a_ledger_the_worker_knows_all_the_same(clock: FakeClock) -> None:
    flaky = FlakyLedger(MemoryLedger(clock))
    rig = Rig(clock, flaky, MemoryStore(clock))
    await rig.polled()
    flaky.fail("close")

    await rig.gate.upstream_refused("acme", "quota")

    assert rig.gate.is_closed("acme")
    assert not (await rig.standing("5_hour")).closed
    assert (await rig.standing("7_day")).closed
    flaky.away = True
    await rig.gate.upstream_refused("acme", "quota")


@pytest.mark.parametrize("workers", [1, 4])
async def test_after_the_first_402_at_most_one_call_of_each_worker_arrives(
    make_rig: MakeRig, workers: int
) -> None:
    """The provider says that there is room; after ten calls there is none all the same."""
    rig = make_rig()
    await rig.polled()
    gates = [rig.worker() for _ in range(workers)]
    await asyncio.gather(*(each.refresh() for each in gates))
    arrived = refused = 0

    async def burst(gate: WalletGate) -> None:
        nonlocal arrived, refused
        for _ in range(20):
            if gate.is_closed("acme") or isinstance(await rig.call(NANO, worker=gate), Refused):
                return
            arrived += 1
            runs_out = arrived > 10
            await rig.gate.refresh()
            if runs_out:
                refused += 1
                await gate.upstream_refused("acme", "quota")

    await asyncio.gather(*(burst(each) for each in gates))

    assert arrived >= 11
    assert refused <= workers


# Headers in passing…


async def test_headers_of_an_answer_move_the_limit(venice: Rig) -> None:
    assert (await venice.standing("key")).limit == 100 * NANO
    await venice.spend(10 * NANO, "USD")
    spent = {"wallet.acme.key": 10 * NANO}

    venice.clock.advance(5_000)
    await venice.gate.passing("acme", venice_headers("60.5"), spent, venice.clock.now_ms())

    assert (await venice.standing("key")).remaining == 60_500_000_000


async def test_headers_are_taken_in_once_a_second(venice: Rig) -> None:
    spent = {"wallet.acme.key": 0}
    remaining = []
    for usd, wait_ms in (("90", 999), ("80", 1), ("70", 1_000), ("60", 0)):
        await venice.gate.passing("acme", venice_headers(usd), spent, venice.clock.now_ms())
        remaining.append((await venice.standing("key")).remaining // NANO)
        venice.clock.advance(wait_ms)

    assert remaining == [90, 90, 70, 60]


async def test_old_headers_do_not_undo_a_later_poll(venice: Rig) -> None:
    admitted_at_ms = venice.clock.now_ms() + 1
    venice.account.answers[KEY] = venice_key(balances={"USD": 5, "DIEM": 0})
    await venice.polled(after_ms=MINUTE_MS)

    await venice.gate.passing("acme", venice_headers("99"), {"wallet.acme.key": 0}, admitted_at_ms)

    assert (await venice.standing("key")).remaining == 5 * NANO


async def test_headers_do_not_open_what_is_closed(venice: Rig) -> None:
    spent = {"wallet.acme.key": 0}
    venice.account.answers[KEY] = venice_key(accessPermitted=False, balances={"USD": 9})
    await venice.polled(after_ms=MINUTE_MS)

    venice.clock.advance(5_000)
    await venice.gate.passing("acme", venice_headers("99"), spent, venice.clock.now_ms())

    assert (await venice.standing("key")).closed


async def test_headers_do_not_open_what_the_provider_refused(venice: Rig) -> None:
    await venice.gate.upstream_refused("acme", "credit")
    venice.clock.advance(5_000)

    await venice.gate.passing(
        "acme", venice_headers("99"), {"wallet.acme.key": 0}, venice.clock.now_ms()
    )

    assert (await venice.standing("key")).closed


async def test_headers_that_tell_a_part_of_the_credits_move_nothing(venice: Rig) -> None:
    more = {"USD": 1, "DIEM": 0, "BUNDLED_CREDITS": 25}
    venice.account.answers[KEY] = venice_key(balances=more)
    await venice.polled(after_ms=MINUTE_MS)
    venice.clock.advance(5_000)

    await venice.gate.passing(
        "acme", venice_headers("0"), {"wallet.acme.key": 0}, venice.clock.now_ms()
    )

    assert (await venice.standing("key")).remaining == 26 * NANO


async def test_headers_of_calls_that_were_not_charged_there_move_nothing(venice: Rig) -> None:
    for provider, headers, spent in (
        ("acme", venice_headers("1"), {}),
        ("acme", {}, {"wallet.acme.key": 0}),
        ("acme", venice_headers("much"), {"wallet.acme.key": 0}),
        ("unheard-of", venice_headers("1"), {"wallet.acme.key": 0}),
    ):
        venice.clock.advance(5_000)
        now_ms = venice.clock.now_ms()
        await venice.gate.passing(provider, headers, spent, now_ms)

    assert (await venice.standing("key")).remaining == 100 * NANO


async def test_headers_are_passed_over_while_the_ledger_is_away(clock: FakeClock) -> None:
    flaky = FlakyLedger(MemoryLedger(clock))
    keys = {"management_key": ""}
    rig = Rig(clock, flaky, MemoryStore(clock), kind="venice", api_key="VENICE_x", provider=keys)
    rig.account.answers = {KEY: venice_key(balances={"USD": 5})}
    await rig.polled()
    flaky.fail("report")

    await rig.gate.passing("acme", venice_headers("1"), {"wallet.acme.key": 0}, clock.now_ms() + 1)

    assert (await rig.standing("key")).remaining == 5 * NANO


# Words…


async def test_a_refusal_can_say_which_quota_and_when_it_resets(rig: Rig) -> None:
    await rig.polled()

    view = rig.gate.describe("acme", "wallet.acme.5_hour")

    assert view is not None
    assert (view.quota, view.title) == ("5_hour", "the 5-hour quota of 'acme'")
    assert (view.unit, view.remaining, view.limit) == ("flows", 742_800_000_000, 800 * NANO)
    assert view.resets_at_ms == 1_774_341_309_000
    assert (view.account_status, view.closed, view.is_stale) == ("healthy", "", False)
    assert view.asked_ms == rig.clock.now_ms()
    rig.clock.advance(10 * MINUTE_MS + 1)
    assert (stale := rig.gate.describe("acme", "wallet.acme.5_hour"))
    assert stale.is_stale


async def test_why_a_quota_is_closed_is_known(rig: Rig) -> None:
    rig.account.answers[DETAIL] = detail(quota_5_hour=window(used_flows=800, remaining_flows=0))
    await rig.polled()

    assert reason(rig.gate) == "the 5-hour quota of 'acme' is used up"
    assert reason(rig.gate, "7_day") == ""
    rig.account.answers[DETAIL] = detail(account_status="suspended")
    await rig.polled(after_ms=MINUTE_MS)
    assert reason(rig.gate, "7_day") == "account 'acme' is suspended"


async def test_why_the_provider_refused_is_known_to_every_worker(rig: Rig) -> None:
    await rig.polled()
    rig.clock.advance(MINUTE_MS)
    other = rig.worker()
    await rig.gate.upstream_refused("acme", "quota")
    assert reason(rig.gate) == USED_UP

    await other.refresh()
    assert reason(other) == USED_UP

    await rig.polled(after_ms=NUDGE_AFTER_MS)
    await other.refresh()
    assert (reason(rig.gate), reason(other)) == ("", "")


async def test_of_an_account_without_quotas_the_refusal_is_known(rig: Rig) -> None:
    mute = rig.worker(acme=None)
    await mute.upstream_refused("acme", "credit")
    await mute.refresh()

    view = mute.describe("acme", "wallet.acme.account")

    assert view is not None
    assert (view.quota, view.title, view.unit) == ("account", "the account 'acme'", "calls")
    assert view.closed == "the credit at 'acme' is used up: it refused a call"
    assert (view.is_stale, view.asked_ms) == (True, None)
    rig.clock.advance(2 * MINUTE_MS)
    await mute.refresh()
    assert reason(mute, "account") == ""


async def test_what_is_no_budget_of_a_wallet_is_not_described(rig: Rig) -> None:
    await rig.polled()

    assert rig.gate.describe("acme", "wallet.acme.account") is None
    assert rig.gate.describe("acme", "month") is None
    assert rig.gate.describe("unheard-of", "wallet.unheard-of.account") is None


async def test_a_balance_is_described_too(make_rig: MakeRig) -> None:
    rig = make_rig(api_key=PAYG)
    rig.account.answers[BALANCE] = payg_balance(total_credits=0)
    await rig.polled()

    assert reason(rig.gate, "balance") == "the balance of 'acme' is used up"


def reason(gate: WalletGate, quota: str = "5_hour") -> str:
    view = gate.describe("acme", f"wallet.acme.{quota}")
    assert view is not None
    return view.closed


async def test_what_a_worker_knows_is_what_was_kept(rig: Rig) -> None:
    await rig.polled()

    kept = (await rig.store.load("acme")).wallet

    assert rig.gate._known["acme"].wallet == kept
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Wallet) == kept
