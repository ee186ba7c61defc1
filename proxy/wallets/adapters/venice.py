"""Venice: the account's balances, what the key may still use, and balances in headers.

Facts: providers.md, 2.4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from policies.units import USD
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import bearer, billing_target, without_version
from proxy.wallets.adapters.answers import (
    NotAReport,
    at_ms,
    data_of,
    header,
    mapping,
    nano,
    read_report,
    truth,
)
from proxy.wallets.quota import Quota, Reading, Report

BALANCE: Final = "billing_balance"
KEY: Final = "rate_limits"
_BALANCE_PATH: Final = "/v1/billing/balance"
_KEY_PATH: Final = "/v1/api_keys/rate_limits"
#: What the headers of an answer tell; a key may have other credits besides.
_IN_HEADERS: Final = frozenset({"USD", "DIEM"})
_HEADERS: Final = ("x-venice-balance-usd", "x-venice-balance-diem")


class VeniceWallet:
    """Asks for the account with the billing key, and for the inference key with itself."""

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = without_version(settings.base_url)
        wanted = (
            (BALANCE, _BALANCE_PATH, settings.billing_key),
            (KEY, _KEY_PATH, settings.api_key),
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
        return read_report(status, headers, body, _balance if name == BALANCE else _key)

    def in_passing(self, headers: Mapping[str, str]) -> Report | None:
        """Return what the key may still use, as it was before the call; None: the headers are not there."""
        told = [header(headers, name) for name in _HEADERS]
        if None in told:
            return None
        try:
            left = _sum(dict(zip(_HEADERS, told, strict=True)))
        except NotAReport:
            return None
        return Report(quotas=(Quota(name="key", unit=USD, remaining=left),))


def _balance(answer: Mapping[str, object]) -> Report:
    left = _sum(mapping(answer.get("balances"), "balances"))
    pays = truth(answer.get("canConsume"), "canConsume")
    return Report(
        quotas=(Quota(name="balance", unit=USD, remaining=left),),
        closed="" if pays else "has too little left to pay for a call (canConsume is false)",
    )


def _key(answer: Mapping[str, object]) -> Report:
    """Return the balances as far as the key may use them: they are clamped to its limit."""
    data = data_of(answer)
    balances = mapping(data.get("balances"), "balances")
    others = {name: value for name, value in balances.items() if name not in _IN_HEADERS}
    pays = truth(data.get("accessPermitted"), "accessPermitted")
    quota = Quota(
        name="key",
        unit=USD,
        remaining=_sum(balances),
        resets_at_ms=at_ms(data.get("nextEpochBegins")),
        partly_in_passing=_sum(others) > 0,
    )
    return Report(
        quotas=(quota,), closed="" if pays else "does not let our key in (accessPermitted is false)"
    )


def _sum(balances: Mapping[str, object]) -> int:
    """Return all balances together: each is in dollars, and a DIEM pays for a dollar's worth.

    Null is nothing. An overdrawn one takes nothing from the others: those still pay.
    """
    return sum(max(0, nano(value, name)) for name, value in _told(balances))


def _told(balances: Mapping[str, object]) -> Collection[tuple[str, object]]:
    return [(name, value) for name, value in balances.items() if value is not None]
