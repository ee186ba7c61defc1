"""What an operator sees of calls: every event of money is counted, and what is rare is logged.

The stations say what happened; this decides what it is worth. Nothing here is secret: no key, no
prompt, no answer.
"""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from policies.call_ids import came_in_ms
from policies.clock import Clock
from policies.decisions import Moved
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal, Ticket
from proxy.gateway.call_traces import refused_trace, settled_trace
from proxy.gateway.settle import Conclusion
from proxy.prices.lists import PriceChange
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.traces import NoTraces, Traces


class Watch:
    """Counts and logs."""

    def __init__(
        self,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        traces: Traces | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Take where numbers and lines go, and spans with the clock that they need."""
        self.metrics = metrics
        self.log = log
        self._traces: Traces = traces or NoTraces()
        self._clock = clock

    # Calls…

    def admitted(self, ticket: Ticket, after_s: float) -> None:
        """A call passed the gate, so many seconds after it came in."""
        routed = ticket.quoted.routed
        self.metrics.added(routed.arrival.dialect.name, after_s)
        self.metrics.admitted(routed.arrival.dialect.name, routed.provider.name)
        if ticket.on_allowance:
            self.metrics.admitted_on_allowance()
        if ticket.would_refuse:
            self.log.info(
                "call_would_be_refused",
                call=routed.arrival.call_id,
                team=routed.arrival.caller.team,
                budgets=ticket.would_refuse,
            )

    def asked_ledger(self, seconds: float) -> None:
        """The ledger, or what stands in for it, has decided about a call."""
        self.metrics.asked_ledger(seconds)

    def took(self, dialect: str, seconds: float) -> None:
        """A request was answered, whatever the answer was."""
        self.metrics.took(dialect, seconds)

    def refused(self, refusal: Refusal, dialect: str, call_id: str) -> None:
        """A call did not pass."""
        self.metrics.refused(dialect, refusal.kind.value)
        if refusal.kind is ErrorKind.UNAUTHENTICATED:
            self.metrics.authentication_failed(refusal.reason or "other")
        if self._traces.is_on and self._clock is not None:
            now_ms = self._clock.now_ms()
            began_ms = came_in_ms(call_id) or now_ms
            self._traces.call(refused_trace(refusal, dialect, call_id, began_ms, now_ms))
        self.log.info(
            "call_refused",
            call=call_id,
            reason=refusal.kind.value,
            status=refusal.status,
            budget=refusal.standing.budget if refusal.standing is not None else None,
        )

    def booked(self, ticket: Ticket, conclusion: Conclusion, moved: Moved) -> None:
        """A call's end is in the ledger."""
        provider = ticket.quoted.routed.provider.name
        self.metrics.ended(provider, moved.state.value, conclusion.certainty)
        quote = ticket.quoted.quote
        held = quote.amounts.nano_usd if quote is not None else conclusion.amounts.nano_usd
        if conclusion.amounts.nano_usd > held:
            self.metrics.overrun(conclusion.amounts.nano_usd - held)
        if self._traces.is_on and self._clock is not None:
            self._traces.call(settled_trace(ticket, conclusion, moved, self._clock.now_ms()))
        self.log.debug(
            "call_settled",
            call=ticket.reservation.call_id,
            state=moved.state.value,
            certainty=conclusion.certainty,
            cost_nano_usd=conclusion.amounts.nano_usd,
            held_nano_usd=held,
        )

    def put_off(self, ticket: Ticket, conclusion: Conclusion) -> None:
        """A call's end waits in the write-ahead file."""
        self.metrics.put_off()
        self.log.warning(
            "settlement_waits_for_ledger",
            call=ticket.reservation.call_id,
            cost_nano_usd=conclusion.amounts.nano_usd,
        )

    def lost(self, ticket: Ticket, conclusion: Conclusion, fault: str) -> None:
        """A call's end waits in memory alone; should this worker die, its lease will run out."""
        self.log.error(
            "settlement_not_kept",
            call=ticket.reservation.call_id,
            cost_nano_usd=conclusion.amounts.nano_usd,
            fault=fault,
            effect="charged as reserved if this worker dies before the ledger is back",
        )

    def replayed(self, booked: int) -> None:
        """What waited is in the ledger."""
        self.metrics.replayed(booked)
        self.log.info("settlements_booked_late", count=booked)

    def stock(self, *, unbooked: int, drains: int) -> None:
        """So many ends of calls wait for the ledger, and so many answers are read without a client."""
        self.metrics.unbooked(unbooked)
        self.metrics.drains_running(drains)

    def expired(self, call_id: str) -> None:
        """A call was charged as reserved, because its worker is gone."""
        self.metrics.expired()
        self.log.warning("call_expired", call=call_id, effect="charged as reserved")

    def client_left(self) -> None:
        """A client went away before it had everything."""
        self.metrics.client_left()

    def failed(self, call_id: str, fault: BaseException) -> None:
        """A call failed for a reason of ours."""
        self.metrics.failed()
        self.log.error("call_failed", call=call_id, exc_info=fault)

    # What is around the calls…

    def upstream_answered(self, provider: str, status: int) -> None:
        """A provider answered."""
        self.metrics.upstream_answered(provider, status)

    def upstream_refused(self, provider: str, status: int, label: str | None) -> None:
        """A provider answered with an error status."""
        self.metrics.upstream_refused(provider, status, label)
        if label is not None:
            self.log.warning("provider_refused", provider=provider, status=status, reason=label)

    def task_failed(self, fault: BaseException) -> None:
        """Something that runs in the background ended with a fault."""
        self.metrics.failed()
        self.log.error("background_task_failed", exc_info=fault)

    def ledger_away(self, fault: str) -> None:
        """The ledger cannot be reached."""
        self.metrics.ledger_unavailable()
        self.log.error("ledger_unavailable", fault=fault)

    def adopted(self, entries: int, unreadable: int) -> None:
        """Ends of calls were found that a dead worker had not booked."""
        if entries:
            self.log.warning("unbooked_settlements_found", count=entries)
        if unreadable:
            self.log.error(
                "unbooked_settlements_unreadable",
                count=unreadable,
                effect="charged as reserved; the lines are put aside beside the write-ahead files",
            )

    def cut_at_shutdown(self, calls: int) -> None:
        """The time to end was up before all calls had ended."""
        self.log.warning("calls_cut_at_shutdown", count=calls)

    def price_changed(self, change: PriceChange) -> None:
        """A price changed, or a list tried to change it."""
        if change.refused is not None:
            self.log.warning(
                "price_refused",
                provider=change.provider,
                model=change.model,
                reason=change.refused,
            )
        elif change.old is not None:
            self.log.info("price_changed", provider=change.provider, model=change.model)

    def price_list_failed(self, provider: str, fault: str) -> None:
        """A provider's list could not be had; the prices so far hold."""
        self.log.warning("price_list_failed", provider=provider, fault=fault)
