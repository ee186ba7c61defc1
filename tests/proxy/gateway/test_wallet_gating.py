"""A provider's own quotas on a call's way: asked for like budgets, spoken of only when they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.decisions import Standing
from policies.errors import LedgerUntouched
from policies.learning import Learning
from policies.ledger.interface import Ask
from policies.ledger.memory import MemoryLedger
from policies.money import EXACT_MAX
from policies.units import CALLS, OUTPUT_TOKENS, TOKENS, USD
from policies.windows import Calendar, Lifetime, Reported
from proxy.dialects.interface import ErrorKind
from proxy.gateway.admit import Gate
from proxy.gateway.allowance import Allowance
from proxy.gateway.call import Quoted, Refusal, Ticket
from proxy.gateway.quote import Quoter
from proxy.gateway.wallet_refusal import NoWallets
from tests.doubles.calls import FakePrices, price, routed
from tests.doubles.fake_clock import FakeClock
from tests.doubles.flaky_ledger import FlakyLedger

WINDOW = Reported(stale_after_ms=600_000)
FLOWS = Budget(name="wallet.acme.5_hour", unit="flows", limit=EXACT_MAX, window=WINDOW)
BALANCE = Budget(name="wallet.acme.balance", unit=USD, limit=EXACT_MAX, window=WINDOW)
DAY = Budget(
    name="day",
    unit=USD,
    limit=10**12,
    window=Calendar("day"),
    when_ledger_down_nano_usd=10**12,
    when_unpriced_nano_usd=7,
)
PRICE = price(credits_per_usd={"flows": 30 * 10**9})


def quoter(*wallets: Budget, factor: int = 1_000, prices: FakePrices | None = None) -> Quoter:
    return Quoter(
        prices or FakePrices(PRICE),
        Learning(),
        wallets=lambda _: tuple((budget, "") for budget in wallets),
        factor=lambda _, __: factor,
    )


def quote(*budgets: Budget, by: Quoter) -> Quoted:
    found = by.quote(routed(*budgets))
    assert isinstance(found, Quoted)
    return found


def held(call: Quoted) -> dict[str, tuple[int, int]]:
    return {ask.budget.name: (ask.held, ask.bound) for ask in call.asks}


def test_a_call_asks_its_budgets_and_then_its_providers_quotas() -> None:
    found = held(quote(DAY, by=quoter(FLOWS, BALANCE)))

    assert list(found) == ["day", FLOWS.name, BALANCE.name]
    assert found[BALANCE.name] == found["day"]
    assert found[FLOWS.name][0] == 30 * found["day"][0]


def test_a_call_without_a_price_asks_a_balance_for_what_it_reserves() -> None:
    found = held(quote(DAY, by=quoter(FLOWS, BALANCE, prices=FakePrices())))

    assert found == {"day": (7, 7), FLOWS.name: (0, 0), BALANCE.name: (7, 7)}


def test_a_quota_is_no_reason_to_admit_a_call_without_a_price() -> None:
    assert isinstance(quoter(BALANCE, prices=FakePrices()).quote(routed()), Refusal)


@pytest.mark.parametrize(("factor", "dearer"), [(1_000, 1_000), (1_440, 1_440), (700, 1_000)])
def test_bills_above_the_list_raise_quotes_in_money_and_never_lower_them(
    factor: int, dearer: int
) -> None:
    budgets = (
        DAY,
        Budget(name="tokens", unit=TOKENS, limit=10**9, window=Lifetime()),
        Budget(name="output", unit=OUTPUT_TOKENS, limit=10**9, window=Lifetime()),
        Budget(name="calls", unit=CALLS, limit=10**9, window=Lifetime()),
    )
    plain = held(quote(*budgets, by=quoter(FLOWS)))
    found = held(quote(*budgets, by=quoter(FLOWS, factor=factor)))

    for name in ("tokens", "output", "calls"):
        assert found[name] == plain[name]
    for name in ("day", FLOWS.name):
        assert found[name] == tuple(-(-amount * dearer // 1_000) for amount in plain[name])


class Closable(NoWallets):
    """Wallets of a provider that may have refused a call just now."""

    closed = False

    def is_closed(self, provider: str) -> bool:
        del provider
        return self.closed


class Rig:
    """A gate in front of a provider with one quota."""

    def __init__(self, clock: FakeClock) -> None:
        self.memory = MemoryLedger(clock)
        self.ledger = FlakyLedger(self.memory)
        self.wallets = Closable()
        self.let_go: list[str] = []
        self.quoter = quoter(BALANCE)
        self.gate = Gate(
            self.ledger,
            Allowance(),
            self.quoter.with_quote,
            self._unused,
            clock,
            self.wallets,
        )

    async def _unused(self, ticket: Ticket, reason: str) -> None:
        self.let_go.append(reason)
        await self.memory.release(ticket.reservation, outcome="{}")

    async def admit(self) -> Ticket | Refusal:
        found = await self.gate.admit(quote(DAY, by=self.quoter))
        return found if isinstance(found, Refusal) else found[0]

    async def standing(self) -> Standing:
        (found,) = await self.memory.standings([Ask(budget=BALANCE, subject="", held=0, bound=0)])
        return found


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


async def test_a_quota_is_not_spoken_of_while_it_has_room(rig: Rig) -> None:
    ticket = await rig.admit()

    assert isinstance(ticket, Ticket)
    assert ticket.tightest is not None
    assert ticket.tightest.budget == "day"


async def test_a_quota_without_room_refuses_as_a_wallet_and_reserves_nothing(rig: Rig) -> None:
    now_ms = rig.memory.now_ms()
    await rig.memory.report(BALANCE, "", limit=1, closed="", began_ms=now_ms)
    refusal = await rig.admit()

    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.kind) == (402, ErrorKind.WALLET_EXHAUSTED)
    assert (await rig.standing()).reserved == 0


async def test_a_call_that_passed_before_the_provider_refused_another_one_is_not_sent(
    rig: Rig,
) -> None:
    rig.wallets.closed = True
    refusal = await rig.admit()

    assert isinstance(refusal, Refusal)
    assert refusal.kind is ErrorKind.WALLET_EXHAUSTED
    assert rig.let_go == ["the provider has just refused another call"]
    assert (await rig.standing()).reserved == 0


async def test_without_the_ledger_a_quota_is_nobodys_to_allow(rig: Rig) -> None:
    rig.ledger.fail("reserve", fault=LedgerUntouched("Redis is not connected"))
    ticket = await rig.admit()

    assert isinstance(ticket, Ticket)
    assert ticket.on_allowance
    assert [charge.budget for charge in ticket.reservation.charges] == ["day", BALANCE.name]


async def test_a_quota_alone_allows_nothing_without_the_ledger(rig: Rig) -> None:
    rig.ledger.fail("reserve", fault=LedgerUntouched("Redis is not connected"))
    found = await rig.gate.admit(replace(quote(by=rig.quoter)))

    assert isinstance(found, Refusal)
    assert found.status == 503
