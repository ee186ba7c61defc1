"""Vercel's AI Gateway: the cost by id, shortly after the call (facts: providers.md, 3.2)."""

from __future__ import annotations

from proxy.providers.interface import ProviderSettings
from proxy.receipts.adapters.generations import Generations


class Vercel(Generations):
    """Receipts of one key."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings, id_prefix="gen_")
