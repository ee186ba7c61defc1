"""Workers that vanish or hang: their calls are charged as reserved, and corrected if more is known."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from policies.ledger.interface import CallRecord
from policies.reservations import State
from tests.doubles.aftermath import books_are_closed, kinds, pending
from tests.doubles.doomed_worker import DoomedWorker, doomed_worker
from tests.doubles.formats import CHAT, FORMATS, TOKEN_NANO_USD
from tests.doubles.raw_http import connected, request
from tests.doubles.running import Running, running
from tests.doubles.valkey_server import valkey_server
from tests.doubles.waiting import until

BUDGETS = (
    "[{name: month, limit: 10 USD, window: month, when_ledger_down: {allow: 1 USD}},"
    " {name: hour, limit: 1M tokens, window: rolling 5h, when_ledger_down: {allow: 1 USD}}]"
)
SETTINGS = "ledger: {lease: 300ms, timeout: 2s}\n"
RESERVED = 10 * TOKEN_NANO_USD
USED = 3 * TOKEN_NANO_USD


@asynccontextmanager
async def two_workers(
    folder: Path, redis_url: str, organization: str
) -> AsyncIterator[tuple[Running, DoomedWorker]]:
    """Run a worker in this process, and one in another that serves the same organisation."""
    async with running(
        folder / "own", redis_url, organization, budgets=BUDGETS, settings=SETTINGS
    ) as bursar:
        other = folder / "other"
        other.mkdir()
        for name in ("bursar.yaml", "policies.yaml"):
            shutil.copy(folder / "own" / name, other / name)
        async with doomed_worker(other, redis_url) as doomed:
            yield bursar, doomed


async def record(bursar: Running, call_id: str) -> CallRecord:
    found = await bursar.app.ledger.find(call_id)
    assert found is not None
    return found


async def is_in(bursar: Running, call_id: str, state: State) -> bool:
    return (await record(bursar, call_id)).state is state


async def only_pending(bursar: Running) -> str:
    """Wait for the one call that is reserved; return its id."""
    await until(lambda: _is_one_pending(bursar))
    (call_id,) = await pending(bursar)
    return call_id.decode()


async def _is_one_pending(bursar: Running) -> bool:
    return len(await pending(bursar)) == 1


async def test_the_calls_of_a_killed_worker_are_charged_as_reserved_with_their_ids_noted(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(usage={"output": 3}, stall_after_events=2)
        call_ids = []
        async with AsyncExitStack() as connections:
            for form in FORMATS:
                client = await connections.enter_async_context(connected(doomed.url))
                body = form.text(stream=True)
                await client.send(request(form.stream_path, body, bursar.key))
                answer = await client.head()
                call_ids.append(answer.headers["x-bursar-call-id"])
                await client.some(100)
                await until(partial(_is_noted, bursar, call_ids[-1]))
            await doomed.kill()

        for call_id, call in zip(call_ids, bursar.simulator.calls, strict=True):
            await until(partial(is_in, bursar, call_id, State.EXPIRED))
            ids = (await record(bursar, call_id)).generation_ids
            assert set(ids) & set(call.generation_ids)
        assert (await kinds(bursar)) == {"admitted": 4, "expire": 4}
        assert [event["event"] for event in bursar.logs].count("call_expired") == 4
        await books_are_closed(bursar, spent=4 * RESERVED)


async def _is_noted(bursar: Running, call_id: str) -> bool:
    return bool((await record(bursar, call_id)).generation_ids)


async def test_every_call_of_a_killed_worker_is_charged_as_reserved(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(hang=True)
        own, bursar.url = bursar.url, doomed.url
        calls = [asyncio.ensure_future(bursar.chat(max_tokens=10)) for _ in range(50)]
        await until(lambda: len(bursar.simulator.calls) == 50)
        await doomed.kill()
        await asyncio.gather(*calls, return_exceptions=True)
        bursar.url = own

        await books_are_closed(bursar, spent=50 * RESERVED)
        counted = await kinds(bursar)
        assert (counted["expire"], counted["settle"]) == (50, 1)


async def test_a_long_stream_keeps_its_lease(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(usage={"output": 3}, chunks=3, chunk_delay_ms=250)
        own, bursar.url = bursar.url, doomed.url
        status, _, _ = await bursar.chat(stream=True)
        bursar.url = own

        assert status == 200
        await books_are_closed(bursar, spent=USED)
        assert (await kinds(bursar))["expire"] == 0


async def test_a_call_that_waits_long_for_its_provider_keeps_its_lease(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(usage={"output": 3}, first_byte_delay_ms=900)
        own, bursar.url = bursar.url, doomed.url
        status, _, _ = await bursar.chat()
        bursar.url = own

        assert status == 200
        await books_are_closed(bursar, spent=USED)
        assert (await kinds(bursar))["expire"] == 0


async def test_a_worker_that_hung_corrects_what_was_charged_meanwhile(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(usage={"output": 3}, chunks=3, chunk_delay_ms=100)
        async with connected(doomed.url) as client:
            await client.send(request(CHAT.path, CHAT.text(stream=True), bursar.key))
            call_id = (await client.head()).headers["x-bursar-call-id"]
            doomed.freeze()
            await until(lambda: is_in(bursar, call_id, State.EXPIRED))
            assert (await bursar.standing("month")).spent == RESERVED
            doomed.thaw()

            await until(lambda: is_in(bursar, call_id, State.SETTLED))
        assert (await kinds(bursar)) == {"admitted": 1, "expire": 1, "settle": 1}
        await books_are_closed(bursar, spent=USED)
        assert (await bursar.standing("month")).overrun == 0


async def test_a_refusal_that_a_hung_worker_brings_late_costs_nothing(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    async with two_workers(tmp_path, redis_url, organization) as (bursar, doomed):
        bursar.scenario(status=429, first_byte_delay_ms=100)
        async with connected(doomed.url) as client:
            await client.send(request(CHAT.path, CHAT.text(), bursar.key))
            call_id = await only_pending(bursar)
            doomed.freeze()
            await until(lambda: is_in(bursar, call_id, State.EXPIRED))
            doomed.thaw()

            assert (await client.answer()).status == 429
        await books_are_closed(bursar, spent=0)


async def test_what_a_killed_worker_had_written_ahead_the_next_one_books_once(
    tmp_path: Path, organization: str
) -> None:
    folder = tmp_path / "same"
    async with valkey_server() as valkey:
        async with running(
            folder, valkey.url, organization, budgets=BUDGETS, settings=SETTINGS
        ) as bursar:
            await bursar.app.stop()
            async with doomed_worker(folder, valkey.url) as doomed:
                bursar.scenario(usage={"output": 3}, first_byte_delay_ms=100)
                bursar.url = doomed.url
                calls = [asyncio.ensure_future(bursar.chat()) for _ in range(5)]
                await until(lambda: len(bursar.simulator.calls) == 5)
                valkey.kill()
                assert [status for status, _, _ in await asyncio.gather(*calls)] == [200] * 5
                # One more comes in while the ledger is away.
                assert (await bursar.chat())[0] == 200
                await doomed.kill()
        (left,) = (folder / "var" / "write-ahead").glob("*.wal")
        assert len(left.read_bytes().splitlines()) == 6
        await valkey.start()

        async with running(
            folder, valkey.url, organization, budgets=BUDGETS, settings=SETTINGS
        ) as bursar:
            await books_are_closed(bursar, spent=6 * USED)
            counted = await kinds(bursar)
            assert (counted["admitted"], counted["settle"]) == (7, 7)
            assert not left.exists()


async def test_a_line_that_a_crash_cut_short_is_no_entry(
    tmp_path: Path, redis_url: str, organization: str
) -> None:
    folder = tmp_path / "var" / "write-ahead"
    folder.mkdir(parents=True)
    whole = json.dumps({"not": "an entry"})
    (folder / "1-dead.wal").write_text(f'{whole}\n{{"reservation": {{"call_id": "call_')

    async with running(tmp_path, redis_url, organization, budgets=BUDGETS) as bursar:
        await books_are_closed(bursar, spent=0)
        assert [path.suffix for path in folder.glob("1-dead*")] == [".unreadable"]
