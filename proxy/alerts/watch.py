"""What an operator sees of alerts."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from proxy.alerts.alert import Alert
from proxy.telemetry.alerts import AlertSeries


class AlertWatch:
    """Counts and logs."""

    def __init__(self, series: AlertSeries, log: FilteringBoundLogger) -> None:
        self._series = series
        self._log = log

    def alert_raised(self, alert: Alert) -> None:
        """Something is told."""
        self._series.raised.add(alert.topic.value)
        self._log.warning("alert", topic=alert.topic.value, name=alert.name, text=alert.text)

    def alert_ended(self, mark: str) -> None:
        """What was told is over."""
        topic, _, name = mark.partition("|")
        self._log.info("alert_ended", topic=topic, name=name)

    def alert_sent(self, topic: str, result: str) -> None:
        """A message reached its receiver, or did not."""
        self._series.sent.add(topic, result)

    def alert_not_delivered(self, topic: str, receiver: str, reason: str) -> None:
        """A message is given up."""
        self._log.error("alert_not_delivered", topic=topic, receiver=receiver, reason=reason)

    def alerts_failed(self, source: str, reason: str) -> None:
        """What alerts are made from could not be read."""
        self._log.warning("alerts_failed", source=source, reason=reason)

    def alerts_waiting(self, count: int) -> None:
        """So many messages are not delivered yet."""
        self._series.waiting.set(count)
