"""OpenRouter: the cost in the answer, or seconds later by id (facts: providers.md, 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.providers.interface import ProviderSettings
from proxy.receipts import receipt
from proxy.receipts.adapters.at_once import first_id, told
from proxy.receipts.adapters.figures import Unreadable, nano_of
from proxy.receipts.adapters.generations import Generations

_USD: Final = "USD"


class OpenRouter(Generations):
    """Receipts of one key."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings, id_prefix="gen-")

    def at_once(self, outcome: Mapping[str, Any]) -> receipt.Final | None:
        """Return what `usage.cost` said."""
        amounts = told(outcome, _USD)
        if amounts is None:
            return None
        try:
            nano_usd = nano_of(amounts[_USD], _USD)
        except Unreadable:
            return None
        return receipt.Final(nano_usd=nano_usd, generation_id=first_id(outcome))
