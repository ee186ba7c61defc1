"""What operators see: everything about money counted, what is rare logged, nothing secret in either."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from policies.call_ids import new_call_id
from policies.decisions import Moved
from policies.reservations import Operation, State
from policies.units import Amounts
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal, Ticket
from proxy.gateway.settle import Conclusion
from proxy.gateway.watch import Watch
from proxy.prices.lists import PriceChange
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.traces import CallTrace
from tests.doubles.calls import MONTH, price, quoted, reservation_of, ticket
from tests.doubles.fake_clock import FakeClock
from tests.doubles.stations import Logs, keeping_log

FAULT = RuntimeError("a mistake")


class Rig:
    """A watch, what it counts and what it logs."""

    def __init__(self, clock: FakeClock) -> None:
        self.metrics = Metrics(clock)
        log, self.logs = keeping_log()
        self.watch = Watch(self.metrics, log)

    @property
    def counted(self) -> dict[str, float]:
        return {
            " ".join([sample.name.removeprefix("bursar_"), *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(self.metrics.render().decode())
            for sample in family.samples
            if sample.value and not sample.name.endswith(("_bucket", "_sum", "_workers"))
        }


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


def settled(nano_usd: int = 5, certainty: str = "exact") -> Conclusion:
    return Conclusion(
        operation=Operation.SETTLE,
        amounts=Amounts(nano_usd=nano_usd),
        outcome="{}",
        certainty=certainty,
    )


def refusal(kind: ErrorKind = ErrorKind.BUDGET_EXCEEDED, **more: Any) -> Refusal:
    return Refusal(status=402, kind=kind, message="There is no room for sk-secret.", **more)


MOVED = Moved(state=State.SETTLED, changed=True)
CHANGE = PriceChange(provider="fake", model="m", old=None, new=price(), source="list")


@pytest.mark.parametrize(
    ("happens", "counted", "logged"),
    [
        (
            lambda w: w.refused(refusal(), "messages", "call_a"),
            {"calls_refused_total messages budget_exceeded": 1},
            ["call_refused"],
        ),
        (
            lambda w: w.refused(
                refusal(ErrorKind.UNAUTHENTICATED, reason="revoked"), "messages", "call_a"
            ),
            {
                "calls_refused_total messages unauthenticated": 1,
                "authentication_failures_total revoked": 1,
            },
            ["call_refused"],
        ),
        (
            lambda w: w.refused(refusal(ErrorKind.UNAUTHENTICATED), "messages", "call_a"),
            {
                "calls_refused_total messages unauthenticated": 1,
                "authentication_failures_total other": 1,
            },
            ["call_refused"],
        ),
        (
            lambda w: w.booked(ticket(), settled(), MOVED),
            {"calls_ended_total fake settled exact": 1},
            ["call_settled"],
        ),
        (
            lambda w: w.put_off(ticket(), settled()),
            {"settlements_put_off_total": 1},
            ["settlement_waits_for_ledger"],
        ),
        (lambda w: w.lost(ticket(), settled(), "disk full"), {}, ["settlement_not_kept"]),
        (lambda w: w.replayed(3), {"settlements_late_total": 3}, ["settlements_booked_late"]),
        (
            lambda w: w.stock(unbooked=2, drains=4),
            {"settlements_waiting": 2, "drains_running": 4},
            [],
        ),
        (lambda w: w.expired("call_a"), {"calls_expired_total": 1}, ["call_expired"]),
        (lambda w: w.client_left(), {"clients_left_total": 1}, []),
        (lambda w: w.failed("call_a", FAULT), {"failures_total": 1}, ["call_failed"]),
        (lambda w: w.task_failed(FAULT), {"failures_total": 1}, ["background_task_failed"]),
        (lambda w: w.ledger_away("gone"), {"ledger_unavailable_total": 1}, ["ledger_unavailable"]),
        (lambda w: w.adopted(0, 0), {}, []),
        (lambda w: w.adopted(2, 0), {}, ["unbooked_settlements_found"]),
        (lambda w: w.adopted(0, 1), {}, ["unbooked_settlements_unreadable"]),
        (lambda w: w.cut_at_shutdown(2), {}, ["calls_cut_at_shutdown"]),
        (lambda w: w.upstream_answered("fake", 200), {"upstream_answers_total fake 2xx": 1}, []),
        (
            lambda w: w.upstream_refused("fake", 402, "credit"),
            {"upstream_refusals_total fake credit 4xx": 1},
            ["provider_refused"],
        ),
        (
            lambda w: w.upstream_refused("fake", 500, None),
            {"upstream_refusals_total fake none 5xx": 1},
            [],
        ),
        (lambda w: w.price_changed(CHANGE), {}, []),
        (lambda w: w.price_changed(replace(CHANGE, old=price())), {}, ["price_changed"]),
        (lambda w: w.price_changed(replace(CHANGE, refused="absurd")), {}, ["price_refused"]),
        (lambda w: w.price_list_failed("fake", "404"), {}, ["price_list_failed"]),
        (lambda w: w.took("messages", 0.3), {"call_seconds_count messages": 1}, []),
    ],
)
def test_what_happens_is_counted_and_logged_as_it_is_worth(
    rig: Rig, happens: Callable[[Watch], None], counted: dict[str, float], logged: list[str]
) -> None:
    happens(rig.watch)

    assert {name: n for name, n in rig.counted.items() if name != "workers"} == counted
    assert rig.logs.names == logged


def admitted(**changes: Any) -> Ticket:
    return replace(ticket(), **changes)


@pytest.mark.parametrize(
    ("passes", "counted", "logged"),
    [
        (admitted(), {}, []),
        (
            admitted(on_allowance=True),
            {"calls_admitted_on_allowance_total": 1},
            [],
        ),
        (admitted(would_refuse=("soft",)), {}, ["call_would_be_refused"]),
    ],
)
def test_a_call_that_passes_is_counted(
    rig: Rig, passes: Ticket, counted: dict[str, float], logged: list[str]
) -> None:
    rig.watch.admitted(passes, 0.001)

    assert {name: n for name, n in rig.counted.items() if name != "workers"} == {
        "calls_admitted_total chat_completions fake": 1,
        "added_seconds_count chat_completions": 1,
        **counted,
    }
    assert rig.logs.names == logged


def test_what_a_call_cost_above_its_reservation_is_counted(rig: Rig) -> None:
    call = quoted()
    assert call.quote is not None
    held = call.quote.amounts.nano_usd

    rig.watch.booked(ticket(call), settled(held), MOVED)
    assert "overrun_nano_usd_total" not in rig.counted
    rig.watch.booked(ticket(call), settled(held + 7), MOVED)
    assert rig.counted["overrun_nano_usd_total"] == 7


def test_a_call_without_a_quote_has_no_overrun(rig: Rig) -> None:
    budget = replace(MONTH, when_unpriced_nano_usd=5)
    call = quoted(budget, prices=[price("other")])
    made = Ticket(quoted=call, reservation=reservation_of("call_a", call.asks))

    rig.watch.booked(made, settled(99), MOVED)

    assert "overrun_nano_usd_total" not in rig.counted


def test_a_refusal_names_its_budget_and_not_what_the_caller_was_told(rig: Rig) -> None:
    rig.watch.refused(refusal(), "messages", "call_a")

    (event,) = rig.logs.events
    assert (event["call"], event["budget"], event["status"]) == ("call_a", None, 402)
    assert "sk-secret" not in json.dumps(event)


def test_a_log_keeps_events() -> None:
    log, logs = keeping_log()
    log.info("event", number=1)

    assert isinstance(logs, Logs)
    assert logs.events == [{"event": "event", "number": 1, "level": "info"}]


class KeptTraces:
    """Spans that are kept."""

    is_on = True

    def __init__(self) -> None:
        self.kept: list[CallTrace] = []

    def call(self, trace: CallTrace) -> None:
        self.kept.append(trace)

    def close(self) -> None:
        """Nothing waits."""


def test_calls_that_ended_and_calls_that_were_refused_have_spans(clock: FakeClock) -> None:
    traces = KeptTraces()
    watch = Watch(Metrics(clock), keeping_log()[0], traces=traces, clock=clock)
    call_id = new_call_id(clock.now_ms() - 5)

    watch.booked(ticket(), settled(), MOVED)
    watch.refused(refusal(), "messages", call_id)

    ended, refused = traces.kept
    assert ended.attributes["bursar.settled.nano_usd"] == 5
    assert (refused.began_ms, refused.ended_ms) == (clock.now_ms() - 5, clock.now_ms())
