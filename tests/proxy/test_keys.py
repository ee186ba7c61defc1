"""Callers' keys as a worker knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from policies.errors import BursarError, LedgerUnavailable
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.keys import Invalid, KeyRecord, KeyRing, KeyStore, Valid
from tests.doubles.fake_clock import FakeClock


class Watched:
    """Passes commands on and counts them; can hold them back, or fail."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands
        self.seen: list[str] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.arrived = asyncio.Event()
        self.fault: Exception | None = None

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        self.seen.append(str(command[0]))
        return self._execute(*command)

    async def _execute(self, *command: bytes | str | int) -> Any:
        self.arrived.set()
        await self.goes_on.wait()
        if self.fault is not None:
            raise self.fault
        return await self._commands.execute(*command)


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def watched(connection: Connection) -> Watched:
    return Watched(connection)


@pytest.fixture
def store(connection: Connection, keys: Keys, clock: FakeClock) -> KeyStore:
    return KeyStore(connection, keys, clock)


@pytest.fixture
def ring(watched: Watched, keys: Keys, clock: FakeClock) -> KeyRing:
    return KeyRing(watched, keys, clock)


async def test_a_key_is_good_as_soon_as_it_is_made(store: KeyStore, ring: KeyRing) -> None:
    await ring.refresh()
    record, secret = await store.create("research")

    assert await ring.find_fresh(secret) == Valid(record)
    assert ring.find(secret) == record
    assert len(ring) == 1


async def test_a_known_key_costs_no_round_trip(
    store: KeyStore, ring: KeyRing, watched: Watched
) -> None:
    _, secret = await store.create("research")
    await ring.refresh()
    watched.seen.clear()

    assert isinstance(await ring.find_fresh(secret), Valid)
    assert watched.seen == []


async def test_an_unknown_key_costs_one_look_at_the_version(
    store: KeyStore, ring: KeyRing, watched: Watched
) -> None:
    await store.create("research")
    await ring.refresh()
    watched.seen.clear()

    assert await ring.find_fresh("bsr_unknown") == Invalid("unknown")
    assert watched.seen == ["GET"]
    assert ring.find("bsr_unknown") is None


async def test_a_key_of_another_organisation_is_unknown(
    store: KeyStore, watched: Watched, clock: FakeClock
) -> None:
    _, secret = await store.create("research")

    other = KeyRing(watched, Keys("someone-else"), clock)

    assert await other.find_fresh(secret) == Invalid("unknown")


@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_a_key_that_has_ended_says_why(
    store: KeyStore, ring: KeyRing, clock: FakeClock, way: str
) -> None:
    record, secret = await store.create("research", expires_ms=clock.now_ms() + 1_000)
    if way == "revoked":
        await store.revoke(record.id)
    else:
        clock.advance(1_000)

    assert await ring.find_fresh(secret) == Invalid(way)


async def test_a_revoked_key_ends_with_the_next_look(store: KeyStore, ring: KeyRing) -> None:
    record, secret = await store.create("research")
    await ring.refresh_if_changed()
    assert isinstance(await ring.find_fresh(secret), Valid)

    await store.revoke(record.id)
    await ring.refresh_if_changed()

    assert await ring.find_fresh(secret) == Invalid("revoked")


async def test_a_look_without_a_change_reads_no_keys(ring: KeyRing, watched: Watched) -> None:
    await ring.refresh_if_changed()
    watched.seen.clear()

    await ring.refresh_if_changed()

    assert watched.seen == ["GET"]
    assert ring.version == 0


async def test_keys_that_did_not_change_are_not_read_anew(store: KeyStore, ring: KeyRing) -> None:
    _, secret = await store.create("research")
    await ring.refresh()
    before = ring.find(secret)
    await store.create("support")

    await ring.refresh()

    assert ring.find(secret) is before


async def test_a_row_that_cannot_be_read_locks_out_nobody_else(
    store: KeyStore, ring: KeyRing, connection: Connection, keys: Keys
) -> None:
    _, secret = await store.create("research")
    await connection.execute("HSET", keys.callers, "digest", b'{"id":')

    await ring.refresh()

    assert (len(ring), ring.unreadable) == (1, 1)
    assert isinstance(await ring.find_fresh(secret), Valid)


