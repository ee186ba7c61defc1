"""All receipts of an organisation: what is due for whom, loops that outlive faults, and how it stands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.interface import Due
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.units import USD
from policies.windows import Calendar
from proxy.receipts.desk import Progress
from proxy.receipts.drift import DriftBook, ModelDay
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.history_work import HistoryWork
from proxy.receipts.receipt import Final, Pending, SetAside
from proxy.receipts.schedule import Waiting
from proxy.receipts.work import DRIFT_EVERY_MS, STATUS_DAYS, ExtraUsage, Parts, ReceiptWork
from tests.doubles.calls import MODEL
from tests.doubles.fake_clock import NOON_MS, FakeClock
from tests.doubles.fake_upstream import never
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.waiting import until
from tests.proxy.receipts.desks import DAY_MS, MINUTE_MS, PROVIDER, World, world
from tests.proxy.receipts.histories import History

UNATTRIBUTED = Budget(
    name="unattributed", unit=USD, limit=EXACT_MAX, window=Calendar("month"), mode="shadow"
)


class Witness:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.drifts: list[ModelDay] = []
        self.stands: list[tuple[str, Waiting]] = []
        self.faults: list[str] = []
        self.never: list[tuple[str, str]] = []

    def receipts_failed(self, fault: Exception) -> None:
        self.faults.append(repr(fault))

    def receipts_never_come(self, provider: str, reason: str) -> None:
        self.never.append((provider, reason))

    def drifted(self, row: ModelDay) -> None:
        self.drifts.append(row)

    def waiting(self, provider: str, waiting: Waiting) -> None:
        self.stands.append((provider, waiting))


class CountedTotals:
    """Counts how often totals were to be compared."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.runs = 0
        self.fault = fault

    async def run_due(self) -> None:
        self.runs += 1
        if self.fault is not None:
            raise self.fault


class Pauses:
    """Lets each loop go round so many times, and then waits for ever."""

    def __init__(self, rounds: int) -> None:
        self.asked: Counter[float] = Counter()
        self._rounds = rounds
        self._passed: Counter[object] = Counter()

    async def __call__(self, seconds: float) -> None:
        self.asked[seconds] += 1
        loop = asyncio.current_task()
        self._passed[loop] += 1
        if self._passed[loop] >= self._rounds:
            await never()


class Rig:
    """The work of one replica at one provider."""

    def __init__(self, here: World, **settings: Any) -> None:
        self.here = here
        here.settings = here.settings.model_copy(update=settings)
        self.watch = Witness()
        self.totals = [CountedTotals()]
        self.ledger = FlakyLedger(here.ledger)
        keys = here.ledger.keys
        self.ghosts = Ghosts(here.ledger, here.commands, keys, lambda: UNATTRIBUTED)
        self.drift = DriftBook(here.commands, keys, here.ledger)
        self.histories: dict[str, HistoryWork] = {}
        self.extra_usage: dict[str, ExtraUsage] = {}

    def work(self, pauses: Pauses | None = None, *, desks: bool = True) -> ReceiptWork:
        parts = Parts(
            desks={PROVIDER: self.here.desk(ledger=self.ledger)} if desks else {},
            histories=self.histories,
            totals=self.totals,
            extra_usage=self.extra_usage,
            ghosts=self.ghosts,
            schedule=self.here.schedule,
            drift=self.drift,
        )
        return ReceiptWork(
            parts,
            settings=self.here.settings,
            observer=self.watch,
            now_ms=self.here.ledger.now_ms,
            sleep=pauses or Pauses(1),
        )

    async def drifts(self, metered: int, billed: int) -> None:
        """Let a model's bills of today be off."""
        key = self.here.ledger.keys.receipts(PROVIDER, "sums:2026-11-23")
        words = {"compared": 20, "compared_metered": metered, "compared_billed": billed}
        for word, number in words.items():
            await self.here.commands.execute("HSET", key, f"{MODEL}|{word}", number)


@pytest.fixture
def rig(redis_ledger: RedisLedger, connection: Connection, clock: FakeClock) -> Rig:
    return Rig(world(redis_ledger, connection, clock))


