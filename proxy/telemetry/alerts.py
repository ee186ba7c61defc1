"""What is counted about alerts."""

from __future__ import annotations

from proxy.telemetry.series import Counter, Gauge


class AlertSeries:
    """Numbers about alerts and the webhooks that are told of them."""

    def __init__(self) -> None:
        self.raised = Counter("bursar_alerts_raised", "Alerts that were news.", ("topic",))
        self.sent = Counter(
            "bursar_alerts_sent",
            "Attempts to tell a webhook, and what came of them.",
            ("topic", "result"),
        )
        self.waiting = Gauge("bursar_alerts_waiting", "Messages that are not delivered yet.")
