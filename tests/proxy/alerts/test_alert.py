"""An alert is known by its topic and its name."""

from __future__ import annotations

from proxy.alerts.alert import Alert, Topic


def test_alerts_of_one_name_in_two_topics_are_two() -> None:
    low = Alert(topic=Topic.WALLET_LOW, name="sim|balance", text="low")
    closed = Alert(topic=Topic.WALLET_CLOSED, name="sim|balance", text="closed")

    assert low.mark != closed.mark
    assert low.mark == Alert(topic=Topic.WALLET_LOW, name="sim|balance", text="still low").mark
