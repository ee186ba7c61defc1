"""Which kinds of providers report quotas, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.providers.interface import ProviderSettings
from proxy.wallets.adapters.agipower import FLOW_RATE, FLOWS, AgiPowerWallet
from proxy.wallets.adapters.openrouter import OpenRouterWallet
from proxy.wallets.adapters.venice import VeniceWallet
from proxy.wallets.adapters.vercel import VercelWallet
from proxy.wallets.quota import WalletAdapter

KINDS: Final[dict[str, Callable[[ProviderSettings], WalletAdapter]]] = {
    "agipower": AgiPowerWallet,
    "venice": VeniceWallet,
    "openrouter": OpenRouterWallet,
    "vercel": VercelWallet,
}
#: Requests that tell what a credit is worth and nothing else, with the credit's name. They are
#: spared where another answer of the provider tells the same.
TELLS_RATE_ALONE: Final = {FLOW_RATE: FLOWS}


def build_wallet(settings: ProviderSettings) -> WalletAdapter | None:
    """Return who asks a provider for its quotas; None: its kind does not report any."""
    build = KINDS.get(settings.kind)
    return None if build is None else build(settings)
