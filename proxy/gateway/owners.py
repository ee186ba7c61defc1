"""Which team a stored answer belongs to: Responses are fetched by id, by whoever knows the id."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from policies.errors import LedgerUnavailable
from policies.ledger.keys import Keys
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Refusal

# OpenAI keeps answers for 30 days.
KEPT_S: Final = 30 * 86_400
ID_CHARS_MAX: Final = 256


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class ResponseOwners:
    """Remembers owners in the ledger's Redis, so that any replica can tell."""

    def __init__(self, commands: Commands, organization: str) -> None:
        self._commands = commands
        self._prefix = f"{Keys(organization).prefix}:response:"

    async def remember(self, response_id: str, team: str, provider: str) -> None:
        """Remember who an answer belongs to; without the ledger it cannot be fetched later."""
        if len(response_id) > ID_CHARS_MAX:
            return
        try:
            await self._commands.execute(
                "SET", self._prefix + response_id, f"{provider} {team}", "EX", KEPT_S
            )
        except LedgerUnavailable:
            return

    async def check(self, response_id: str, team: str, provider: str) -> Refusal | None:
        """Return the refusal of a call that goes on from an answer which its team does not have.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        owner = await self.find(response_id)
        if owner is not None and owner == (team, provider):
            return None
        return Refusal(
            status=404,
            kind=ErrorKind.NOT_FOUND,
            param="previous_response_id",
            message=f"no answer '{response_id}' of team '{team}' is known at provider '{provider}': go "
            "on from one that came through this proxy, or send the conversation itself",
        )

    async def find(self, response_id: str) -> tuple[str, str] | None:
        """Return team and provider of an answer.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        if len(response_id) > ID_CHARS_MAX:
            return None
        found = await self._commands.execute("GET", self._prefix + response_id)
        if found is None:
            return None
        provider, _, team = found.decode().partition(" ")
        return team, provider
