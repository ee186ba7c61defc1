"""Keeping the price book fresh from the providers' own lists, and every change in the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Protocol

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.prices.book import PriceBook
from proxy.prices.lists import PriceChange
from proxy.providers.connection import Upstream, UpstreamFailed, read_whole
from proxy.providers.interface import Provider, Target

# Providers change their lists a few times a week; ten minutes late is early enough, and costs nothing.
EVERY_S: Final = 600.0
LIST_BYTES_MAX: Final = 64 * 1024 * 1024
STATUS_OK: Final = 200


class Observer(Protocol):
    """Whoever wants to know of prices."""

    def price_changed(self, change: PriceChange) -> None:
        """A price changed, or a list tried to change it."""
        ...

    def price_list_failed(self, provider: str, fault: str) -> None:
        """A provider's list could not be had; the prices so far hold."""
        ...


class PriceRefresh:
    """Asks every provider that publishes prices for them."""

    def __init__(
        self,
        *,
        book: PriceBook,
        providers: Mapping[str, Provider],
        upstream: Upstream,
        ledger: Ledger,
        observer: Observer,
    ) -> None:
        self._book = book
        self._providers = providers
        self._upstream = upstream
        self._ledger = ledger
        self._observer = observer

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Take in every provider's list, all at once."""
        await asyncio.gather(*(self._refresh(each) for each in self._providers.values()))

    async def _refresh(self, provider: Provider) -> None:
        for target in provider.prices_targets():
            try:
                payload = await self._fetch(target)
            except (UpstreamFailed, ValueError, RecursionError) as fault:
                self._observer.price_list_failed(provider.name, str(fault))
                continue
            for change in self._book.refresh(provider.name, provider.kind, payload):
                self._observer.price_changed(change)
                await self._journal(change)

    async def _fetch(self, target: Target) -> object:
        """Return a list as decoded JSON, its numbers exact."""
        answer = await self._upstream.send(target, list(target.headers), None)
        try:
            body = await read_whole(answer, LIST_BYTES_MAX)
        finally:
            answer.release()
        if answer.status != STATUS_OK:
            raise ValueError(f"status {answer.status}")
        payload: object = json.loads(body, parse_float=Decimal)
        return payload

    async def _journal(self, change: PriceChange) -> None:
        new, old = change.new, change.old
        version = f"refused: {change.refused}" if change.refused or new is None else new.version
        data = {
            "provider": change.provider,
            "model": change.model,
            "source": change.source,
            "old": repr(old.tiers) if old is not None else None,
            "new": repr(new.tiers) if new is not None else None,
            "version": new.version if new is not None else None,
            "refused": change.refused,
        }
        try:
            await self._ledger.journal_once(
                "prices",
                f"{change.provider}/{change.model}",
                version,
                kind="price_changed",
                data=json.dumps(data),
            )
        except LedgerUnavailable:
            return  # The price holds; the next replica or the next start journals it.
