"""What an operator sees of wallets: gauges of what is left, and a line when something changes."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from policies.clock import Clock
from policies.money import NANO_PER_UNIT
from proxy.telemetry.billing import Billing
from proxy.wallets.wallet import Wallet


class WalletWatch:
    """Counts and logs."""

    def __init__(self, billing: Billing, log: FilteringBoundLogger, clock: Clock) -> None:
        self._billing = billing
        self._log = log
        self._clock = clock

    def wallet_polled(self, provider: str, wallet: Wallet) -> None:
        """A provider told of its wallet."""
        for quota in wallet.quotas:
            if quota.remaining is not None:
                left = quota.remaining / NANO_PER_UNIT
                self._billing.wallet_remaining.see(left, self._clock.now_ms(), provider, quota.name)

    def wallet_poll_failed(
        self, provider: str, request: str, fault: str, *, repeated: bool
    ) -> None:
        """A request told nothing, and what was known stays."""
        self._billing.wallet_polls_failed.add(provider)
        if not repeated:
            self._log.warning(
                "wallet_poll_failed", provider=provider, request=request, reason=fault
            )

    def wallet_status(self, provider: str, status: str) -> None:
        """The account's state is another one."""
        say = self._log.info if status == "healthy" else self._log.warning
        say("account_status", provider=provider, status=status)

    def wallet_closed(self, provider: str, quota: str, reason: str) -> None:
        """A quota lets no call pass from now on."""
        self._billing.wallet_closed.add(provider)
        self._log.warning("wallet_closed", provider=provider, quota=quota, reason=reason)

    def wallet_opened(self, provider: str, quota: str) -> None:
        """A quota lets calls pass."""
        self._log.info("wallet_opened", provider=provider, quota=quota)
