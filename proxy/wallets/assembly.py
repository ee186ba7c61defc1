"""Putting wallets together: what asks providers for their quotas, and what gates calls on them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from policies.ledger.interface import Ledger
from policies.ledger.keys import Keys
from proxy.billing_settings import WalletSettings
from proxy.providers.connection import Upstream
from proxy.providers.interface import ProviderSettings
from proxy.wallets.adapters.catalog import build_wallet
from proxy.wallets.gate import SetRate, WalletGate
from proxy.wallets.poll import WalletPoll
from proxy.wallets.store import Commands, WalletStore
from proxy.wallets.watch import WalletWatch


def assemble(
    providers: Mapping[str, ProviderSettings],
    settings: WalletSettings,
    *,
    commands: Commands,
    keys: Keys,
    ledger: Ledger,
    upstream: Upstream,
    set_rate: SetRate,
    watch: WalletWatch,
) -> tuple[WalletGate, WalletPoll]:
    """Return the gate and the poll of these providers' wallets.

    Raises:
        ValueError: a path of a provider's configuration cannot be used.
    """
    found = {name: build_wallet(provider) for name, provider in providers.items()}
    adapters = {name: adapter for name, adapter in found.items() if adapter is not None}
    store = WalletStore(commands, keys)
    # Also who cannot be asked is closed, for all replicas, when it says that our account is used up.
    gate = WalletGate(
        providers=found,
        ledger=ledger,
        store=store,
        settings=settings,
        set_rate=set_rate,
        observer=watch,
    )
    poll = WalletPoll(
        providers=adapters,
        upstream=upstream,
        ledger=ledger,
        store=store,
        settings=settings,
        random=random.random,
        observer=watch,
    )
    return gate, poll
