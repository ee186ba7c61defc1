"""The journal's stream of a test's own organisation, written without the ledger."""

from __future__ import annotations

import itertools
from typing import Any

from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.archive.stream import StreamEntry


class JournalStream:
    """Appends entries as the ledger does, under ids that a test chooses or Redis gives."""

    def __init__(self, connection: Connection, organization: str) -> None:
        self.connection = connection
        self.keys = Keys(organization)
        self._numbers = itertools.count(1)

    async def add(self, *entries: StreamEntry, stream_id: str = "") -> list[str]:
        """Append entries; return their ids, which go up by themselves unless one is chosen."""
        ids = []
        for each in entries:
            fields: dict[str, Any] = {
                "v": each.version,
                "kind": each.kind,
                "call": each.call_id or "",
                "at": each.at_ms,
                "data": each.data,
                "moves": each.moves,
            }
            if each.checks is not None:
                fields["checks"] = each.checks
            flat = [part for pair in fields.items() for part in pair]
            chosen = stream_id or f"{next(self._numbers)}-0"
            ids.append((await self.execute("XADD", self.keys.journal, chosen, *flat)).decode())
        return ids

    async def empty(self) -> None:
        """Lose everything, as a Redis without its files does."""
        names = await self.execute("KEYS", f"{self.keys.prefix}:*")
        for name in names:
            await self.execute("DEL", name)
        self._numbers = itertools.count(1)

    async def copy(self) -> dict[bytes, bytes]:
        """Return a copy of all there is."""
        names = await self.execute("KEYS", f"{self.keys.prefix}:*")
        return {name: await self.execute("DUMP", name) for name in names}

    async def put_back(self, copy: dict[bytes, bytes]) -> None:
        """Put back an old copy, as when Redis starts from an old file."""
        await self.empty()
        for name, dump in copy.items():
            await self.execute("RESTORE", name, 0, dump)

    async def length(self) -> int:
        """Return how many entries there are."""
        return int(await self.execute("XLEN", self.keys.journal))

    async def execute(self, *command: bytes | str | int) -> Any:
        """Send a command."""
        return await self.connection.execute(*command)
