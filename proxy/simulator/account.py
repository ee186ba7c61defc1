"""The one AGIPower account: its subscription's windows, its balance, its standing."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from proxy.simulator.keys import KeyKind
from proxy.simulator.scenario import QuotaDocument, Scenario, WindowDocument

NANO: Final = 10**9
_HOUR_S: Final = 3_600
_DAY_S: Final = 24 * _HOUR_S
_NANO_USD_PER_FLOW: Final = 32_830_000
_BALANCE_NANO_USD: Final = 1_000_000 * NANO
#: What the bonus part of the balance is at the start; it is spent first.
_BONUS_NANO_USD: Final = 447_740_000_000
_COST_REQUESTS_PER_MINUTE: Final = 60
_BLOCKED: Final = frozenset({"suspended", "banned"})


class Refused(msgspec.Struct, frozen=True):
    """Why the account does not get an answer."""

    status: int
    type: str
    message: str


def nano(text: str) -> int:
    """A decimal string in thousand-millionths, rounded down."""
    return int(Decimal(text) * NANO)


class FlowWindow:
    """A quota of Flows that starts with its first use and ends a fixed time later."""

    def __init__(self, length_s: int, max_nano_flows: int) -> None:
        self.length_s = length_s
        self.max_nano_flows = max_nano_flows
        self.used_nano_flows = 0
        self.started_at: float | None = None

    def roll(self, now: float) -> None:
        """Fall back to the state before first use when the time is over."""
        if self.started_at is not None and now >= self.started_at + self.length_s:
            self.reset()

    def reset(self) -> None:
        """Forget what was used."""
        self.used_nano_flows = 0
        self.started_at = None

    def use(self, nano_flows: int, now: float) -> None:
        """Take Flows; the first ones start the window."""
        self.roll(now)
        if self.started_at is None:
            self.started_at = now
        self.used_nano_flows += nano_flows

    def is_used_up(self, now: float) -> bool:
        """Whether the next call has to be refused."""
        self.roll(now)
        return self.used_nano_flows >= self.max_nano_flows

    @property
    def resets_at(self) -> float | None:
        """When the window ends; None before it has started."""
        return None if self.started_at is None else self.started_at + self.length_s

    def adopt(self, document: WindowDocument, now: float) -> None:
        """Take over what a scenario says."""
        if document.max_flows is not None:
            self.max_nano_flows = nano(document.max_flows)
        if document.used_flows is not None:
            self.roll(now)
            self.used_nano_flows = nano(document.used_flows)
            if self.started_at is None:
                self.started_at = now


class Account:
    """What all calls with AGIPower keys draw on."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.restore()

    def restore(self) -> None:
        """Back to a healthy account with full quotas."""
        self.five_hours = FlowWindow(5 * _HOUR_S, 800 * NANO)
        self.seven_days = FlowWindow(7 * _DAY_S, 6_182 * NANO)
        self.month = FlowWindow(30 * _DAY_S, 34_560 * NANO)
        self.base_nano_usd_per_flow = _NANO_USD_PER_FLOW
        self.effective_nano_usd_per_flow = _NANO_USD_PER_FLOW
        self.balance_nano_usd = _BALANCE_NANO_USD
        self.bonus_nano_usd = _BONUS_NANO_USD
        self.spent_nano_usd = 0
        self.status = "healthy"
        self.extra_usage = False
        self.management_422_every = 0
        self.rate_limit_every = 0
        self.billing_usage_gone = False
        self.cursor_expires_after_s = 3_600.0
        self.ledger_rows: list[dict[str, Any]] = []
        self._management_requests = 0
        self._inference_requests = 0
        self._cost_minute = 0
        self._cost_requests = 0

    def adopt(self, scenario: Scenario) -> None:
        """Take over the account settings of a scenario."""
        if scenario.quota is not None:
            self._adopt_quota(scenario.quota)
        if scenario.balance_usd is not None:
            self.balance_nano_usd = nano(scenario.balance_usd)
            self.bonus_nano_usd = min(_BONUS_NANO_USD, self.balance_nano_usd)
            self.spent_nano_usd = 0
        if scenario.account_status is not None:
            self.status = scenario.account_status
        if scenario.extra_usage is not None:
            self.extra_usage = scenario.extra_usage
        if scenario.management_422_every is not None:
            self.management_422_every = scenario.management_422_every
        if scenario.rate_limit_every is not None:
            self.rate_limit_every = scenario.rate_limit_every
        if scenario.billing_usage_gone is not None:
            self.billing_usage_gone = scenario.billing_usage_gone
        if scenario.cursor_expires_after_s is not None:
            self.cursor_expires_after_s = scenario.cursor_expires_after_s
        self.ledger_rows += scenario.ledger_rows

    def _adopt_quota(self, quota: QuotaDocument) -> None:
        now = self._clock()
        if quota.reset:
            self.five_hours.reset()
            self.seven_days.reset()
        for window, document in (
            (self.five_hours, quota.quota_5_hour),
            (self.seven_days, quota.quota_7_day),
            (self.month, quota.quota_monthly),
        ):
            if document is not None:
                window.adopt(document, now)
        if quota.base_usd_per_flow is not None:
            self.base_nano_usd_per_flow = nano(quota.base_usd_per_flow)
            self.effective_nano_usd_per_flow = self.base_nano_usd_per_flow
        if quota.effective_usd_per_flow is not None:
            self.effective_nano_usd_per_flow = nano(quota.effective_usd_per_flow)

    @property
    def remaining_nano_usd(self) -> int:
        """What is left of the balance; below zero when a call cost more than was there."""
        return self.balance_nano_usd - self.spent_nano_usd

    def management_is_limited(self) -> bool:
        """Count a management request; true where it has to be answered with 422."""
        self._management_requests += 1
        every = self.management_422_every
        return bool(every) and self._management_requests % every == 0

    def inference_is_limited(self) -> bool:
        """Count an inference call; true where it has to be answered with 429."""
        self._inference_requests += 1
        every = self.rate_limit_every
        return bool(every) and self._inference_requests % every == 0

    def cost_is_limited(self) -> bool:
        """Count a request for cost or usage; true from the 61st of a minute on."""
        minute = int(self._clock() // 60)
        if minute != self._cost_minute:
            self._cost_minute, self._cost_requests = minute, 0
        self._cost_requests += 1
        return self._cost_requests > _COST_REQUESTS_PER_MINUTE

    def refuses(self, kind: KeyKind) -> Refused | None:
        """Whether the account still pays for a call with such a key."""
        if self.status in _BLOCKED:
            return Refused(403, "access_denied", f"Your account has been {self.status}.")
        if kind == KeyKind.SUBSCRIPTION and self.quota_is_used_up() and not self.extra_usage:
            return Refused(
                402,
                "quote_exceeded",
                "You have reached your subscription quota limit. Please wait.",
            )
        if kind != KeyKind.SUBSCRIPTION and self.remaining_nano_usd <= 0:
            return Refused(402, "insufficient_credit", "Account overdue. Please top up.")
        return None

    def quota_is_used_up(self) -> bool:
        """Whether any of the three windows is at its limit."""
        now = self._clock()
        return any(
            window.is_used_up(now) for window in (self.five_hours, self.seven_days, self.month)
        )

    def bill_type(self, kind: KeyKind) -> str:
        """Who pays for a call with such a key, right now."""
        if kind != KeyKind.SUBSCRIPTION:
            return "metered"
        return "fallbackMetered" if self.quota_is_used_up() else "subscription"

    def use_flows(self, value_nano_usd: int) -> int:
        """Take a call's worth out of all windows; returns the Flows in thousand-millionths."""
        nano_flows = -(-value_nano_usd * NANO // self.effective_nano_usd_per_flow)
        now = self._clock()
        for window in (self.five_hours, self.seven_days, self.month):
            window.use(nano_flows, now)
        return nano_flows

    def spend(self, nano_usd: int) -> None:
        """Take a billed call out of the balance."""
        self.spent_nano_usd += nano_usd
