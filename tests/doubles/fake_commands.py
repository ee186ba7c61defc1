"""A Redis that knows SET and GET, and can be away."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from policies.errors import LedgerUntouched


class FakeCommands:
    """Whatever can send a command to Redis."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.away = False

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        if self.away:
            raise LedgerUntouched("Redis is not connected")
        return self._execute(*command)

    async def _execute(self, *command: bytes | str | int) -> bytes | None:
        name, key, *rest = command
        if name == "SET":
            self.values[str(key)] = str(rest[0]).encode()
            return b"OK"
        assert name == "GET", command
        return self.values.get(str(key))
