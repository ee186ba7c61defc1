"""What is kept of callers' keys, in a real Redis, and how administrators change it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.clock import SystemClock
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy import key_store
from proxy.key_store import (
    EXPIRED,
    GRACE_MS_MAX,
    REVOKED,
    KeyChanged,
    KeyNotUsable,
    KeyRecord,
    KeysBusy,
    KeyStore,
    UnknownKey,
    Valid,
    digest_of,
    judge,
    new_secret,
    read_rows,
    record_of,
)
from tests.doubles.fake_clock import FakeClock
from tests.doubles.waiting import until

DAY_MS = 86_400_000


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def store(connection: Connection, keys: Keys, clock: FakeClock) -> KeyStore:
    return KeyStore(connection, keys, clock)


async def kept(connection: Connection, keys: Keys) -> dict[bytes, KeyRecord]:
    _, rows = await read_rows(connection, keys)
    records = {digest: record_of(row) for digest, row in rows.items()}
    return {digest: record for digest, record in records.items() if record is not None}


async def version(connection: Connection, keys: Keys) -> int:
    return (await read_rows(connection, keys))[0]


# Making…


async def test_a_key_is_kept_by_its_digest_and_never_as_it_is(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    record, secret = await store.create(
        "research", "alice", "laptop", tags=(("b", "2"), ("a", "1"))
    )

    raw = await connection.execute("HGETALL", keys.callers)
    assert raw[0] == digest_of(secret)
    assert secret.encode() not in raw[1]
    assert await kept(connection, keys) == {digest_of(secret): record}
    assert (record.team, record.user, record.name) == ("research", "alice", "laptop")
    assert record.tags == (("a", "1"), ("b", "2"))


async def test_a_record_shows_the_beginning_of_its_secret_and_no_more(store: KeyStore) -> None:
    record, secret = await store.create("research", actor="admin")

    assert record.prefix == secret[:10]
    assert secret[10:] not in repr(record)
    assert record.actor == "admin"


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert all(re.fullmatch("bsr_[0-9A-Za-z]{43}", secret) for secret in secrets)


async def test_every_change_counts_the_version_up(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    seen = [await version(connection, keys)]

    record, _ = await store.create("research")
    seen.append(await version(connection, keys))
    await store.rotate(record.id, 0)
    seen.append(await version(connection, keys))
    await store.revoke(record.id)
    seen.append(await version(connection, keys))

    assert seen[0] == 0
    assert seen == sorted(set(seen))


async def test_a_version_never_comes_again_when_redis_lost_everything(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    await store.create("research")
    before = await version(connection, keys)
    await connection.execute("DEL", keys.callers, keys.callers_version)
    await until(lambda: SystemClock().now_ms() > before)

    await store.create("research")

    assert await version(connection, keys) > before


@pytest.mark.parametrize(
    "fields",
    [
        {"team": ""},
        {"team": "a\nb"},
        {"team": "x" * 129},
        {"team": "a", "user": ""},
        {"team": "a", "name": "\x00"},
        {"team": "a", "tags": (("", "v"),)},
        {"team": "a", "tags": tuple((str(n), "v") for n in range(17))},
        {"team": "a", "expires_ms": 90 * DAY_MS},
    ],
)
async def test_what_makes_no_sense_makes_no_key(
    store: KeyStore, connection: Connection, keys: Keys, fields: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"key|printable"):
        await store.create(**fields)

    assert await kept(connection, keys) == {}


async def test_there_is_an_end_to_how_many_keys_there_can_be(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store, "KEYS_MAX", 1)
    await store.create("research")

    with pytest.raises(ValueError, match="no room"):
        await store.create("research")


# Listing…


async def test_a_list_has_each_key_once_oldest_first(store: KeyStore, clock: FakeClock) -> None:
    first, _ = await store.create("research")
    clock.advance(1)
    second, _ = await store.create("support")
    rotated, _ = await store.rotate(first.id, DAY_MS)

    assert await store.list() == [rotated, second]


async def test_a_row_that_cannot_be_read_hides_no_other(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    await connection.execute("HSET", keys.callers, "digest", b"{")
    record, _ = await store.create("research")

    assert await store.list() == [record]
    assert b"digest" in (await read_rows(connection, keys))[1]


# Rotating…


async def test_both_secrets_work_until_the_grace_is_over(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, old = await store.create("research", "alice", tags=(("a", "1"),))

    rotated, new = await store.rotate(record.id, 1_000, actor="admin")

    records = await kept(connection, keys)
    assert rotated.id == record.id
    assert (rotated.team, rotated.user, rotated.tags) == ("research", "alice", (("a", "1"),))
    now_ms = clock.now_ms()
    assert isinstance(judge(records[digest_of(old)], now_ms + 999), Valid)
    assert judge(records[digest_of(old)], now_ms + 1_000) is EXPIRED
    assert isinstance(judge(records[digest_of(new)], now_ms + 1_000), Valid)


async def test_without_a_grace_the_old_secret_ends_at_once(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, old = await store.create("research")

    await store.rotate(record.id, 0)

    assert judge((await kept(connection, keys))[digest_of(old)], clock.now_ms()) is EXPIRED


async def test_rotating_brings_no_key_back(store: KeyStore, clock: FakeClock) -> None:
    revoked, _ = await store.create("research")
    await store.revoke(revoked.id)
    expiring, _ = await store.create("research", expires_ms=clock.now_ms() + 1)
    clock.advance(1)

    for ended in (revoked, expiring):
        with pytest.raises(KeyNotUsable):
            await store.rotate(ended.id, DAY_MS)


@pytest.mark.parametrize("grace_ms", [-1, GRACE_MS_MAX + 1])
async def test_a_grace_is_from_nothing_to_a_year(store: KeyStore, grace_ms: int) -> None:
    record, _ = await store.create("research")

    with pytest.raises(ValueError, match="grace"):
        await store.rotate(record.id, grace_ms)


async def test_a_secret_that_was_replaced_is_forgotten_some_time_after_its_grace(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, old = await store.create("research")
    await store.rotate(record.id, 1_000)
    clock.advance(1_000 + DAY_MS + 1)

    await store.create("support")

    assert digest_of(old) not in await kept(connection, keys)
    assert len(await store.list()) == 2


# Revoking…


async def test_revoking_ends_every_secret_of_a_key_and_of_no_other(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, old = await store.create("research")
    _, other = await store.create("research")
    _, new = await store.rotate(record.id, DAY_MS)

    revoked = await store.revoke(record.id, actor="admin")

    records = await kept(connection, keys)
    now_ms = clock.now_ms()
    assert revoked.revoked_at_ms == now_ms
    assert judge(records[digest_of(old)], now_ms) is REVOKED
    assert judge(records[digest_of(new)], now_ms) is REVOKED
    assert isinstance(judge(records[digest_of(other)], now_ms), Valid)


async def test_revoking_again_changes_nothing(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, _ = await store.create("research")
    once = await store.revoke(record.id)
    before = await version(connection, keys)
    clock.advance(1_000)

    assert await store.revoke(record.id) == once
    assert await version(connection, keys) == before


async def test_a_revoked_key_is_listed_for_a_while(store: KeyStore, clock: FakeClock) -> None:
    record, _ = await store.create("research")
    revoked = await store.revoke(record.id)
    clock.advance(90 * DAY_MS)
    kept_on, _ = await store.create("support")
    assert await store.list() == [revoked, kept_on]
    clock.advance(1)

    another, _ = await store.create("support")

    assert await store.list() == [kept_on, another]


async def test_a_key_that_does_not_exist_is_unknown(store: KeyStore) -> None:
    with pytest.raises(UnknownKey):
        await store.rotate("key_none", 0)
    with pytest.raises(UnknownKey):
        await store.revoke("key_none")


# Together…


async def test_changes_at_the_same_time_are_all_kept(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    made = await asyncio.gather(*(store.create("research") for _ in range(8)))

    assert set(await kept(connection, keys)) == {digest_of(secret) for _, secret in made}
    assert await version(connection, keys) > 0


async def test_a_key_that_is_rotated_and_revoked_at_the_same_time_is_revoked(
    store: KeyStore, connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    record, _ = await store.create("research")

    await asyncio.gather(
        store.rotate(record.id, DAY_MS), store.revoke(record.id), return_exceptions=True
    )

    verdicts = {
        judge(one, clock.now_ms())
        for one in (await kept(connection, keys)).values()
        if one.replaced_at_ms is None
    }
    assert verdicts == {REVOKED}


async def test_a_key_ends_within_a_hundred_years(store: KeyStore, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        await store.create("red", expires_ms=clock.now_ms() + 36_526 * DAY_MS)


# The journal…


async def acts(connection: Connection, keys: Keys) -> list[tuple[str, dict[str, Any]]]:
    """Return the kinds and data of all entries."""
    rows = await connection.execute("XRANGE", keys.journal, "-", "+")
    found = []
    for _, flat in rows:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        assert fields[b"call"] == b""
        found.append((fields[b"kind"].decode(), json.loads(fields[b"data"])))
    return found


async def test_each_change_is_journalled_in_the_step_that_makes_it(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    ann: dict[str, Any] = {"actor": "ann", "origin": "192.0.2.1"}
    record, first = await store.create("red", "alice", "ci", **ann)
    rotated, second = await store.rotate(record.id, 5_000, **ann)
    for _ in range(2):
        await store.revoke(record.id, **ann)

    found = await acts(connection, keys)

    said: dict[str, Any] = {"actor": "ann", "from": "192.0.2.1", "key": record.id, "team": "red"}
    said |= {"user": "alice", "name": "ci", "expires_ms": None}
    assert found == [
        ("key_created", {**said, "prefix": record.prefix}),
        ("key_rotated", {**said, "prefix": rotated.prefix, "grace_ms": 5_000}),
        # Done again, it changes nothing.
        ("key_revoked", {**said, "prefix": rotated.prefix}),
    ]
    assert not any(secret in str(found) for secret in (first, second))


async def test_what_was_not_done_is_not_journalled(
    store: KeyStore, connection: Connection, keys: Keys
) -> None:
    with pytest.raises(UnknownKey):
        await store.revoke("key_nobody")

    assert await acts(connection, keys) == []


async def test_a_key_that_changed_since_it_was_seen_stays(store: KeyStore) -> None:
    seen, _ = await store.create("red")
    latest, _ = await store.rotate(seen.id, 0, seen=seen)

    with pytest.raises(KeyChanged):
        await store.rotate(seen.id, 0, seen=seen)
    with pytest.raises(KeyChanged):
        await store.revoke(seen.id, seen=seen)

    assert await store.list() == [latest]
    assert (await store.revoke(seen.id, seen=latest)).revoked_at_ms is not None


async def test_of_two_who_have_seen_the_same_one_changes_it(store: KeyStore) -> None:
    seen, _ = await store.create("red")

    outcomes = await asyncio.gather(
        *(store.rotate(seen.id, 0, seen=seen) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(each, KeyChanged) for each in outcomes) == 4


class AlwaysChanged:
    """A Redis in which someone else has always written in between."""

    async def _answer(self, command: Sequence[bytes | str | int]) -> Any:
        return {"GET": b"1", "HGETALL": {}, "EVAL": -1}[str(command[0])]

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        return self._answer(command)


async def test_it_ends_when_others_never_stop_changing_keys(keys: Keys, clock: FakeClock) -> None:
    store = KeyStore(AlwaysChanged(), keys, clock)

    with pytest.raises(KeysBusy):
        await store.create("research")


async def test_secrets_can_be_made_elsewhere(
    connection: Connection, keys: Keys, clock: FakeClock
) -> None:
    make: Callable[[], str] = lambda: "bsr_made_elsewhere"  # noqa: E731 – Shorter than a function.
    store = KeyStore(connection, keys, clock, make_secret=make)

    assert (await store.create("research"))[1] == "bsr_made_elsewhere"


# Judging…


def test_a_key_ends_at_its_time_and_not_before() -> None:
    record = KeyRecord(id="k", team="t", created_at_ms=0, prefix="bsr_", expires_at_ms=10)

    assert judge(record, 9) == Valid(record)
    assert judge(record, 10) is EXPIRED


@given(st.text())
def test_whatever_is_presented_has_a_digest(text: str) -> None:
    assert re.fullmatch(b"[0-9a-f]{64}", digest_of(text))


def test_a_header_with_odd_bytes_has_a_digest() -> None:
    assert digest_of(b"\xff".decode("utf-8", "surrogateescape"))
