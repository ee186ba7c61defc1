"""Which class reads the receipts of which kind of provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.providers.interface import ProviderSettings
from proxy.receipts.adapters.agipower import AgiPower
from proxy.receipts.adapters.openrouter import OpenRouter
from proxy.receipts.adapters.venice import Venice
from proxy.receipts.adapters.vercel import Vercel
from proxy.receipts.receipt import ReceiptAdapter

#: OpenAI, Anthropic and Google do not tell what a single call was billed with.
RECEIPTS: Final[dict[str, Callable[[ProviderSettings], ReceiptAdapter]]] = {
    "agipower": AgiPower,
    "openrouter": OpenRouter,
    "venice": Venice,
    "vercel": Vercel,
}


def build_receipts(settings: ProviderSettings) -> ReceiptAdapter | None:
    """Return who reads a provider's receipts; None: this kind of provider has none.

    Raises:
        ValueError: a path of its configuration cannot be used.
    """
    build = RECEIPTS.get(settings.kind)
    return None if build is None else build(settings)
