"""The connection to Redis: answers in order, whatever breaks is known as such, and it comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from policies.errors import LedgerRefused, LedgerUnavailable, LedgerUntouched
from policies.ledger import connection as connections
from policies.ledger.address import Address
from policies.ledger.connection import NOT_NOW, Connection
from proxy.tasks import Tasks
from tests.doubles.fake_clock import FakeClock
from tests.doubles.scripted_redis import (
    MASTER,
    OK,
    REPLICA,
    Conversation,
    ScriptedRedis,
    Talk,
    is_silent,
    serves,
)
from tests.doubles.waiting import until

TIMEOUT_S = 0.1
PLENTY_S = 20.0


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RECONNECT_S", (0.001, 0.002))


@asynccontextmanager
async def connected(
    redis: ScriptedRedis,
    *,
    timeout_s: float = PLENTY_S,
    address: Address | None = None,
    scripts: tuple[bytes, ...] = (),
    opens: bool = True,
) -> AsyncIterator[Connection]:
    tasks = Tasks()

    async def resolve() -> Address:
        return replace(address or Address(), host="127.0.0.1", port=redis.port)

    made = Connection(
        resolve, timeout_s=timeout_s, spawn=tasks.spawn, clock=FakeClock(), scripts=scripts
    )
    async with redis.running():
        if opens:
            await made.open()
        try:
            yield made
        finally:
            await made.close()
            await tasks.close()


def first_answers(*answers: bytes) -> Talk:
    """A Redis that gives these answers, whatever it is asked."""

    async def talk(conversation: Conversation) -> None:
        await conversation.greet()
        for answer in answers:
            await conversation.command()
            await conversation.say(answer)

    return talk


# On a real server…


async def test_a_command_is_answered(connection: Connection, organization: str) -> None:
    assert await connection.execute("SET", organization, "ü", "EX", 60) == b"OK"
    assert await connection.execute("GET", organization) == "ü".encode()
    assert connection.connected


async def test_many_commands_of_one_turn_are_answered_each_with_its_own(
    connection: Connection,
) -> None:
    answers = await asyncio.gather(
        *(connection.execute("ECHO", str(number)) for number in range(2_000))
    )

    assert answers == [str(number).encode() for number in range(2_000)]


async def test_an_error_is_that_of_its_own_command(
    connection: Connection, organization: str
) -> None:
    found = await asyncio.gather(
        connection.execute("SET", organization, "x"),
        connection.execute("INCR", organization),
        connection.execute("GET", organization),
        return_exceptions=True,
    )

    assert found[0] == b"OK"
    assert isinstance(found[1], LedgerRefused)
    assert found[2] == b"x"


# Greeting…


async def test_it_says_who_it_is_before_anything_else() -> None:
    redis = ScriptedRedis(serves)
    address = Address(username="bursar", password="secret", database=3)

    async with connected(redis, address=address, scripts=(b"return 1", b"return 2")) as connection:
        await connection.execute("PING")

    assert redis.conversations[0].commands == [
        [b"AUTH", b"bursar", b"secret"],
        [b"SELECT", b"3"],
        [b"SCRIPT", b"LOAD", b"return 1"],
        [b"SCRIPT", b"LOAD", b"return 2"],
        [b"ROLE"],
        [b"PING"],
    ]


async def test_a_password_needs_no_name() -> None:
    redis = ScriptedRedis(serves)

    async with connected(redis, address=Address(password="secret")):
        pass

    assert redis.conversations[0].commands[0] == [b"AUTH", b"secret"]


async def test_where_nothing_is_to_be_said_only_the_role_is_asked_for() -> None:
    redis = ScriptedRedis(serves)

    async with connected(redis):
        pass

    assert redis.conversations[0].commands == [[b"ROLE"]]


def refuses(answer: bytes) -> Talk:
    """A Redis that answers the greeting with something else than its role."""

    async def talk(conversation: Conversation) -> None:
        await conversation.greet(answer)
        await conversation.gone()

    return talk


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (REPLICA, "only counted on the master"),
        (b"*0\r\n", "only counted on the master"),
        (b":1\r\n", "only counted on the master"),
        (b"$-1\r\n", "only counted on the master"),
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH"),
        (b"-LOADING Redis is loading\r\n", "LOADING"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke"),
    ],
    ids=["replica", "empty", "number", "nil", "no password", "loading", "not Redis"],
)
async def test_who_is_no_master_is_left_and_tried_again(answer: bytes, message: str) -> None:
    redis = ScriptedRedis(refuses(answer), refuses(answer), serves)

    async with connected(redis, opens=False) as connection:
        with pytest.raises(LedgerUnavailable, match=message):
            await connection.open()
        assert not connection.connected
        await until(lambda: connection.connected)

        assert await connection.execute("PING") == b"OK"
        await until(lambda: redis.open == 1)

    assert len(redis.conversations) == 3


async def test_a_server_that_says_nothing_is_left() -> None:
    redis = ScriptedRedis(is_silent, serves)

    async with connected(redis, timeout_s=TIMEOUT_S, opens=False) as connection:
        with pytest.raises(LedgerUnavailable, match="no answer in time"):
            await connection.open()
        await until(lambda: connection.connected)
        await until(lambda: redis.open == 1)


async def test_where_nobody_listens_it_is_tried_again() -> None:
    redis = ScriptedRedis(serves)
    async with redis.running():
        pass  # Now the port is known, and closed.

    tasks = Tasks()

    async def resolve() -> Address:
        return Address(host="127.0.0.1", port=redis.port)

    connection = Connection(resolve, timeout_s=PLENTY_S, spawn=tasks.spawn, clock=FakeClock())
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        await connection.open()

    async with redis.running():
        await until(lambda: connection.connected)
        await connection.close()
    await tasks.close()


async def test_a_server_that_leaves_as_soon_as_it_was_met_is_tried_again() -> None:
    async def leaves(conversation: Conversation) -> None:
        await conversation.greet()
        conversation.hang_up()

    redis = ScriptedRedis(leaves, leaves, serves)

    async with connected(redis, opens=False) as connection:
        with contextlib.suppress(LedgerUnavailable):
            await connection.open()

        async def answers() -> bool:
            try:
                return bool(await connection.execute("PING"))
            except LedgerUnavailable:
                return False

        await until(answers)
        await until(lambda: redis.open == 1)


async def test_a_connection_that_broke_while_it_greeted_is_not_taken_for_one() -> None:
    """uvloop hands over the last answer and the end in one turn; asyncio does not."""
    redis = ScriptedRedis(serves)

    async with connected(redis, opens=False) as connection:
        greet = connection._greet

        async def greets_and_loses(stream: connections._Stream, address: Address) -> None:
            await greet(stream, address)
            if len(redis.conversations) == 1:
                stream.abort()
                await until(lambda: not stream.alive)

        connection._greet = greets_and_loses  # type: ignore[method-assign]  # To break it right there.
        with pytest.raises(LedgerUnavailable, match="as soon as it was made"):
            await connection.open()
        await until(lambda: connection.connected)


# Answers…


async def test_commands_of_one_turn_leave_in_one_write() -> None:
    redis = ScriptedRedis(serves)

    async with connected(redis) as connection:
        before = len(redis.conversations[0].chunks)
        await asyncio.gather(*(connection.execute("PING") for _ in range(100)))

    assert len(redis.conversations[0].chunks) - before == 1
    assert redis.conversations[0].commands.count([b"PING"]) == 100


async def test_an_answer_in_pieces_is_one_answer() -> None:
    async def stutters(conversation: Conversation) -> None:
        await conversation.greet()
        await conversation.command()
        for byte in b"*2\r\n$5\r\nHello\r\n:7\r\n":
            await conversation.say(bytes([byte]))

    async with connected(ScriptedRedis(stutters)) as connection:
        assert await connection.execute("PING") == [b"Hello", 7]


async def test_several_answers_in_one_piece_are_several() -> None:
    async def waits(conversation: Conversation) -> None:
        await conversation.greet()
        for _ in range(3):
            await conversation.command()
        await conversation.say(b":1\r\n:2\r\n:3\r\n")

    async with connected(ScriptedRedis(waits)) as connection:
        answers = await asyncio.gather(*(connection.execute("PING") for _ in range(3)))

    assert answers == [1, 2, 3]


async def test_the_answer_to_a_caller_who_left_is_not_given_to_the_next() -> None:
    go_on = asyncio.Event()

    async def waits(conversation: Conversation) -> None:
        await conversation.greet()
        await conversation.command()
        await go_on.wait()
        await conversation.say(b":1\r\n")
        await conversation.command()
        await conversation.say(b":2\r\n")

    async with connected(ScriptedRedis(waits)) as connection:
        first = asyncio.ensure_future(connection.execute("PING"))
        await asyncio.wait([first], timeout=0)
        first.cancel()
        second = asyncio.ensure_future(connection.execute("PING"))
        go_on.set()

        assert await second == 2


@pytest.mark.parametrize("word", NOT_NOW)
async def test_a_server_that_does_not_serve_now_did_nothing(word: str) -> None:
    redis = ScriptedRedis(first_answers(f"-{word} not now\r\n".encode(), OK))

    async with connected(redis) as connection:
        with pytest.raises(LedgerUntouched, match=word):
            await connection.execute("PING")
        assert await connection.execute("PING") == b"OK"


async def test_any_other_error_is_a_refusal_with_its_words() -> None:
    redis = ScriptedRedis(first_answers(b"-WRONGTYPE Operation against a key\r\n", OK))

    async with connected(redis) as connection:
        with pytest.raises(LedgerRefused, match="WRONGTYPE Operation"):
            await connection.execute("PING")
        assert await connection.execute("PING") == b"OK"


# Breaks…


async def unasked(conversation: Conversation) -> None:
    """Answers once more than it was asked."""
    await conversation.greet()
    await conversation.command()
    await conversation.say(OK + OK)


@pytest.mark.parametrize(
    "talk",
    [first_answers(b"garbage\r\n"), first_answers(b"+OK"), unasked],
    ids=["garbage", "half an answer", "unasked"],
)
async def test_what_makes_no_sense_breaks_the_connection_and_it_is_made_anew(talk: Talk) -> None:
    async def breaks(conversation: Conversation) -> None:
        await talk(conversation)
        if talk is not unasked:
            conversation.hang_up()

    redis = ScriptedRedis(breaks, serves)

    async with connected(redis) as connection:
        (found,) = await asyncio.gather(connection.execute("PING"), return_exceptions=True)
        assert found == b"OK" or type(found) is LedgerUnavailable
        await until(lambda: len(redis.conversations) == 2 and connection.connected)

        assert await connection.execute("PING") == b"OK"


async def test_whatever_was_in_flight_when_it_broke_is_unknown() -> None:
    async def breaks(conversation: Conversation) -> None:
        await conversation.greet()
        for _ in range(3):
            await conversation.command()
        await conversation.say(b":1\r\n")
        conversation.hang_up()

    async with connected(ScriptedRedis(breaks, serves)) as connection:
        found = await asyncio.gather(
            *(connection.execute("PING") for _ in range(3)), return_exceptions=True
        )

    assert [type(each) for each in found[1:]] == [LedgerUnavailable, LedgerUnavailable]


async def test_while_it_is_broken_commands_fail_at_once_and_touch_nothing() -> None:
    async def breaks(conversation: Conversation) -> None:
        await conversation.greet()
        conversation.hang_up()

    async with connected(ScriptedRedis(breaks, is_silent), opens=False) as connection:
        with contextlib.suppress(LedgerUnavailable):
            await connection.open()
        await until(lambda: not connection.connected)

        with pytest.raises(LedgerUntouched):
            await connection.execute("PING")


async def test_an_answer_that_is_overdue_breaks_the_connection() -> None:
    async def stops(conversation: Conversation) -> None:
        await conversation.greet()
        await conversation.gone()

    redis = ScriptedRedis(stops, serves)

    async with connected(redis, timeout_s=TIMEOUT_S) as connection:
        with pytest.raises(LedgerUnavailable, match="broke"):
            await connection.execute("PING")
        await until(lambda: connection.connected)

        assert await connection.execute("PING") == b"OK"
        await until(lambda: redis.open == 1)


async def test_an_idle_connection_is_not_overdue() -> None:
    redis = ScriptedRedis(serves)

    async with connected(redis, timeout_s=0.01) as connection:
        checks: list[int] = []
        check = connection._check

        def counted() -> None:
            checks.append(1)
            check()

        connection._check = counted  # type: ignore[method-assign]  # To see it pass.
        await until(lambda: len(checks) >= 4)

        assert await connection.execute("PING") == b"OK"
    assert len(redis.conversations) == 1


async def test_a_server_with_too_much_in_flight_has_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IN_FLIGHT_MAX", 2)

    async def stops(conversation: Conversation) -> None:
        await conversation.greet()
        await conversation.gone()

    async with connected(ScriptedRedis(stops)) as connection:
        waiting = [asyncio.ensure_future(connection.execute("PING")) for _ in range(2)]
        await asyncio.wait(waiting, timeout=0)

        with pytest.raises(LedgerUntouched):
            await connection.execute("PING")

        await connection.close()
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, LedgerUnavailable) for each in found)


# Closing…


async def test_a_closed_connection_stays_closed() -> None:
    redis = ScriptedRedis(serves)

    async with connected(redis) as connection:
        await connection.close()
        await until(lambda: redis.open == 0)

        assert not connection.connected
        with pytest.raises(LedgerUntouched):
            await connection.execute("PING")
        connection._check()
        await connection.close()
    assert len(redis.conversations) == 1


async def test_a_connection_that_is_made_while_it_is_closed_is_let_go() -> None:
    answer = asyncio.Event()

    async def greets_late(conversation: Conversation) -> None:
        await conversation.command()
        await answer.wait()
        await conversation.say(MASTER)

    redis = ScriptedRedis(greets_late)

    async with connected(redis, opens=False) as connection:
        opening = asyncio.ensure_future(connection.open())
        await until(lambda: redis.open == 1)
        await connection.close()
        answer.set()

        with pytest.raises(LedgerUnavailable):
            await opening
        await until(lambda: redis.open == 0)
        assert not connection.connected


async def test_a_connection_that_was_never_opened_can_be_closed() -> None:
    async with connected(ScriptedRedis(serves), opens=False) as connection:
        await connection.close()

        assert not connection.connected
