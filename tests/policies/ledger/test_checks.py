"""What an entry says of the decision: enough to decide again, a year later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.budgets import Budget
from policies.decisions import Admitted, Decision, Refused
from policies.journal import Check, Entry
from policies.ledger.connection import Connection
from policies.ledger.interface import Admission, Ask
from policies.ledger.memory import MemoryLedger
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.units import CALLS, TOKENS, USD
from policies.windows import Calendar, FirstUse, Lifetime, Reported, Rolling
from tests.doubles.fake_clock import NOON_MS, FakeClock

Ledger = MemoryLedger | RedisLedger
HOUR_MS = 3_600_000
DAY = Budget(name="day", unit=USD, limit=10, window=Calendar("day"))
WALLET = Budget(name="wallet.p", unit=USD, limit=EXACT_MAX, window=Reported(HOUR_MS))


async def reserve(
    ledger: Ledger, *budgets: Budget, held: int = 4, admission: Admission = Admission.DECIDE
) -> Decision:
    asks = [
        Ask(
            budget=budget,
            subject='al"ice/ä' if budget.each else "",
            held=held,
            bound=held + 3 if budget.quote == "likely" else held,
        )
        for budget in budgets
    ]
    return await ledger.reserve("a", asks, data="{}", admission=admission)


async def last(ledger: Ledger) -> Entry:
    return (await ledger.journal())[-1]


async def test_an_admitted_call_is_entered_with_all_that_was_looked_at(ledger: Ledger) -> None:
    budgets = (
        DAY,
        Budget(name="life", unit=CALLS, limit=7, window=Lifetime(), each="user"),
        Budget(
            name="roll",
            unit=TOKENS,
            limit=9,
            window=Rolling(HOUR_MS),
            quote="likely",
            overrun_max=5,
        ),
        Budget(name="first", unit=USD, limit=3, window=FirstUse(HOUR_MS), mode="shadow"),
    )
    decision = await reserve(ledger, *budgets)
    assert isinstance(decision, Admitted)

    entry = (await ledger.journal())[0]

    day, life, roll, first = entry.checks
    assert day == Check(
        budget="day",
        subject="",
        unit=USD,
        counter="day:USD::2026-11-23",
        kind="fixed",
        length_ms=NOON_MS // 86_400_000 * 86_400_000 + 86_400_000,
        bucket_ms=0,
        slot=0,
        held=4,
        bound=4,
        limit=10,
        mode="enforce",
        overrun_max=0,
        short=False,
    )
    assert (life.subject, life.unit, life.limit, life.length_ms) == ('al"ice/ä', CALLS, 7, 0)
    assert (roll.held, roll.bound, roll.overrun_max) == (4, 7, 5)
    assert (roll.length_ms, roll.bucket_ms, roll.slot) == (HOUR_MS, 60_000, NOON_MS // 60_000)
    assert (first.slot, first.mode, first.short) == (NOON_MS, "shadow", True)
    assert tuple(check.charge for check in entry.checks) == decision.reservation.charges
    assert not entry.forced


async def test_a_refused_call_is_entered_with_every_budget_and_which_had_no_room(
    ledger: Ledger,
) -> None:
    month = Budget(name="month", unit=USD, limit=100, window=Calendar("month"))
    tiny = replace(DAY, name="tiny", limit=1)

    assert isinstance(await reserve(ledger, month, DAY, tiny, held=11), Refused)

    entry = await last(ledger)
    assert entry.kind == "refused"
    assert [(check.budget, check.short) for check in entry.checks] == [
        ("month", False),
        ("day", True),
        ("tiny", True),
    ]


async def test_a_call_that_was_not_checked_says_so_and_what_a_check_would_have_found(
    ledger: Ledger,
) -> None:
    await reserve(ledger, DAY, held=12, admission=Admission.FORCE)

    entry = await last(ledger)
    (check,) = entry.checks
    assert (entry.forced, check.short, entry.movements[0].overrun) == (True, True, 2)


@pytest.mark.parametrize("admission", [Admission.DECIDE, Admission.TRY])
async def test_a_call_that_was_checked_is_not_called_forced(
    ledger: Ledger, admission: Admission
) -> None:
    await reserve(ledger, DAY, admission=admission)

    assert not (await last(ledger)).forced


async def test_the_limit_of_a_providers_window_is_the_reported_one(
    ledger: Ledger, clock: FakeClock
) -> None:
    await ledger.report(WALLET, "", limit=3, closed="", began_ms=clock.now_ms())

    assert isinstance(await reserve(ledger, WALLET), Refused)
    (check,) = (await last(ledger)).checks
    assert (check.limit, check.slot, check.short) == (3, 3, True)


async def test_a_closed_window_has_room_for_nothing(ledger: Ledger) -> None:
    await ledger.close(WALLET, "", reason="402", for_ms=HOUR_MS)

    assert isinstance(await reserve(ledger, WALLET, held=0), Refused)
    (check,) = (await last(ledger)).checks
    assert (check.limit, check.slot, check.short) == (0, -1, True)


async def test_the_greatest_amounts_are_exact(ledger: Ledger) -> None:
    most = replace(DAY, limit=EXACT_MAX)

    await reserve(ledger, most, held=EXACT_MAX - 2)

    (check,) = (await last(ledger)).checks
    assert (check.limit, check.held) == (EXACT_MAX, EXACT_MAX - 2)


async def test_a_call_without_budgets_was_checked_against_none(ledger: Ledger) -> None:
    await reserve(ledger)

    assert (await last(ledger)).checks == ()


# Acts…


async def test_an_act_is_entered_each_time_and_is_about_no_call(
    ledger: Ledger, clock: FakeClock
) -> None:
    for _ in range(2):
        await ledger.note("policies_loaded", '{"actor":"root","from":"cli"}')

    first, second = await ledger.journal()
    assert (first.kind, first.call_id, first.at_ms) == ("policies_loaded", "", clock.now_ms())
    assert first.data == second.data == '{"actor":"root","from":"cli"}'
    assert (first.movements, first.checks) == ((), ())


@pytest.mark.parametrize("kind", ["admitted", "refused", "settle", "receipt", "restore"])
async def test_no_act_is_entered_as_a_movement_of_money(ledger: Ledger, kind: str) -> None:
    with pytest.raises(ValueError, match="never by itself"):
        await ledger.note(kind, "{}")

    assert await ledger.journal() == []


# The live tail…


async def test_the_tail_goes_on_when_what_was_read_is_trimmed(
    redis_ledger: RedisLedger, connection: Connection
) -> None:
    """The archive takes entries out of the stream once it has them."""
    for number in range(4):
        await redis_ledger.note("exported", f'{{"number":{number}}}')
    read = (await redis_ledger.journal(count_max=2))[-1].id
    last_id = (await redis_ledger.journal())[-1].id
    await connection.execute("XTRIM", redis_ledger.keys.journal, "MINID", last_id)

    (left,) = await redis_ledger.journal(after=read)
    assert (left.id, left.data) == (last_id, '{"number":3}')
    assert await redis_ledger.journal() == [left]

    await connection.execute("XTRIM", redis_ledger.keys.journal, "MAXLEN", 0)
    assert await redis_ledger.journal(after=read) == []
    await redis_ledger.note("exported", '{"number":4}')
    assert [entry.data for entry in await redis_ledger.journal(after=last_id)] == ['{"number":4}']
