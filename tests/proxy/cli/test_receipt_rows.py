"""How receipts stand, as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from proxy.cli.receipt_rows import ReceiptRows, drift_row, receipts_row
from proxy.receipts.desk import Progress
from proxy.receipts.drift import ModelDay
from proxy.receipts.ghosts import Ghost
from proxy.receipts.schedule import Waiting
from proxy.receipts.work import Status

DAY = ModelDay(
    provider="sim",
    day="2026-11-23",
    model="acme/mini",
    receipted=6,
    billed=2_000,
    compared=5,
    compared_metered=1_000,
    compared_billed=1_440,
    unreceipted=1,
    never=1,
)
GHOST = Ghost(
    provider="sim", id="r:1", kind="row", at_ms=0, nano_usd=-5, credits={"DIEM": 7}, calls=2
)
STATUS = Status(
    provider="sim",
    waiting=Waiting(calls=4, due=2, slow_until_ms=60_000, set_aside=1),
    never=None,
    days=[DAY],
    ghosts=[GHOST],
    ghost_nano_usd=-5,
    ghost_calls=2,
    set_aside={"call_1": "the amount is negative"},
    extra_usage=[("2026-11-23", "acme/mini", 5, 2)],
)


class Work:
    """Two looks, each of one call."""

    async def status(self) -> list[Status]:
        return [STATUS]

    async def run_due(self, told: Callable[[str, Progress], None] | None = None) -> dict[str, int]:
        progress = Progress(Counter(booked=1))
        if told is not None:
            told("sim", progress)
        progress.results["pending"] += 1
        return dict(progress.results)


def test_a_provider_has_its_queue_and_its_last_days() -> None:
    row = receipts_row(STATUS)

    assert (row.waiting, row.due, row.slowed_until) == (4, 2, "1970-01-01T00:01:00Z")
    assert (row.receipted, row.given_up, row.never_comes) == (6, 1, 1)
    assert [(each.call_id, each.reason) for each in row.set_aside] == [
        ("call_1", "the amount is negative")
    ]


def test_ghosts_tell_their_amounts_and_where_the_ledger_has_them() -> None:
    spend = receipts_row(STATUS).ghost_spend

    assert (spend.calls, spend.amount.usd) == (2, "-0.000000005")
    assert spend.items[0].call_id == GHOST.call_id
    assert spend.items[0].credits == {"DIEM": {"nano": 7, "amount": "0.000000007"}}


def test_what_a_subscription_was_billed_for_besides_is_told() -> None:
    (extra,) = receipts_row(STATUS).extra_usage

    assert (extra.day, extra.model, extra.calls) == ("2026-11-23", "acme/mini", 2)
    assert extra.amount.nano_usd == 5


def test_drift_compares_calls_that_were_metered_exactly() -> None:
    row = drift_row(DAY)

    assert (row.compared, row.metered.nano_usd, row.billed.nano_usd) == (5, 1_000, 1_440)
    assert (row.difference.nano_usd, row.difference_percent) == (440, 44.0)
    assert (row.receipted, row.receipted_amount.nano_usd) == (6, 2_000)
    assert row.without_receipt_percent == 25.0


def test_a_day_without_anything_divides_by_nothing() -> None:
    row = drift_row(ModelDay(provider="sim", day="2026-11-23", model="acme/mini"))

    assert (row.without_receipt_percent, row.difference_percent) == (0.0, None)


async def test_a_run_is_prepared_and_tells_how_far_it_is() -> None:
    order: list[object] = []

    async def prepare() -> None:
        order.append("prepared")

    def told(results: Mapping[str, int]) -> None:
        order.append(dict(results))

    results = await ReceiptRows(Work(), prepare).run_due(told)

    assert order == ["prepared", {"booked": 1}]
    assert results == {"booked": 1, "pending": 1}


async def test_a_worker_has_nothing_to_prepare() -> None:
    rows = ReceiptRows(Work())

    assert await rows.run_due(lambda _: None) == {"booked": 1, "pending": 1}
    assert [row.provider for row in await rows.status()] == ["sim"]
