"""Which accounts the configuration uses at providers that tell account totals, and who uses them.

One account may be used by several providers of the configuration, such as a subscription and a
pay-as-you-go key: what it was billed is explained by the calls of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.providers.interface import ProviderSettings


class AccountSettings(ProviderSettings, Protocol):
    """What of the configuration tells whose account a provider uses."""

    @property
    def api_key_id(self) -> str:
        """What the provider calls the key; empty: that is not known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at a provider, and who of the configuration uses it."""

    #: Under which name its ghosts are listed: that of the first of its providers.
    name: str
    #: Whose calls explain what it was billed; the first one's management key asks.
    providers: tuple[str, ...]
    #: What the provider calls our keys; empty: other keys are not told from ours.
    key_ids: frozenset[str] = frozenset()


def accounts(providers: Mapping[str, AccountSettings]) -> tuple[Account, ...]:
    """Return the accounts whose totals can be had: those with a management key.

    Providers with the same management key have one account. Whoever has none is taken to use the
    same, where there is one alone at the address: else its calls would be ghosts of that account.
    """
    kept = {name: each for name, each in providers.items() if each.kind == "agipower"}
    found: dict[tuple[str, str], list[str]] = {}
    for name, each in kept.items():
        if each.management_key:
            found.setdefault((each.base_url, each.management_key), []).append(name)
    for name, each in kept.items():
        at_address = [users for (url, _), users in found.items() if url == each.base_url]
        if not each.management_key and len(at_address) == 1:
            at_address[0].append(name)
    return tuple(
        Account(name=users[0], providers=tuple(users), key_ids=_key_ids(kept[u] for u in users))
        for users in found.values()
    )


def _key_ids(users: Iterable[AccountSettings]) -> frozenset[str]:
    """Return what the provider calls their keys, if that is known of all of them."""
    ids = [each.api_key_id for each in users]
    return frozenset(ids) if all(ids) else frozenset()
