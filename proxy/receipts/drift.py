"""By how much price lists were off: what was metered beside what was billed, by provider, model and day.

The sums are made in the steps that book receipts (`compare`), so they are exact. Only calls whose
usage the provider told exactly are compared: of a cut answer nobody metered what it would have cost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from policies.ledger.interface import Ledger
from policies.ledger.keys import Keys
from proxy.receipts.compare import day_name

DAY_MS: Final = 86_400_000
#: How many days a factor on quotes looks back.
FACTOR_DAYS: Final = 7
#: A quote as it is, in thousandths.
AS_IT_IS: Final = 1_000
# Sums of minutes lie beside those of models, of which some have names that begin with an @ too.
_MINUTE: Final = re.compile(r"@\d{4}", re.ASCII)


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDay:
    """One model at one provider on one UTC day; amounts in nano-dollars."""

    provider: str
    #: Such as 2026-11-23, of the calls' beginnings.
    day: str
    model: str
    #: Calls with a receipt, and what these billed.
    receipted: int = 0
    billed: int = 0
    #: What all calls were metered at that have their end.
    metered: int = 0
    #: Calls that were metered exactly and have a receipt, and both their amounts.
    compared: int = 0
    compared_metered: int = 0
    compared_billed: int = 0
    #: Calls without a receipt: it did not come in time, or never comes for such a key.
    unreceipted: int = 0
    never: int = 0

    @property
    def difference(self) -> int:
        """Billed beyond what was metered."""
        return self.compared_billed - self.compared_metered

    @property
    def per_mille(self) -> int | None:
        """The difference in thousandths of what was metered; None: nothing was."""
        if not self.compared_metered:
            return None
        return self.difference * 1_000 // self.compared_metered


class DriftBook:
    """Reads the sums, and tells when a list is off by too much."""

    def __init__(self, commands: Commands, keys: Keys, ledger: Ledger) -> None:
        """Take Redis and the ledger, whose clock says what day it is."""
        self._commands = commands
        self._keys = keys
        self._ledger = ledger

    async def days(self, provider: str, days: int) -> list[ModelDay]:
        """Return the last days of a provider, the latest first; models by name."""
        found = []
        for back in range(days):
            name = day_name(self._ledger.now_ms() - back * DAY_MS)
            flat = await self._commands.execute("HGETALL", self._keys.receipts(provider, name))
            found += _rows(provider, name.removeprefix("sums:"), flat)
        return found

    async def alerts(
        self, provider: str, *, share_max_percent: int, calls_min: int
    ) -> list[ModelDay]:
        """Return the models that are off by too much today or yesterday, each once a day."""
        off = [
            row
            for row in await self.days(provider, 2)
            if row.compared >= calls_min and _is_off(row, share_max_percent)
        ]
        return [row for row in off if await self._is_news(row)]

    async def _is_news(self, row: ModelDay) -> bool:
        data = {
            "provider": row.provider,
            "model": row.model,
            "day": row.day,
            "metered_nano_usd": row.compared_metered,
            "billed_nano_usd": row.compared_billed,
            "calls": row.compared,
        }
        return await self._ledger.journal_once(
            f"drift:{row.day}",
            f"{row.provider}/{row.model}",
            "alerted",
            kind="drift",
            data=json.dumps(data),
        )

    async def refresh_factors(
        self, provider: str, *, share_max_percent: int, calls_min: int
    ) -> Mapping[str, int]:
        """Work out by how much quotes are to be raised, by model, and keep it for all workers."""
        sums: dict[str, list[int]] = {}
        for row in await self.days(provider, FACTOR_DAYS):
            total = sums.setdefault(row.model, [0, 0, 0])
            for at, amount in enumerate((row.compared, row.compared_metered, row.compared_billed)):
                total[at] += amount
        factors = {
            model: -(-billed * AS_IT_IS // metered)
            for model, (calls, metered, billed) in sums.items()
            if calls >= calls_min and metered and billed * 100 > metered * (100 + share_max_percent)
        }
        key = self._keys.receipts(provider, "factors")
        await self._commands.execute("SET", key, json.dumps(factors))
        return factors

    async def factors(self, provider: str) -> Mapping[str, int]:
        """Return by how much quotes are raised, in thousandths, by model."""
        text = await self._commands.execute("GET", self._keys.receipts(provider, "factors"))
        return json.loads(text) if text else {}


def _is_off(row: ModelDay, share_max_percent: int) -> bool:
    return abs(row.difference) * 100 > row.compared_metered * share_max_percent


def _rows(provider: str, day: str, flat: Sequence[bytes]) -> list[ModelDay]:
    models: dict[str, dict[str, int]] = {}
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        model, _, word = field.decode().rpartition("|")
        if word in ModelDay.__dataclass_fields__ and not _MINUTE.fullmatch(model):
            models.setdefault(model, {})[word] = int(value)
    return [
        ModelDay(provider=provider, day=day, model=model, **sums)
        for model, sums in sorted(models.items())
    ]
