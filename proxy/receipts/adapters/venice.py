"""Venice: the cost in the answer, for whoever may not read its ledger (facts: providers.md, 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any, Final

from proxy.providers.interface import ProviderSettings, Target
from proxy.receipts import receipt
from proxy.receipts.adapters.at_once import first_id, told
from proxy.receipts.adapters.figures import Unreadable, nano_of

_USD: Final = "USD"
_DIEM: Final = "DIEM"
_NEVER: Final = "Venice tells what it billed to an admin key alone: set billing_key"
# Holds the sum of two amounts as they may be: rounding is for money.py, and is done there once.
_EXACT: Final = Context(prec=100, rounding=ROUND_CEILING)


class Venice:
    """Receipts that answers of Chat Completions are; no id can be looked up.

    With a key for its ledger nothing here is a receipt: the ledger is the truth, and has the calls
    whose answers told no cost, or were cut.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self._reads_ledger: Final = bool(settings.billing_key)
        self.never: Final[str | None] = None if self._reads_ledger else _NEVER

    def at_once(self, outcome: Mapping[str, Any]) -> receipt.Final | None:
        """Return what `cost` said: dollars and DIEM, of which one is worth a dollar."""
        amounts = None if self._reads_ledger else told(outcome, _USD, _DIEM)
        if amounts is None:
            return None
        usd, diem = amounts.get(_USD), amounts.get(_DIEM)
        try:
            nano_usd = nano_of(_EXACT.add(usd or 0, diem or 0), "cost")
            nano_diem = nano_of(diem, _DIEM) if diem else 0
        except Unreadable:
            return None
        charged = [name for name, number in ((_USD, usd), (_DIEM, diem)) if number]
        return receipt.Final(
            nano_usd=nano_usd,
            credits={_DIEM: nano_diem} if nano_diem else {},
            currency="+".join(charged) or _USD,
            generation_id=first_id(outcome),
        )

    def targets(self, generation_id: str) -> Sequence[Target]:
        """Return nothing: Venice has no look-up by id."""
        return ()

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> receipt.Result:
        """Return that no id is known, as none can be asked for."""
        return receipt.UnknownId()
