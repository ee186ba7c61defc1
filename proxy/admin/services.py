"""What the admin plane's answers are made from; the composition root chooses each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from policies.clock import Clock
from policies.ledger.interface import Ledger
from policies.rulebook import Rulebook
from proxy.admin.grant_rows import GrantAdministration
from proxy.admin.schemas import ReceiptsRow, WalletRow
from proxy.archive.database import Database
from proxy.archive.reader import ArchiveReader
from proxy.keys import KeyRecord
from proxy.policy_watch import Rejected, Reloaded


class KeyAdministration(Protocol):
    """Whatever makes, rotates and revokes keys."""

    async def create(
        self,
        team: str,
        user: str | None = None,
        name: str | None = None,
        expires_ms: int | None = None,
        tags: Sequence[tuple[str, str]] = (),
        *,
        actor: str | None = None,
        origin: str | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key; return what is kept of it, and its secret."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Return all keys."""
        ...

    async def rotate(
        self,
        key_id: str,
        grace_ms: int,
        *,
        actor: str | None = None,
        origin: str | None = None,
        seen: KeyRecord | None = None,
    ) -> tuple[KeyRecord, str]:
        """Give a key a new secret."""
        ...

    async def revoke(
        self,
        key_id: str,
        *,
        actor: str | None = None,
        origin: str | None = None,
        seen: KeyRecord | None = None,
    ) -> KeyRecord:
        """End a key."""
        ...


class Receipts(Protocol):
    """Whatever asks providers what they billed. Everything raises `LedgerUnavailable`."""

    async def status(self) -> Sequence[ReceiptsRow]:
        """Return how receipts stand, by provider."""
        ...

    async def run_due(self, told: Callable[[Mapping[str, int]], None]) -> Mapping[str, int]:
        """Look for what is due now, and tell now and then how many calls came to what."""
        ...


class Wallets(Protocol):
    """Whatever knows what providers report of our accounts."""

    async def list(self) -> Sequence[WalletRow]:
        """Return how wallets stand, by provider. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the handlers work with."""

    ledger: Ledger
    #: The journal in SQL; it is a moment behind the ledger.
    archive: ArchiveReader
    #: The same, for what takes longer than a question: exports, verification.
    database: Database
    grants: GrantAdministration
    keys: KeyAdministration
    receipts: Receipts
    wallets: Wallets
    clock: Clock
    #: By name: the kinds of the providers that are configured.
    providers: Mapping[str, str]
    #: The policies in force; others may be in force the next time.
    rulebook: Callable[[], Rulebook]
    reload_policies: Callable[[], Awaitable[Reloaded | Rejected]]
    #: The page for Prometheus.
    metrics: Callable[[], bytes]
    #: Asks the ledger for a sign of life; raises `LedgerUnavailable`.
    ping: Callable[[], Awaitable[object]]
    #: Why calls cannot be taken now, besides the ledger; empty when they can.
    obstacles: Callable[[], Sequence[str]]
