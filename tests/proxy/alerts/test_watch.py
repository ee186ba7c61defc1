"""What operators see of alerts: a line and a number for each."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from proxy.alerts.alert import Alert, Topic
from proxy.alerts.watch import AlertWatch
from proxy.telemetry.alerts import AlertSeries


class Seen:
    """A watch, and what it logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.series = AlertSeries()
        log = structlog.wrap_logger(
            None, processors=[self._keep], wrapper_class=structlog.BoundLogger
        )
        self.watch = AlertWatch(self.series, log)

    def _keep(self, _: Any, level: str, event: Any) -> Any:
        self.lines.append((level, event["event"]))
        raise structlog.DropEvent


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_an_alert_is_counted_by_its_topic_and_logged(seen: Seen) -> None:
    seen.watch.alert_raised(Alert(topic=Topic.WALLET_LOW, name="sim", text="low"))
    seen.watch.alert_ended("wallet_low|sim")

    assert seen.series.raised.rows() == [(("wallet_low",), [1])]
    assert seen.lines == [("warning", "alert"), ("info", "alert_ended")]


def test_what_could_not_be_delivered_is_an_error(seen: Seen) -> None:
    seen.watch.alert_sent("drift", "given_up")
    seen.watch.alert_not_delivered("drift", "0123", "it answered 500")
    seen.watch.alerts_failed("archive", "away")
    seen.watch.alerts_waiting(3)

    assert seen.series.sent.rows() == [(("drift", "given_up"), [1])]
    assert seen.lines == [("error", "alert_not_delivered"), ("warning", "alerts_failed")]
