"""What is counted about receipts and wallets; money in nano-dollars."""

from __future__ import annotations

from typing import Final

from proxy.telemetry.series import Counter, Latest

_BY_PROVIDER: Final = ("provider",)


class _Receipts:
    """Numbers about receipts, and about the histories that they are found in."""

    def __init__(self) -> None:
        self.look_ups = Counter(
            "bursar_receipt_look_ups",
            "Calls whose receipt was looked for, and what came of it.",
            ("provider", "result"),
        )
        self.raised = Counter(
            "bursar_receipts_raised_nano_usd",
            "What receipts billed beyond what was metered exactly.",
            _BY_PROVIDER,
        )
        self.lowered = Counter(
            "bursar_receipts_lowered_nano_usd",
            "What receipts billed less than was metered exactly.",
            _BY_PROVIDER,
        )
        self.prior_period = Counter(
            "bursar_receipts_prior_period",
            "Receipts that corrected a window that was over.",
            _BY_PROVIDER,
        )
        self.usage_differs = Counter(
            "bursar_receipts_usage_differs",
            "Receipts that count other tokens than the answer did.",
            _BY_PROVIDER,
        )
        self.set_aside = Counter(
            "bursar_receipts_set_aside",
            "Times that something came of a call that does not add up; nothing was booked.",
            _BY_PROVIDER,
        )
        self.failed = Counter(
            "bursar_receipts_failed", "Faults of our own while receipts were looked for."
        )
        self.slowed = Counter(
            "bursar_receipts_slowed", "Times that a provider wanted fewer requests.", _BY_PROVIDER
        )
        self.history_rows = Counter(
            "bursar_billing_history_rows", "Rows of billing histories.", ("provider", "kind")
        )
        self.history_failed = Counter(
            "bursar_billing_history_failed",
            "Times that a billing history or total could not be read.",
            _BY_PROVIDER,
        )
        self.waiting = Latest(
            "bursar_receipts_waiting", "Calls that wait for their receipt.", _BY_PROVIDER
        )


class Billing(_Receipts):
    """Numbers about what providers bill, and about what they have left for the account."""

    def __init__(self) -> None:
        super().__init__()
        self.ghosts = Counter(
            "bursar_ghost_spend_nano_usd", "What was billed and no call explains.", _BY_PROVIDER
        )
        self.drift_alerts = Counter(
            "bursar_drift_alerts", "Models whose price list was off by too much.", _BY_PROVIDER
        )
        self.wallet_remaining = Latest(
            "bursar_wallet_remaining", "What a quota has left, in its unit.", ("provider", "quota")
        )
        self.wallet_polls_failed = Counter(
            "bursar_wallet_polls_failed", "Requests for quotas that told nothing.", _BY_PROVIDER
        )
        self.wallet_closed = Counter(
            "bursar_wallet_closed", "Times that a quota let no call through.", _BY_PROVIDER
        )
