"""AGIPower: the quotas of a subscription, the pay-as-you-go balance, what a Flow is worth.

Facts: providers.md, 1.6, 1.7 and traps 14, 15 and 25.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from policies.clock import rfc3339
from policies.units import USD
from proxy.providers.agipower import by_subscription
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target
from proxy.wallets.adapters.answers import (
    TOO_MANY_REQUESTS,
    NotAReport,
    at_ms,
    data_of,
    decimal,
    mapping,
    nano,
    nano_above_zero,
    plain,
    read_report,
    word,
)
from proxy.wallets.quota import Quota, Reading, Report

FLOWS: Final = "flows"
DETAIL: Final = "subscription_detail"
BALANCE: Final = "payg_balance"
FLOW_RATE: Final = "flow_rate"
_PATHS: Final = {
    DETAIL: "/api/v1/management/subscription/detail",
    BALANCE: "/api/v1/management/payg/balance",
    FLOW_RATE: "/api/v1/management/flow_rate",
}
#: Trap 15: management endpoints say 422 where the newer ones say 429.
_SLOW: Final = TOO_MANY_REQUESTS | {422}
_WINDOWS: Final = (("quota_5_hour", "5_hour"), ("quota_7_day", "7_day"))
_BLOCKED: Final = frozenset({"suspended", "banned"})
# A Flow was worth $0.03283 in 2026. What is a million times off is another unit, or a mistake.
_RATE_MIN, _RATE_MAX = Decimal("1e-8"), Decimal(10_000)


class AgiPowerWallet:
    """Asks with the management key; which quotas gate calls depends on the inference key."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._by_subscription = by_subscription(settings)
        auth = bearer(settings.management_key)
        # The detail comes first: it tells the account's state, and mostly the worth of a Flow too.
        wanted = (DETAIL, FLOW_RATE) if self._by_subscription else (DETAIL, BALANCE, FLOW_RATE)
        self._targets = tuple(
            (name, billing_target(settings.base_url, settings, name, _PATHS[name], auth))
            for name in wanted
            if settings.management_key
        )

    def targets(self) -> Sequence[tuple[str, Target]]:
        """Return what to ask; nothing without a management key."""
        return self._targets

    def read(self, name: str, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """Return what the answer to the named request says; never raises."""
        interpret = {DETAIL: self._detail, BALANCE: _balance}.get(name, _flow_rate)
        return read_report(status, headers, body, interpret, slow=_SLOW)

    def in_passing(self, headers: Mapping[str, str]) -> Report | None:
        """Return nothing: answers to calls tell nothing of the account."""
        return None

    def _detail(self, answer: Mapping[str, object]) -> Report:
        data = data_of(answer)
        status = word(data.get("account_status"), "account_status")
        return Report(
            quotas=_quotas(data) if self._by_subscription else (),
            account_status=status,
            closed=f"is {status}" if status in _BLOCKED else "",
            usd_per_credit=_rates(data),
        )


def _quotas(data: Mapping[str, object]) -> tuple[Quota, ...]:
    windows = tuple(
        _window(name, mapping(data[key], key))
        for key, name in _WINDOWS
        if data.get(key) is not None
    )
    return (*windows, *_month(data))


def _window(name: str, fields: Mapping[str, object]) -> Quota:
    """Return a quota that tells its use; one that has not begun (`resets_at` null) is full."""
    cap = nano_above_zero(fields.get("max_flows"), f"{name}: max_flows")
    used = fields.get("used_flows")
    unused = None if used is None else cap - nano_above_zero(used, f"{name}: used_flows")
    told = fields.get("remaining_flows")
    remaining = unused if told is None else nano(told, f"{name}: remaining_flows")
    if remaining is None:
        raise NotAReport(f"{name}: neither used_flows nor remaining_flows is there")
    if remaining > cap:
        raise NotAReport(f"{name}: more flows remain than there are at most")
    # A last call may use more than was left. Nothing else makes less than nothing remain.
    if remaining < 0 and (unused is None or unused >= 0):
        raise NotAReport(f"{name}: remaining_flows is negative, though not all flows are used")
    return Quota(
        name=name,
        unit=FLOWS,
        limit=cap,
        remaining=max(0, remaining),
        resets_at_ms=at_ms(fields.get("resets_at")),
    )


def _month(data: Mapping[str, object]) -> tuple[Quota, ...]:
    """Return the monthly cap, which tells no use (trap 25): ours is counted from the cycle's start.

    A plan is paid for until `expires_at`. Of one that is not paid by the month the months are not
    known, so that nothing can be counted against a monthly cap.
    """
    plan = data.get("plan")
    if plan is None or data.get("quota_monthly") is None:
        return ()
    fields = mapping(plan, "plan")
    expires_ms = at_ms(fields.get("expires_at"))
    if expires_ms is None or fields.get("interval", "month") != "month":
        return ()
    cap = mapping(data["quota_monthly"], "quota_monthly").get("max_flows")
    return (
        Quota(
            name="month",
            unit=FLOWS,
            limit=nano_above_zero(cap, "month: max_flows"),
            resets_at_ms=expires_ms,
            cycle=rfc3339(expires_ms),
        ),
    )


def _balance(answer: Mapping[str, object]) -> Report:
    """Return the pay-as-you-go balance: one that is overdrawn is used up."""
    data = data_of(answer)
    currency = word(data.get("currency"), "currency")
    if currency not in (None, "usd"):
        raise NotAReport(f"the balance is not in US dollars but in {currency}")
    left = nano(data.get("total_credits"), "total_credits")
    return Report(quotas=(Quota(name="balance", unit=USD, remaining=max(0, left), lags=True),))


def _flow_rate(answer: Mapping[str, object]) -> Report:
    return Report(usd_per_credit=_rates(data_of(answer)))


def _rates(data: Mapping[str, object]) -> dict[str, str]:
    """Return what a Flow is worth in US dollars; nothing where the account has no such rate."""
    told = data.get("effective_usd_per_flow")
    if told is None:
        return {}
    rate = decimal(told, "effective_usd_per_flow")
    if not rate:
        return {}
    if not _RATE_MIN <= rate <= _RATE_MAX:
        raise NotAReport(f"effective_usd_per_flow: a Flow is not worth {rate:.3g} US dollars")
    return {FLOWS: plain(rate)}