async def test_a_redis_that_was_emptied_is_believed(
    store: KeyStore, ring: KeyRing, connection: Connection, keys: Keys
) -> None:
    _, secret = await store.create("research")
    await ring.refresh()
    await connection.execute("DEL", keys.callers, keys.callers_version)

    await ring.refresh_if_changed()

    assert await ring.find_fresh(secret) == Invalid("unknown")


# Many misses at once…


async def test_misses_at_the_same_time_share_their_looks(ring: KeyRing, watched: Watched) -> None:
    await ring.refresh()
    watched.seen.clear()
    watched.goes_on.clear()
    watched.arrived.clear()

    first = asyncio.create_task(ring.find_fresh("bsr_0"))
    await watched.arrived.wait()
    others = [asyncio.create_task(ring.find_fresh(f"bsr_{n}")) for n in range(1, 100)]
    watched.goes_on.set()
    found = await asyncio.gather(first, *others)

    assert found == [Invalid("unknown")] * 100
    # One under way when the others came, and one that began after they came.
    assert watched.seen == ["GET", "GET"]


async def test_a_key_made_during_a_look_is_found_by_whoever_comes_after(
    store: KeyStore, ring: KeyRing, watched: Watched
) -> None:
    await ring.refresh()
    watched.goes_on.clear()
    watched.arrived.clear()
    looking = asyncio.create_task(ring.find_fresh("bsr_unknown"))
    await watched.arrived.wait()

    record, secret = await store.create("research")
    finding = asyncio.create_task(ring.find_fresh(secret))
    watched.goes_on.set()

    assert await finding == Valid(record)
    assert await looking == Invalid("unknown")


async def test_without_an_answer_nobody_is_told_yes_or_no(ring: KeyRing, watched: Watched) -> None:
    await ring.refresh()
    watched.fault = LedgerUnavailable("Redis is not connected")
    watched.goes_on.clear()
    watched.arrived.clear()

    tasks = [asyncio.create_task(ring.find_fresh("bsr_0"))]
    await watched.arrived.wait()
    tasks += [asyncio.create_task(ring.find_fresh(f"bsr_{n}")) for n in range(1, 4)]
    watched.goes_on.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable] * 4
    assert watched.seen.count("GET") == 3


async def test_known_keys_are_good_while_redis_is_away(
    store: KeyStore, ring: KeyRing, watched: Watched
) -> None:
    _, secret = await store.create("research")
    await ring.refresh()
    watched.fault = LedgerUnavailable("Redis is not connected")

    with pytest.raises(LedgerUnavailable):
        await ring.refresh()

    assert isinstance(await ring.find_fresh(secret), Valid)


async def test_whoever_gives_up_takes_nobody_along(
    store: KeyStore, ring: KeyRing, watched: Watched
) -> None:
    await ring.refresh()
    watched.goes_on.clear()
    watched.arrived.clear()
    first = asyncio.create_task(ring.find_fresh("bsr_unknown"))
    await watched.arrived.wait()
    record, secret = await store.create("research")
    second = asyncio.create_task(ring.find_fresh(secret))

    first.cancel()
    watched.goes_on.set()

    assert await second == Valid(record)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_another_fault_is_everybodys_own(ring: KeyRing, watched: Watched) -> None:
    await ring.refresh()
    watched.fault = BursarError("WRONGTYPE")

    for _ in range(2):
        with pytest.raises(BursarError, match="WRONGTYPE"):
            await ring.find_fresh("bsr_unknown")


async def test_nothing_secret_is_shown(store: KeyStore, ring: KeyRing) -> None:
    _, secret = await store.create("research")
    await ring.refresh()

    found = await ring.find_fresh(secret)

    assert isinstance(found, Valid)
    assert isinstance(found.record, KeyRecord)
    assert secret not in repr(found)
    assert secret not in repr(vars(ring))
