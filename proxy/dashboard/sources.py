"""What the dashboard's pages are made from; the composition root chooses each of them."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.admin.access import Access, Expired
from proxy.admin.services import Services


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class Tokens(Protocol):
    """The admin plane's tokens."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def access(self, token: str, now_ms: int) -> Access | Expired | None:
        """Return what a token opens now; None: nothing."""
        ...

    def access_by_digest(self, digest: str, now_ms: int) -> Access | Expired | None:
        """Return the same for a token's digest."""
        ...


class Attempts(Protocol):
    """How often somebody may present a token that is none; shared with the admin API."""

    def allowed(self, address: str) -> int | None:
        """Return None if a token may be presented; else the seconds to wait."""
        ...

    def failed(self, address: str) -> None:
        """Count a token that was none."""
        ...

    def succeeded(self, address: str) -> None:
        """Remember that a right token came from here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that pages are made from."""

    #: What the admin API is made from too: it and the pages say the same.
    services: Services
    tokens: Tokens
    attempts: Attempts
    #: Where sessions are kept.
    commands: Commands
    #: What every key of the organisation in Redis begins with.
    prefix: str
