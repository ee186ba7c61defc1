"""Tasks that the application owns: none vanishes, none fails unseen, all end with it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from proxy.tasks import Tasks
from tests.doubles.fake_upstream import never
from tests.doubles.waiting import until


@pytest.fixture
def failures() -> list[BaseException]:
    return []


@pytest.fixture
def tasks(failures: list[BaseException]) -> Tasks:
    return Tasks(failures.append)


async def test_work_is_done_in_the_background(tasks: Tasks) -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    tasks.spawn(work())
    assert len(tasks) == 1

    await until(lambda: not len(tasks))
    assert done.is_set()


async def test_nothing_that_runs_is_forgotten(tasks: Tasks) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        done.set()

    tasks.spawn(work())
    await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0)
    gc.collect()
    go_on.set()

    await asyncio.wait_for(done.wait(), 20)


async def test_a_result_can_be_waited_for(tasks: Tasks) -> None:
    async def work() -> int:
        return 7

    assert await tasks.run(work()) == 7


async def test_work_goes_on_when_whoever_waits_goes_away(tasks: Tasks) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        done.set()

    async def waits() -> None:
        await asyncio.shield(tasks.run(work()))

    waiting = asyncio.ensure_future(waits())
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    go_on.set()

    await asyncio.wait_for(done.wait(), 20)


async def test_a_failure_is_seen(tasks: Tasks, failures: list[BaseException]) -> None:
    async def fails() -> None:
        raise ValueError("a mistake")

    tasks.spawn(fails())
    await until(lambda: not len(tasks))

    assert [str(failure) for failure in failures] == ["a mistake"]


async def test_a_failure_that_nobody_wants_to_see_is_no_other_failure() -> None:
    async def fails() -> None:
        raise ValueError("a mistake")

    tasks = Tasks()
    tasks.spawn(fails())
    await until(lambda: not len(tasks))


async def test_what_is_cancelled_has_not_failed(
    tasks: Tasks, failures: list[BaseException]
) -> None:
    tasks.run(never()).cancel()
    await until(lambda: not len(tasks))

    assert failures == []


async def test_draining_waits_for_what_ends_in_time(tasks: Tasks) -> None:
    assert await tasks.drain(0) == 0

    async def work() -> None:
        return None

    tasks.spawn(work())
    assert await tasks.drain(20) == 0

    tasks.spawn(never())
    assert await tasks.drain(0.01) == 1
    await tasks.close()


async def test_closing_ends_everything_and_waits_for_it(
    tasks: Tasks, failures: list[BaseException]
) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await never()
        finally:
            ended.append("cleaned up")

    for _ in range(3):
        tasks.spawn(work())
    await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0)

    await tasks.close()

    assert ended == ["cleaned up"] * 3
    assert len(tasks) == 0
    assert failures == []
    await tasks.close()
