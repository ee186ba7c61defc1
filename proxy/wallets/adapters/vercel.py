"""Vercel's AI Gateway: the account's credits (facts: providers.md, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from policies.units import USD
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target, without_version
from proxy.wallets.adapters.answers import data_of, nano, read_report
from proxy.wallets.quota import Quota, Reading, Report

CREDITS: Final = "credits"


class VercelWallet:
    """Asks with the inference key."""

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = without_version(settings.base_url)
        auth = bearer(settings.api_key)
        target = billing_target(base_url, settings, CREDITS, "/v1/credits", auth)
        self._targets = ((CREDITS, target),) if settings.api_key else ()

    def targets(self) -> Sequence[tuple[str, Target]]:
        """Return what to ask; nothing without a key."""
        return self._targets

    def read(self, name: str, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        """Return what the answer says; never raises."""
        return read_report(status, headers, body, _credits)

    def in_passing(self, headers: Mapping[str, str]) -> Report | None:
        """Return nothing: answers to calls tell nothing of the account."""
        return None


def _credits(answer: Mapping[str, object]) -> Report:
    """Return the balance, which is a text and stands in no envelope."""
    left = nano(data_of(answer).get("balance"), "balance")
    return Report(quotas=(Quota(name="balance", unit=USD, remaining=max(0, left)),))
