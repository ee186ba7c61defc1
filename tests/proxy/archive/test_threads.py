"""Work in a thread comes to its end, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from proxy.archive.threads import in_thread
from tests.doubles.waiting import until


async def test_what_comes_of_it_is_returned() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)


async def test_its_fault_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_who_is_cancelled_waits_for_its_end() -> None:
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go_on.wait(10)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await until(began.is_set)
    task.cancel()
    asyncio.get_running_loop().call_later(0.01, go_on.set)

    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()
