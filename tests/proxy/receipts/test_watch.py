"""What an operator sees of receipts: everything counted, what needs eyes logged, and the same once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policies.decisions import Moved
from policies.ledger.interface import Tally
from policies.reservations import State
from policies.units import Amounts
from proxy.receipts.compare import Adjustment
from proxy.receipts.drift import ModelDay
from proxy.receipts.ghosts import Ghost
from proxy.receipts.history.pages import Unreadable
from proxy.receipts.history.rows import BadRow
from proxy.receipts.history.scan import Scanned
from proxy.receipts.receipt import SlowDown
from proxy.receipts.schedule import Waiting
from proxy.receipts.watch import ReceiptWatch
from proxy.telemetry.billing import Billing
from tests.doubles.fake_clock import FakeClock
from tests.doubles.stations import keeping_log


class Rig:
    """A watch, what it counts and what it logs."""

    def __init__(self, clock: FakeClock) -> None:
        self.billing = Billing()
        log, self.logs = keeping_log()
        self.watch = ReceiptWatch(self.billing, log, clock)

    @property
    def counted(self) -> dict[str, float]:
        """All numbers that are not zero, by name and labels."""
        return {
            " ".join([series.name.removeprefix("bursar_"), *labels]): numbers[0]
            for series in vars(self.billing).values()
            for labels, numbers in series.rows()
            if numbers[0]
        }


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


def adjustment(difference: int | None = None, *, usage_differs: bool = False) -> Adjustment:
    return Adjustment(
        amounts=Amounts(nano_usd=9),
        keep=frozenset(),
        outcome="{}",
        tally=Tally(provider="p", name="n", counts=()),
        difference_nano_usd=difference,
        usage_differs=usage_differs,
    )


def booked(
    difference: int | None = None, *, prior_period: int = 0, usage_differs: bool = False
) -> Callable[[ReceiptWatch], None]:
    moved = Moved(state=State.RECEIPTED, changed=True, prior_period=prior_period)
    made = adjustment(difference, usage_differs=usage_differs)
    return lambda watch: watch.receipt_booked("p", "call-1", made, moved)


def ghost(nano_usd: int) -> Ghost:
    return Ghost(provider="p", id="g", kind="row", at_ms=1, nano_usd=nano_usd)


def scanned(**fields: Any) -> Scanned:
    return Scanned(endpoint="usage", place_ms=1, new_rows=3, **fields)


ROW = ModelDay(provider="p", day="2026-11-23", model="m", compared_metered=100, compared_billed=144)


@pytest.mark.parametrize(
    ("happens", "counted", "logged"),
    [
        (
            lambda w: w.receipt_looked_up("p", "pending"),
            {"receipt_look_ups p pending": 1},
            [],
        ),
        (booked(308), {"receipts_raised_nano_usd p": 308}, [("debug", "receipt_booked")]),
        (booked(-7), {"receipts_lowered_nano_usd p": 7}, [("debug", "receipt_booked")]),
        (booked(0), {}, [("debug", "receipt_booked")]),
        (booked(None), {}, [("debug", "receipt_booked")]),
        (booked(prior_period=2), {"receipts_prior_period p": 1}, [("debug", "receipt_booked")]),
        (
            booked(usage_differs=True),
            {"receipts_usage_differs p": 1},
            [("warning", "receipt_usage_differs"), ("debug", "receipt_booked")],
        ),
        (
            lambda w: w.receipt_given_up("p", "call-1", "why", never=False),
            {},
            [("warning", "receipt_did_not_come")],
        ),
        (
            lambda w: w.receipt_given_up("p", "call-1", "why", never=True),
            {},
            [("debug", "receipt_never_comes")],
        ),
        (
            lambda w: w.receipt_set_aside("p", "call-1", "odd", first=True),
            {"receipts_set_aside p": 1},
            [("warning", "receipt_set_aside")],
        ),
        (
            lambda w: w.receipt_set_aside("p", "call-1", "odd", first=False),
            {"receipts_set_aside p": 1},
            [],
        ),
        (
            lambda w: w.receipts_slowed("p", 30_000),
            {"receipts_slowed p": 1},
            [("info", "receipts_slowed_down")],
        ),
        (
            lambda w: w.history_read("p", scanned()),
            {"billing_history_rows p new": 3},
            [],
        ),
        (
            lambda w: w.history_read(
                "p",
                scanned(
                    counts={"rows": 9, "bad": 2, "duplicates": 4, "credits": 1},
                    bad=(BadRow("no amount", "r-1"), BadRow("no time")),
                    stopped=Unreadable("cut"),
                ),
            ),
            {
                "billing_history_rows p new": 3,
                "billing_history_rows p bad": 2,
                "billing_history_rows p duplicates": 4,
            },
            [("warning", "billing_row_unreadable")] * 2 + [("info", "billing_history_stopped")],
        ),
        (
            lambda w: w.history_read("p", scanned(stopped=SlowDown(5))),
            {"billing_history_rows p new": 3},
            [("info", "billing_history_stopped")],
        ),
        (
            lambda w: w.history_failed("p", "an admin key is needed"),
            {"billing_history_failed p": 1},
            [("error", "billing_history_unreadable")],
        ),
        (
            lambda w: w.ghost_found(ghost(52)),
            {"ghost_spend_nano_usd p": 52},
            [("warning", "ghost_spend_found")],
        ),
        # A counter goes up alone; the budget has what was given back.
        (lambda w: w.ghost_found(ghost(-52)), {}, [("warning", "ghost_spend_found")]),
        (
            lambda w: w.ghost_set_aside("p", "g", "odd"),
            {"receipts_set_aside p": 1},
            [("warning", "ghost_spend_set_aside")],
        ),
        (lambda w: w.drifted(ROW), {"drift_alerts p": 1}, [("warning", "price_list_drifts")]),
        (
            lambda w: w.waiting("p", Waiting(calls=4, due=1, slow_until_ms=0, set_aside=0)),
            {"receipts_waiting p": 4},
            [],
        ),
    ],
)
def test_what_happens_is_counted_and_logged_as_it_is_worth(
    rig: Rig,
    happens: Callable[[ReceiptWatch], None],
    counted: dict[str, float],
    logged: list[tuple[str, str]],
) -> None:
    happens(rig.watch)

    assert rig.counted == counted
    assert [(event["level"], event["event"]) for event in rig.logs.events] == logged
    assert all(event["provider"] == "p" for event in rig.logs.events)


@pytest.mark.parametrize(
    "happens",
    [
        booked(1),
        booked(usage_differs=True),
        lambda w: w.receipt_given_up("p", "call-1", "why", never=False),
        lambda w: w.receipt_set_aside("p", "call-1", "why", first=True),
    ],
    ids=["booked", "usage-differs", "given-up", "set-aside"],
)
def test_what_is_said_of_a_call_names_it(rig: Rig, happens: Callable[[ReceiptWatch], None]) -> None:
    happens(rig.watch)

    assert {event["call"] for event in rig.logs.events} == {"call-1"}


def test_a_drift_is_told_with_its_numbers(rig: Rig) -> None:
    rig.watch.drifted(ROW)

    (event,) = rig.logs.events
    assert (event["metered_nano_usd"], event["billed_nano_usd"]) == (100, 144)
    assert (event["model"], event["day"], event["per_mille"]) == ("m", "2026-11-23", 440)


def test_a_history_that_cannot_be_read_is_told_once_and_counted_each_time(rig: Rig) -> None:
    for reason in ("no key", "no key", "HTML", "no key"):
        rig.watch.history_failed("p", reason)
    rig.watch.history_failed("q", "no key")

    assert [event["reason"] for event in rig.logs.events] == ["no key", "HTML", "no key", "no key"]
    assert rig.counted == {"billing_history_failed p": 4, "billing_history_failed q": 1}


def test_a_history_that_was_read_in_between_is_told_of_anew(rig: Rig) -> None:
    rig.watch.history_failed("p", "no key")
    rig.watch.history_read("p", scanned())
    rig.watch.history_failed("p", "no key")

    assert rig.logs.names == ["billing_history_unreadable"] * 2
