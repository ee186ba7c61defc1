"""What operators see of wallets: what is left as a number, and a line when something changes."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from proxy.telemetry.billing import Billing
from proxy.wallets.wallet import KnownQuota, Source, Wallet
from proxy.wallets.watch import WalletWatch
from tests.doubles.fake_clock import FakeClock


class Seen:
    """A watch, and what it logged."""

    def __init__(self, clock: FakeClock) -> None:
        self.lines: list[tuple[str, str]] = []
        self.billing = Billing()
        log = structlog.wrap_logger(
            None, processors=[self._keep], wrapper_class=structlog.BoundLogger
        )
        self.watch = WalletWatch(self.billing, log, clock)

    def _keep(self, _: Any, level: str, event: Any) -> Any:
        self.lines.append((level, event["event"]))
        raise structlog.DropEvent


@pytest.fixture
def seen(clock: FakeClock) -> Seen:
    return Seen(clock)


def test_what_is_left_is_a_number_in_whole_units(seen: Seen, clock: FakeClock) -> None:
    quotas = (
        KnownQuota(name="5_hour", unit="flows", remaining=2_500_000_000),
        KnownQuota(name="month", unit="flows", remaining=None),
    )
    seen.watch.wallet_polled("sim", Wallet(sources={"detail": Source(quotas=quotas)}))

    assert seen.billing.wallet_remaining.rows() == [(("sim", "5_hour"), [2.5, clock.now_ms()])]


def test_a_failed_poll_is_counted_each_time_and_logged_once(seen: Seen) -> None:
    for repeated in (False, True, True):
        seen.watch.wallet_poll_failed("sim", "balance", "no answer", repeated=repeated)

    assert seen.billing.wallet_polls_failed.rows() == [(("sim",), [3])]
    assert seen.lines == [("warning", "wallet_poll_failed")]


def test_a_state_that_needs_a_look_is_a_warning(seen: Seen) -> None:
    seen.watch.wallet_status("sim", "monitored")
    seen.watch.wallet_status("sim", "healthy")

    assert seen.lines == [("warning", "account_status"), ("info", "account_status")]


def test_closing_and_opening_are_told(seen: Seen) -> None:
    seen.watch.wallet_closed("sim", "5_hour", "it is used up")
    seen.watch.wallet_opened("sim", "5_hour")

    assert seen.billing.wallet_closed.rows() == [(("sim",), [1])]
    assert seen.lines == [("warning", "wallet_closed"), ("info", "wallet_opened")]
