"""Tasks that the application owns: none is lost, none fails unseen, all end when the application does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class Tasks:
    """Owns background tasks. The event loop alone keeps weak references, and a task could vanish."""

    def __init__(self, on_failure: Callable[[BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def __len__(self) -> int:
        """Return how many tasks run."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work in the background until it ends or the owner closes."""
        _ = self._own(work)

    def run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run work whose result is waited for; it goes on when whoever waits goes away."""
        return self._own(work)

    async def drain(self, timeout_s: float) -> int:
        """Wait for all tasks to end by themselves; return how many did not in time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel what still runs, and wait for it."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _own(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._on_failure is not None:
            self._on_failure(error)
