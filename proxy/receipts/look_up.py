"""Asking a provider for one call: every id it may be known by, at every place that may know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from proxy.providers.connection import MaybeSent, NeverSent, Upstream, read_whole
from proxy.providers.interface import Target
from proxy.receipts.receipt import (
    Final as FinalReceipt,
)
from proxy.receipts.receipt import (
    Never,
    Pending,
    ReceiptAdapter,
    Result,
    SetAside,
    SlowDown,
    UnknownId,
)

#: A receipt is a few kilobytes; more than this is none.
RECEIPT_BYTES_MAX: Final = 1024 * 1024
_OK: Final = 200
#: Told of each request before it is sent.
Spend = Callable[[], Awaitable[None]]


class LookUps:
    """Looks calls up by their ids."""

    def __init__(self, upstream: Upstream, timeout_s: float) -> None:
        """Take what sends requests, and how long one answer may take, all of it."""
        self._upstream = upstream
        self._timeout_s = timeout_s

    async def look_up(self, adapter: ReceiptAdapter, ids: Sequence[str], spend: Spend) -> Result:
        """Return what the provider says of a call; of several answers, the one that says most.

        Args:
            adapter: reads the provider's answers.
            ids: under which the provider may know the call, likeliest first.
            spend: told of each request.
        """
        best: Result = UnknownId()
        for generation_id in ids:
            known = (generation_id, *(each for each in ids if each != generation_id))
            for target in adapter.targets(generation_id):
                await spend()
                result, status = await self._ask(adapter, known, target)
                if isinstance(result, FinalReceipt | SlowDown | Never):
                    return result
                if isinstance(result, Pending) and status == _OK:
                    # It is the right place and the right id: only the bill is missing.
                    return result
                # Where nobody answers, or with a fault, another place may know all the same.
                if isinstance(result, SetAside) or isinstance(best, UnknownId):
                    best = result
        return best

    async def _ask(
        self, adapter: ReceiptAdapter, ids: Sequence[str], target: Target
    ) -> tuple[Result, int]:
        """Return what one place says, and with which status; 0: there was no answer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._upstream.send(target, list(target.headers), None)
                try:
                    body = await read_whole(answer, RECEIPT_BYTES_MAX)
                finally:
                    answer.close()
        except TimeoutError:
            return Pending("the billing endpoint did not answer in time"), 0
        except (NeverSent, MaybeSent) as fault:
            return Pending(str(fault)), 0
        return adapter.read(ids, answer.status, answer.headers, body), answer.status
