"""Sessions: they end when they are left alone, when they are ended, and with their token."""

from __future__ import annotations

import pytest

from policies.ledger.connection import Connection
from proxy.admin.access import Access, Opening, Tokens
from proxy.dashboard.sessions import IDLE_S, WHOLE_MS, Session, Sessions
from tests.doubles.fake_clock import NOON_MS, FakeClock

GRANTS = [
    Opening(token="root", role="admin", name="ada"),
    Opening(token="short", role="viewer", expires_ms=NOON_MS + 60_000),
]


@pytest.fixture
def prefix(organization: str) -> str:
    return f"bursar:{{{organization}}}"


@pytest.fixture
def sessions(connection: Connection, clock: FakeClock, prefix: str) -> Sessions:
    return Sessions(connection, prefix, Tokens(GRANTS), clock)


async def opened(sessions: Sessions, token: str = "root") -> Session:
    access = Tokens(GRANTS).access(token, NOON_MS)
    assert isinstance(access, Access)
    return await sessions.open(access)


async def test_a_session_is_found_on_another_replica(
    sessions: Sessions, connection: Connection, clock: FakeClock, prefix: str
) -> None:
    session = await opened(sessions)

    other = Sessions(connection, prefix, Tokens(GRANTS), clock)
    found = await other.find(session.secret, "10.0.0.4")

    assert found is not None
    assert (found.access.actor, found.access.role) == ("ada", "admin")
    assert (found.access.address, found.csrf) == ("10.0.0.4", session.csrf)


async def test_redis_holds_neither_the_secret_nor_the_token(
    sessions: Sessions, connection: Connection, prefix: str
) -> None:
    session = await opened(sessions)

    (key,) = await connection.execute("KEYS", f"{prefix}:session:*")
    row = await connection.execute("GET", key)

    assert session.secret.encode() not in key + row
    assert b"root" not in row
    assert 0 < await connection.execute("TTL", key) <= IDLE_S


async def test_a_session_ends_with_its_token(
    sessions: Sessions, connection: Connection, clock: FakeClock, prefix: str
) -> None:
    session = await opened(sessions)

    without = Sessions(connection, prefix, Tokens(GRANTS[1:]), clock)

    assert await without.find(session.secret, "") is None
    assert await connection.execute("KEYS", f"{prefix}:session:*") == []


async def test_a_session_ends_when_its_token_expires(sessions: Sessions, clock: FakeClock) -> None:
    session = await opened(sessions, "short")
    assert await sessions.find(session.secret, "") is not None

    clock.advance(60_000)

    assert await sessions.find(session.secret, "") is None


async def test_a_session_ends_after_a_working_day_however_busy(
    sessions: Sessions, clock: FakeClock
) -> None:
    session = await opened(sessions)

    clock.advance(WHOLE_MS)

    assert await sessions.find(session.secret, "") is None


async def test_a_session_that_was_ended_is_gone(sessions: Sessions) -> None:
    session = await opened(sessions)

    await sessions.end(session)

    assert await sessions.find(session.secret, "") is None


async def test_looking_keeps_a_session_open_and_following_does_not(
    sessions: Sessions, connection: Connection, prefix: str
) -> None:
    session = await opened(sessions)
    (key,) = await connection.execute("KEYS", f"{prefix}:session:*")
    await connection.execute("EXPIRE", key, 100)

    await sessions.find(session.secret, "", keeps_open=False)
    followed = await connection.execute("TTL", key)
    await sessions.find(session.secret, "")
    looked = await connection.execute("TTL", key)

    assert followed <= 100 < looked


@pytest.mark.parametrize("secret", ["", "nobody", "x" * 10_000, "\ud800", "a b\n"])
async def test_other_texts_are_nobodys_session(sessions: Sessions, secret: str) -> None:
    await opened(sessions)

    assert await sessions.find(secret, "") is None


@pytest.mark.parametrize("row", ["", "{", "[]", '{"digest":1}', '{"csrf":"a"}'])
async def test_a_row_that_cannot_be_read_is_no_session(
    sessions: Sessions, connection: Connection, prefix: str, row: str
) -> None:
    session = await opened(sessions)
    (key,) = await connection.execute("KEYS", f"{prefix}:session:*")
    await connection.execute("SET", key, row)

    assert await sessions.find(session.secret, "") is None


async def test_a_form_is_sent_once_by_each_session(sessions: Sessions) -> None:
    one, other = await opened(sessions), await opened(sessions)

    assert await sessions.once(one, "form-1")
    assert not await sessions.once(one, "form-1")
    assert await sessions.once(one, "form-2")
    assert await sessions.once(other, "form-1")


async def test_a_session_knows_its_own_forms(sessions: Sessions) -> None:
    session = await opened(sessions)

    assert session.owns(session.csrf)
    assert not session.owns("")
    assert not session.owns(session.csrf + "\ud800")
