"""OpenRouter: the account's credits and the key's own limit (facts: providers.md, 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from policies.units import USD
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target, without_version
from proxy.wallets.adapters.answers import (
    NotAReport,
    data_of,
    nano,
    nano_above_zero,
    read_report,
)
from proxy.wallets.quota import Quota, Reading, Report

CREDITS: Final = "credits"
KEY: Final = "key"


class OpenRouterWallet:
    """Asks for the account with the management key, and for the inference key with itself."""

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = without_version(settings.base_url)
        wanted = (
            (CREDITS, "/v1/credits", settings.management_key),
            (KEY, "/v1/key", settings.api_key),
        )
        self._targets = tuple(
            (name, billing_target(base_url, settings, name, path, bearer(key)))
            for name, path, key in wanted
            if key
        )

    def targets(self) -> Sequence[tuple[str, Target]]:
        """Return what to ask, by the keys that there are."""
        return self._targets

    def read(self, name: str, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """Return what the answer to the named request says; never raises."""
        return read_report(status, headers, body, _credits if name == CREDITS else _key)

    def in_passing(self, headers: Mapping[str, str]) -> Report | None:
        """Return nothing: answers to calls tell nothing of the account."""
        return None


def _credits(answer: Mapping[str, object]) -> Report:
    """Return what is left of all that was ever bought."""
    data = data_of(answer)
    bought = nano_above_zero(data.get("total_credits"), "total_credits")
    used = nano_above_zero(data.get("total_usage"), "total_usage")
    return Report(quotas=(Quota(name="balance", unit=USD, remaining=max(0, bought - used)),))


def _key(answer: Mapping[str, object]) -> Report:
    """Return the key's limit; a key without one has no quota."""
    data = data_of(answer)
    if "limit_remaining" not in data:
        raise NotAReport("limit_remaining is not there")
    told = data["limit_remaining"]
    if told is None:
        return Report()
    limit = data.get("limit")
    cap = None if limit is None else nano_above_zero(limit, "limit")
    remaining = nano(told, "limit_remaining")
    if cap is not None and remaining > cap:
        raise NotAReport("limit_remaining is more than limit")
    quota = Quota(name="key", unit=USD, limit=cap, remaining=max(0, remaining))
    return Report(quotas=(quota,))