# For the gateway…


@pytest.mark.parametrize(
    ("never_bills", "asked", "after_ms"),
    [
        (None, {}, 3 * MINUTE_MS),
        (None, {"exact": True}, 3 * MINUTE_MS),
        (None, {"exact": True, "cost_told": True}, 0),
        (None, {"cost_told": True}, 0),
        # There is nothing to wait for.
        ("a subscription", {"exact": True}, 0),
        # It counts tokens at least.
        ("a subscription", {}, 3 * MINUTE_MS),
    ],
)
def test_when_the_receipt_of_a_call_is_looked_for(
    rig: Rig, never_bills: str | None, asked: Mapping[str, bool], after_ms: int
) -> None:
    rig.here.adapter.never = never_bills

    assert rig.work().due(PROVIDER, **asked) == Due(queue=PROVIDER, after_ms=after_ms)


def test_a_provider_that_tells_nobody_what_it_billed_has_no_receipts(rig: Rig) -> None:
    assert rig.work().due("another", cost_told=True) is None


async def test_quotes_are_raised_by_what_was_read_last(rig: Rig) -> None:
    rig.here.settings = rig.here.settings.model_copy(update={"correct_quotes": True})
    work = rig.work()
    await rig.drifts(1_000, 1_440)

    assert work.factor(PROVIDER, MODEL) == 1_000
    await work.check_drift()
    await work.refresh_factors()

    assert work.factor(PROVIDER, MODEL) == 1_440
    assert (work.factor(PROVIDER, "other"), work.factor("another", MODEL)) == (1_000, 1_000)


async def test_quotes_are_not_raised_unless_that_is_set(rig: Rig) -> None:
    work = rig.work()
    await rig.drifts(1_000, 1_440)

    await work.check_drift()
    await work.refresh_factors()

    assert work.factor(PROVIDER, MODEL) == 1_000


# Drift…


async def test_one_replica_looks_for_drift_and_alerts_once(rig: Rig) -> None:
    await rig.drifts(1_000, 1_440)

    await asyncio.gather(rig.work().check_drift(), rig.work().check_drift())

    assert [(row.model, row.per_mille) for row in rig.watch.drifts] == [(MODEL, 440)]
    left_ms = await rig.here.commands.execute("PTTL", rig.here.ledger.keys.claim("drift"))
    assert 0 < int(left_ms) <= DRIFT_EVERY_MS


# Loops…


