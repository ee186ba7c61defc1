"""Waiting for something to come true, with a deadline; the one place where tests pause."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

DEADLINE_S = 20.0


async def until(
    true: Callable[[], bool | Awaitable[bool]], *, deadline_s: float = DEADLINE_S
) -> None:
    """Return as soon as it is true.

    Raises:
        TimeoutError: it did not come true in time.
    """
    async with asyncio.timeout(deadline_s):
        while True:
            result = true()
            if await result if inspect.isawaitable(result) else result:
                return
            await asyncio.sleep(0.005)
