"""A Redis and a ledger that break off at the step that a test names: before it takes place, or after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from tests.doubles.flaky_ledger import FlakyLedger

_T = TypeVar("_T")


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]: ...


class Steps:
    """Counts what is done to Redis and to the ledger together."""

    def __init__(self) -> None:
        self.taken = 0
        self._breaks_at: int | None = None
        self._after = False

    def break_at(self, step: int, *, after: bool) -> None:
        """Begin to count, and break off at the step of this number."""
        self.taken = 0
        self._breaks_at, self._after = step, after

    def hold(self) -> None:
        """Begin to count, and break off nowhere."""
        self.taken = 0
        self._breaks_at = None

    async def take(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do one step, unless it is the one at which all ends."""
        number, self.taken = self.taken, self.taken + 1
        if number != self._breaks_at:
            return await work()
        if self._after:
            await work()
        raise LedgerUnavailable("it ended here")


class BreakingCommands:
    """Redis, step by step."""

    def __init__(self, behind: Commands, steps: Steps) -> None:
        self._behind = behind
        self._steps = steps

    async def execute(self, *command: bytes | str | int) -> Any:
        async def work() -> Any:
            return await self._behind.execute(*command)

        return await self._steps.take(work)


class BreakingLedger(FlakyLedger):
    """A ledger, step by step."""

    def __init__(self, behind: Ledger, steps: Steps) -> None:
        super().__init__(behind)
        self._steps = steps

    async def _do(self, operation: str, work: Callable[[], Awaitable[_T]]) -> _T:
        self.asked.append(operation)
        return await self._steps.take(work)
