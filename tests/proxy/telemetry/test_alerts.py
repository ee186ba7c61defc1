"""The numbers about alerts have names of their own."""

from __future__ import annotations

from proxy.telemetry.alerts import AlertSeries


def test_names_are_told_apart() -> None:
    names = [one.name for one in vars(AlertSeries()).values()]

    assert len(set(names)) == len(names)
    assert all(name.startswith("bursar_alerts_") for name in names)
