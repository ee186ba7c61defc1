"""What is counted about receipts and wallets; money in nano-dollars."""

from __future__ import annotations

from proxy.telemetry.series import Counter, Latest


class Billing:
    """Numbers about what providers bill, and about what they have left for the account."""

    def __init__(self) -> None:
        by_provider = ("provider",)
        self.look_ups = Counter(
            "bursar_receipt_look_ups",
            "Calls whose receipt was looked for, and what came of it.",
            ("provider", "result"),
        )
        self.raised = Counter(
            "bursar_receipts_raised_nano_usd",
            "What receipts billed beyond what was metered exactly.",
            by_provider,
        )
        self.lowered = Counter(
            "bursar_receipts_lowered_nano_usd",
            "What receipts billed less than was metered exactly.",
            by_provider,
        )
        self.prior_period = Counter(
            "bursar_receipts_prior_period",
            "Receipts that corrected a window that was over.",
            by_provider,
        )
        self.usage_differs = Counter(
            "bursar_receipts_usage_differs",
            "Receipts that count other tokens than the answer did.",
            by_provider,
        )
        self.set_aside = Counter(
            "bursar_receipts_set_aside",
            "Times that something came of a call that does not add up; nothing was booked.",
            by_provider,
        )
        self.slowed = Counter(
            "bursar_receipts_slowed", "Times that a provider wanted fewer requests.", by_provider
        )
        self.history_rows = Counter(
            "bursar_billing_history_rows", "Rows of billing histories.", ("provider", "kind")
        )
        self.history_failed = Counter(
            "bursar_billing_history_failed",
            "Times that a billing history or total could not be read.",
            by_provider,
        )
        self.ghosts = Counter(
            "bursar_ghost_spend_nano_usd", "What was billed and no call explains.", by_provider
        )
        self.drift_alerts = Counter(
            "bursar_drift_alerts", "Models whose price list was off by too much.", by_provider
        )
        self.waiting = Latest(
            "bursar_receipts_waiting", "Calls that wait for their receipt.", by_provider
        )
        self.wallet_remaining = Latest(
            "bursar_wallet_remaining", "What a quota has left, in its unit.", ("provider", "quota")
        )
        self.wallet_polls_failed = Counter(
            "bursar_wallet_polls_failed", "Requests for quotas that told nothing.", by_provider
        )
        self.wallet_closed = Counter(
            "bursar_wallet_closed", "Times that a quota let no call through.", by_provider
        )