async def run_loops(work: ReceiptWork, pauses: Pauses, count: int) -> None:
    """Run every loop until each has gone round, and cancel them."""
    loops = [asyncio.ensure_future(loop) for loop in work.loops()]
    assert len(loops) == count
    await until(lambda: sum(pauses.asked.values()) >= 3 * count)
    for loop in loops:
        loop.cancel()
    ends = await asyncio.gather(*loops, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


async def test_everything_goes_round_by_itself(rig: Rig) -> None:
    pauses = Pauses(3)
    rig.here.adapter.says("gen-a", Final(nano_usd=5))
    await rig.here.settle()

    await run_loops(rig.work(pauses), pauses, 3)

    assert rig.totals[0].runs == 3
    assert await rig.here.spent() == [5]
    stands = Waiting(calls=0, due=0, slow_until_ms=0, set_aside=0)
    assert rig.watch.stands == [(PROVIDER, stands)] * 3
    assert set(pauses.asked) == {rig.here.settings.poll_every_ms / 1_000}


async def test_a_ledger_that_is_away_ends_no_loop_and_loses_no_call(rig: Rig) -> None:
    pauses = Pauses(3)
    rig.totals = [CountedTotals(LedgerUnavailable("away"))]
    rig.here.adapter.says("gen-a", Final(nano_usd=5))
    await rig.here.settle()
    rig.ledger.away = True

    await run_loops(rig.work(pauses), pauses, 3)
    rig.ledger.away = False
    rig.here.clock.advance(rig.here.desk().claim_ms)
    await rig.here.round()

    assert rig.totals[0].runs == 3
    assert await rig.here.spent() == [5]


async def test_a_fault_of_ours_ends_no_loop_and_is_told(rig: Rig) -> None:
    pauses = Pauses(3)
    rig.totals = [CountedTotals(ZeroDivisionError("ours"))]

    await run_loops(rig.work(pauses), pauses, 3)

    assert rig.totals[0].runs == 3
    assert rig.watch.faults == ["ZeroDivisionError('ours')"] * 3


async def test_factors_are_read_again_and_again_where_quotes_are_corrected(rig: Rig) -> None:
    pauses = Pauses(3)
    rig.here.settings = rig.here.settings.model_copy(update={"correct_quotes": True})

    await run_loops(rig.work(pauses), pauses, 4)

    assert pauses.asked[10.0] == 3


async def test_without_providers_that_bill_there_is_nothing_to_do(rig: Rig) -> None:
    rig.totals = []

    assert rig.work(desks=False).loops() == []
    assert await rig.work(desks=False).status() == []
    assert await rig.work(desks=False).run_due() == {}


# For operators…


async def test_a_run_reads_histories_looks_up_what_is_due_and_compares_totals(
    rig: Rig, connection: Connection, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    history = History(connection, redis_ledger, clock)
    rig.histories = {"p": history.work}
    for number in range(10):
        await rig.here.settle(f"{number}")
        answer = Final(nano_usd=1) if number else Pending("not yet")
        rig.here.adapter.says(f"gen-{number}", answer)
    told: list[tuple[str, int]] = []

    def tell(provider: str, progress: Progress) -> None:
        told.append((provider, progress.calls))

    assert await rig.work().run_due(tell) == {"booked": 9, "pending": 1}

    assert told == [(PROVIDER, 8), (PROVIDER, 10)]
    assert history.watch.events == [("read", 3)]
    assert rig.totals[0].runs == 1
    assert await rig.work().run_due() == {}


async def test_how_everything_stands(rig: Rig) -> None:
    for call_id, answer in (("a", Final(nano_usd=5)), ("b", SetAside("odd")), ("c", None)):
        await rig.here.settle(call_id)
        if answer is not None:
            rig.here.adapter.says(f"gen-{call_id}", answer)
    await rig.here.round()
    old_ms = NOON_MS - (STATUS_DAYS + 1) * DAY_MS
    for name, at_ms, nano_usd in (("old", old_ms, 1), ("x", NOON_MS, 7), ("y", NOON_MS - 1, 8)):
        ghost = Ghost(provider=PROVIDER, id=name, kind="row", at_ms=at_ms, nano_usd=nano_usd)
        await rig.ghosts.book(ghost)
    rig.here.adapter.never = "why"

    (status,) = await rig.work().status()

    assert (status.provider, status.never) == (PROVIDER, "why")
    assert status.waiting == Waiting(calls=2, due=0, slow_until_ms=0, set_aside=1)
    assert status.set_aside == {"b": "odd"}
    assert [(row.model, row.receipted, row.billed) for row in status.days] == [(MODEL, 1, 5)]
    assert [ghost.id for ghost in status.ghosts] == ["x", "y"]
    assert (status.ghost_calls, status.ghost_nano_usd) == (2, 15)


async def test_what_a_subscription_was_billed_for_besides_is_told_by_day_and_model(
    rig: Rig,
) -> None:
    billed = {"2026-11-23": {"b": (7, 2), "a": (5, 1)}, "2026-11-17": {"a": (1, 1)}}
    asked: list[str] = []

    async def extra_usage(day: str) -> Mapping[str, tuple[int, int]]:
        asked.append(day)
        return billed.get(day, {})

    rig.extra_usage = {PROVIDER: extra_usage, "another": extra_usage}

    (status,) = await rig.work().status()

    assert status.extra_usage == [
        ("2026-11-23", "a", 5, 1),
        ("2026-11-23", "b", 7, 2),
        ("2026-11-17", "a", 1, 1),
    ]
    assert len(asked) == STATUS_DAYS
