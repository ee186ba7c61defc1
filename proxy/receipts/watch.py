"""What an operator sees of receipts: all of it counted, and what needs eyes is logged."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from policies.clock import Clock
from policies.decisions import Moved
from proxy.receipts.compare import Adjustment
from proxy.receipts.drift import ModelDay
from proxy.receipts.ghosts import Ghost
from proxy.receipts.history.scan import Scanned
from proxy.receipts.schedule import Waiting
from proxy.telemetry.billing import Billing


class ReceiptWatch:
    """Counts and logs."""

    def __init__(self, billing: Billing, log: FilteringBoundLogger, clock: Clock) -> None:
        self._billing = billing
        self._log = log
        self._clock = clock
        #: What was said last of each provider's history: what stays the same is said once.
        self._failed: dict[str, str] = {}

    def receipt_looked_up(self, provider: str, result: str) -> None:
        """A call was looked for."""
        self._billing.look_ups.add(provider, result)

    def receipt_booked(
        self, provider: str, call_id: str, adjustment: Adjustment, moved: Moved
    ) -> None:
        """A receipt is in the books."""
        difference = adjustment.difference_nano_usd or 0
        if difference > 0:
            self._billing.raised.add_amount(difference, provider)
        elif difference < 0:
            self._billing.lowered.add_amount(-difference, provider)
        if moved.prior_period:
            self._billing.prior_period.add(provider)
        if adjustment.usage_differs:
            self._billing.usage_differs.add(provider)
            self._log.warning(
                "receipt_usage_differs", provider=provider, call=call_id, effect="billed as it says"
            )
        self._log.debug(
            "receipt_booked",
            provider=provider,
            call=call_id,
            billed_nano_usd=adjustment.amounts.nano_usd,
            difference_nano_usd=adjustment.difference_nano_usd,
            prior_period=moved.prior_period > 0,
        )

    def receipt_given_up(self, provider: str, call_id: str, reason: str, *, never: bool) -> None:
        """A call stays at its metered amount."""
        say = self._log.debug if never else self._log.warning
        say(
            "receipt_never_comes" if never else "receipt_did_not_come",
            provider=provider,
            call=call_id,
            reason=reason,
            effect="it stays at its metered amount",
        )

    def receipts_failed(self, fault: Exception) -> None:
        """Something failed for a reason of ours; it is tried again."""
        self._billing.failed.add()
        self._log.error("receipts_failed", exc_info=fault)

    def receipts_never_come(self, provider: str, reason: str) -> None:
        """A provider, as it is configured, bills no call by itself; said once, at the start."""
        self._log.warning(
            "receipts_never_come",
            provider=provider,
            reason=reason,
            effect="its calls stay at their metered amounts",
        )

    def receipt_set_aside(self, provider: str, call_id: str, reason: str, *, first: bool) -> None:
        """Something came that does not add up."""
        self._billing.set_aside.add(provider)
        if first:
            self._log.warning(
                "receipt_set_aside",
                provider=provider,
                call=call_id,
                reason=reason,
                effect="nothing was booked; it is looked for again",
            )

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        """A provider wants fewer requests."""
        self._billing.slowed.add(provider)
        self._log.info("receipts_slowed_down", provider=provider, for_s=for_ms / 1000)

    def history_read(self, provider: str, scanned: Scanned) -> None:
        """A history was read."""
        self._failed.pop(provider, None)
        self._billing.history_rows.add_amount(scanned.new_rows, provider, "new")
        for kind in ("bad", "duplicates"):
            if count := scanned.counts.get(kind, 0):
                self._billing.history_rows.add_amount(count, provider, kind)
        for bad in scanned.bad:
            self._log.warning(
                "billing_row_unreadable",
                provider=provider,
                request=bad.request_id,
                reason=bad.reason,
                effect="nothing was booked of it",
            )
        if scanned.stopped is not None:
            self._log.info(
                "billing_history_stopped", provider=provider, reason=repr(scanned.stopped)
            )

    def history_failed(self, provider: str, reason: str) -> None:
        """A history, or what an account comes to, could not be read."""
        self._billing.history_failed.add(provider)
        if self._failed.get(provider) != reason:
            self._failed[provider] = reason
            self._log.error("billing_history_unreadable", provider=provider, reason=reason)

    def ghost_found(self, ghost: Ghost) -> None:
        """Money was billed that no call explains."""
        self._billing.ghosts.add_amount(max(0, ghost.nano_usd), ghost.provider)
        self._log.warning(
            "ghost_spend_found",
            provider=ghost.provider,
            ghost=ghost.id,
            kind=ghost.kind,
            nano_usd=ghost.nano_usd,
            calls=ghost.calls,
            effect="counted on the budget 'unattributed'",
        )

    def ghost_set_aside(self, provider: str, ghost_id: str, reason: str) -> None:
        """What no call explains does not add up either."""
        self._billing.set_aside.add(provider)
        self._log.warning("ghost_spend_set_aside", provider=provider, ghost=ghost_id, reason=reason)

    def drifted(self, row: ModelDay) -> None:
        """A price list was off by too much, over one day."""
        self._billing.drift_alerts.add(row.provider)
        self._log.warning(
            "price_list_drifts",
            provider=row.provider,
            model=row.model,
            day=row.day,
            metered_nano_usd=row.compared_metered,
            billed_nano_usd=row.compared_billed,
            per_mille=row.per_mille,
        )

    def waiting(self, provider: str, waiting: Waiting) -> None:
        """So many calls wait for their receipt."""
        self._billing.waiting.see(waiting.calls, self._clock.now_ms(), provider)
