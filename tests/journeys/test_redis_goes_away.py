"""The ledger's Redis dies, freezes, forgets or refuses: no budget is guessed, no call booked twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.aftermath import books_are_closed, faults, kinds, serves
from tests.doubles.formats import CHAT, FORMATS, TOKEN_NANO_USD, Format
from tests.doubles.running import Running, running
from tests.doubles.valkey_server import ValkeyServer, valkey_server
from tests.doubles.waiting import until

BUDGETS = "[{name: month, limit: 10 USD, window: month}]"
ALLOWING = (
    "[{name: month, limit: 10 USD, window: month, when_ledger_down: {allow: 0.03 USD}},"
    " {name: wide, limit: 10 USD, window: lifetime, when_ledger_down: {allow: 1 USD}}]"
)
SETTINGS = "ledger: {timeout: 200ms}\n"
CALL = 10 * TOKEN_NANO_USD
every_format = pytest.mark.parametrize("form", FORMATS, ids=str)


@asynccontextmanager
async def gateway(
    folder: Path, organization: str, budgets: str = BUDGETS, settings: str = SETTINGS
) -> AsyncIterator[tuple[Running, ValkeyServer]]:
    async with (
        valkey_server() as valkey,
        running(folder, valkey.url, organization, budgets=budgets, settings=settings) as bursar,
    ):
        # A key that the worker does not know yet would have to be looked for.
        await bursar.app.keys.refresh()
        yield bursar, valkey


async def is_back(bursar: Running) -> None:
    """Wait until the proxy is connected again."""
    await until(lambda: bursar.app.ready)


async def is_gone(bursar: Running) -> None:
    """Wait until the proxy has noticed."""
    await until(lambda: not bursar.app.ready)


async def in_flight(bursar: Running, count: int) -> list[asyncio.Task[tuple[int, Any, Any]]]:
    """Begin calls of all dialects, streamed and not; return when the provider has them all."""
    before = len(bursar.simulator.calls)
    forms = [(FORMATS[i % len(FORMATS)], i % 2 == 0) for i in range(count)]
    calls = [
        asyncio.ensure_future(bursar.post(form.path_of(stream=stream), form.body(stream=stream)))
        for form, stream in forms
    ]
    await until(lambda: len(bursar.simulator.calls) == before + count)
    return calls


async def statuses(calls: list[asyncio.Task[tuple[int, Any, Any]]]) -> Counter[int]:
    return Counter(answer[0] for answer in await asyncio.gather(*calls))


@every_format
async def test_without_the_ledger_calls_are_refused(
    tmp_path: Path, organization: str, form: Format
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        valkey.kill()
        answers = [await bursar.post(form.path, form.body()) for _ in range(3)]

        assert [status for status, _, _ in answers] == [503] * 3
        for _, headers, document in answers:
            assert "ledger" in form.refusal_of(document, 503)
            assert "x-should-retry" not in headers
        assert bursar.simulator.calls == []
        await valkey.start()
        await is_back(bursar)
        await books_are_closed(bursar, spent=0)


async def test_an_allowance_admits_up_to_its_bound_and_is_booked_once_afterwards(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization, ALLOWING) as (bursar, valkey):
        valkey.kill()
        await is_gone(bursar)
        bursar.scenario(first_byte_delay_ms=100)
        at_once = await asyncio.gather(*(bursar.chat(max_tokens=10) for _ in range(10)))
        bursar.scenario(usage={"output": 1})
        afterwards = await bursar.chat(max_tokens=10)

        # Three bounds fit the smaller allowance; what they came to uses it up.
        assert Counter(status for status, _, _ in at_once) == {200: 3, 503: 7}
        assert afterwards[0] == 503
        await valkey.start()
        await books_are_closed(bursar, spent=3 * CALL)
        assert (await bursar.standing("wide")).spent == 3 * CALL + TOKEN_NANO_USD
        counted = await kinds(bursar)
        assert (counted["admitted"], counted["settle"], counted["release"]) == (4, 4, 0)
        assert bursar.truth_output_tokens == 31


async def test_an_allowance_is_used_up_by_what_calls_came_to_and_not_by_their_bounds(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization, ALLOWING) as (bursar, valkey):
        valkey.kill()
        await is_gone(bursar)
        bursar.scenario(usage={"output": 1})
        one_by_one = Counter([(await bursar.chat(max_tokens=10))[0] for _ in range(25)])

        # 21 calls of one token leave less than the ten tokens that one more may need.
        assert one_by_one == {200: 21, 503: 4}
        await valkey.start()
        await books_are_closed(bursar, spent=21 * TOKEN_NANO_USD)


async def test_a_call_on_an_allowance_that_never_reaches_the_provider_is_charged_nothing(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization, ALLOWING) as (bursar, valkey):
        valkey.kill()
        await is_gone(bursar)
        bursar.scenario(status=500)

        assert (await bursar.chat())[0] == 500
        await valkey.start()
        await books_are_closed(bursar, spent=0)
        # It was admitted and sent, so it is recorded all the same.
        assert (await kinds(bursar)) == {"admitted": 2, "release": 1, "settle": 1}


async def test_the_allowance_begins_anew_when_everything_is_booked(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization, ALLOWING) as (bursar, valkey):
        for _ in range(2):
            valkey.kill()
            await is_gone(bursar)
            answers = [await bursar.chat(max_tokens=10) for _ in range(4)]
            assert [status for status, _, _ in answers] == [200, 200, 200, 503]
            await valkey.start()
            await bursar.settled()

        await books_are_closed(bursar, spent=6 * CALL)


async def test_what_a_stopped_proxy_had_not_booked_the_next_one_books_once(
    tmp_path: Path, organization: str
) -> None:
    async with valkey_server() as valkey:
        async with running(
            tmp_path, valkey.url, organization, budgets=ALLOWING, settings=SETTINGS
        ) as bursar:
            await bursar.app.keys.refresh()
            bursar.scenario(first_byte_delay_ms=50)
            calls = await in_flight(bursar, 4)
            valkey.kill()
            await is_gone(bursar)
            assert await statuses(calls) == {200: 4}
            assert (await bursar.chat(max_tokens=10))[0] == 200
        await valkey.start()

        for _ in range(2):
            async with running(
                tmp_path, valkey.url, organization, budgets=ALLOWING, settings=SETTINGS
            ) as bursar:
                await bursar.settled()
                assert (await bursar.standing("month")).spent == 5 * CALL
                assert (await bursar.standing("month")).reserved == 0
                counted = await kinds(bursar)
                assert (counted["admitted"], counted["settle"]) == (5, 5)


async def test_a_ledger_that_dies_in_mid_call_gets_the_settlement_afterwards(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=100)
        calls = await in_flight(bursar, 16)
        valkey.kill()

        assert await statuses(calls) == {200: 16}
        await valkey.start()
        await books_are_closed(bursar, spent=16 * CALL)
        counted = await kinds(bursar)
        assert (counted["admitted"], counted["settle"], counted["expire"]) == (17, 17, 0)


async def test_a_refusal_of_the_provider_releases_the_call_when_the_ledger_is_back(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(status=429, first_byte_delay_ms=100)
        calls = await in_flight(bursar, 4)
        valkey.kill()

        assert await statuses(calls) == {429: 4}
        await valkey.start()
        await books_are_closed(bursar, spent=0)


async def test_a_frozen_ledger_hangs_nobody_and_leaves_no_call_reserved(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=50)
        calls = await in_flight(bursar, 8)
        valkey.freeze()
        began_s = time.monotonic()
        refused = await asyncio.gather(*(bursar.chat() for _ in range(20)))
        took_s = time.monotonic() - began_s

        assert {status for status, _, _ in refused} == {503}
        assert took_s < 2
        assert await statuses(calls) == {200: 8}
        valkey.thaw()
        await is_back(bursar)
        # What was asked of the frozen server it does when it wakes: nobody was sent those calls.
        await books_are_closed(bursar, spent=8 * CALL)


async def test_a_frozen_ledger_does_not_collect_connections(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization, settings="ledger: {timeout: 20ms}\n") as (
        bursar,
        valkey,
    ):
        before = valkey.clients()
        valkey.freeze()
        for _ in range(3):
            await is_gone(bursar)
            assert (await bursar.chat())[0] == 503
        valkey.thaw()
        await is_back(bursar)

        await until(lambda: valkey.clients() == before)
        await serves(bursar)


async def test_a_call_that_an_empty_ledger_does_not_know_is_charged_all_the_same(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=100)
        calls = await in_flight(bursar, 4)
        valkey.kill()
        valkey.empty()

        assert await statuses(calls) == {200: 4}
        await valkey.start()
        await is_back(bursar)
        # The keys of callers were there and nowhere else.
        _, bursar.key = await bursar.app.key_store.create("red")
        await books_are_closed(bursar, spent=4 * CALL)


REFUSALS = {
    "no memory": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "too few replicas": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
    "no rights": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@pytest.mark.parametrize(("begin", "end"), REFUSALS.values(), ids=REFUSALS)
async def test_a_ledger_that_refuses_to_write_gets_everything_when_it_writes_again(
    tmp_path: Path, organization: str, begin: tuple[str, ...], end: tuple[str, ...]
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=100)
        calls = await in_flight(bursar, 4)
        valkey.command(*begin)

        assert (await bursar.chat())[0] == 503
        assert await statuses(calls) == {200: 4}
        assert len(bursar.simulator.calls) == 4
        valkey.command(*end)
        await books_are_closed(bursar, spent=4 * CALL)


async def test_scripts_that_somebody_flushed_are_sent_again(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=20)
        calls = await in_flight(bursar, 8)
        valkey.command("SCRIPT", "FLUSH")

        assert await statuses(calls) == {200: 8}
        assert (await bursar.chat(max_tokens=10))[0] == 200
        await books_are_closed(bursar, spent=9 * CALL)


async def test_connections_that_are_killed_under_load_lose_no_call_and_charge_none_twice(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        bursar.scenario(first_byte_delay_ms=10, chunks=2, chunk_delay_ms=5)
        answered: Counter[int] = Counter()

        async def caller(number: int) -> None:
            form = FORMATS[number % len(FORMATS)]
            for turn in range(10):
                stream = turn % 2 == 0
                status, _, _ = await bursar.post(
                    form.path_of(stream=stream), form.body(stream=stream)
                )
                answered[status] += 1
                if turn == 4:
                    valkey.command("CLIENT", "KILL", "TYPE", "normal")

        await asyncio.gather(*(caller(number) for number in range(20)))

        assert set(answered) <= {200, 503}
        assert answered[200] > 50
        assert len(bursar.simulator.calls) == answered[200]
        assert bursar.truth_output_tokens * TOKEN_NANO_USD == answered[200] * CALL
        await books_are_closed(bursar, spent=answered[200] * CALL)


async def test_a_proxy_that_was_busy_does_not_take_its_ledger_for_gone(
    tmp_path: Path, organization: str
) -> None:
    # Whatever blocks the loop for longer than the time-out, the answer is there all the while.
    # Far above what a machine that runs other tests takes to let Redis answer.
    async with gateway(tmp_path, organization, settings="ledger: {timeout: 500ms}\n") as (
        bursar,
        _,
    ):
        answers = []
        # After so many turns of the loop a call waits for its reservation.
        for turns in range(4, 14):
            call = asyncio.ensure_future(bursar.chat(max_tokens=10))
            for _ in range(turns):
                await asyncio.wait([call], timeout=0)
            busy_until_s = time.monotonic() + 0.6
            while time.monotonic() < busy_until_s:
                pass
            answers.append((await call)[0])

        assert answers == [200] * 10
        await books_are_closed(bursar, spent=10 * CALL)


async def test_a_proxy_that_starts_without_its_ledger_serves_when_that_is_there(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        port = int(bursar.simulator_url.rpartition(":")[2])
        valkey.kill()
        app = type(bursar.app)(
            bursar.app.settings,
            bursar.app.rulebook,
            ledger_url=valkey.url,
            clock=bursar.app._clock,
            watch=bursar.app._watch,
        )
        await app.start()
        url = f"http://127.0.0.1:{await app.listen('127.0.0.1', 0)}"
        first = Running(
            app=app,
            simulator=bursar.simulator,
            url=url,
            simulator_url=f"http://127.0.0.1:{port}",
            key=bursar.key,
            http=bursar.http,
        )

        assert (await first.chat())[0] == 503
        await valkey.start()
        await is_back(first)
        assert (await first.chat(max_tokens=10))[0] == 200
        await books_are_closed(first, spent=CALL)
        await app.stop()
        assert faults(bursar) == []


async def test_a_request_for_the_own_budgets_says_that_the_ledger_is_away(
    tmp_path: Path, organization: str
) -> None:
    async with gateway(tmp_path, organization) as (bursar, valkey):
        valkey.kill()
        async with bursar.http.get(
            f"{bursar.url}/v1/budget", headers={"authorization": f"Bearer {bursar.key}"}
        ) as answer:
            assert answer.status == 503
            assert "ledger" in CHAT.refusal_of(await answer.json(), 503)
