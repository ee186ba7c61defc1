"""Grants in a real Redis: made, ended and journalled in one step, and known to every worker soon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from policies.budgets import Budget
from policies.errors import LedgerUnavailable
from policies.grants import ENDED, MADE, Grant, Wish, from_journal, wish
from policies.journal import Entry
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from policies.ledger.redis_ledger import RedisLedger
from policies.money import EXACT_MAX
from policies.units import CALLS, USD
from policies.windows import Lifetime
from proxy import grant_store
from proxy.grant_store import (
    OVER_KEPT_MS,
    GrantBook,
    GrantsBusy,
    GrantStore,
    OnceUsed,
    UnknownGrant,
    Who,
)
from tests.doubles.fake_clock import FakeClock

DOLLAR = 1_000_000_000
DAY_MS = 86_400_000
ANN = Who("ann", "10.0.0.7")
BOB = Who("bob", "cli")
ONE = Budget(name="one", unit=USD, limit=10 * DOLLAR, window=Lifetime())
EACH = Budget(name="each", unit=CALLS, limit=5, each="user", window=Lifetime())


def dollars(number: int, for_ms: int = DAY_MS, budget: Budget = ONE) -> Wish:
    return wish(budget, amount=f"{number} USD", for_ms=for_ms, reason="a demo")


@pytest.fixture
def keys(organization: str) -> Keys:
    return Keys(organization)


@pytest.fixture
def store(connection: Connection, keys: Keys, clock: FakeClock) -> GrantStore:
    return GrantStore(connection, keys, clock.now_ms)


@pytest.fixture
def book(connection: Connection, keys: Keys, clock: FakeClock) -> GrantBook:
    return GrantBook(connection, keys, clock.now_ms)


@pytest.fixture
def journal(redis_ledger: RedisLedger) -> RedisLedger:
    return redis_ledger


async def entries(ledger: RedisLedger) -> Sequence[Entry]:
    return await ledger.journal()


# Making…


async def test_a_grant_is_kept_and_listed(store: GrantStore, clock: FakeClock) -> None:
    made, is_new = await store.make(dollars(50), ANN)

    assert is_new
    assert await store.list() == [made]
    assert made == Grant(
        id=made.id,
        budget="one",
        unit=USD,
        amount=50 * DOLLAR,
        made_ms=clock.now_ms(),
        expires_ms=clock.now_ms() + DAY_MS,
        reason="a demo",
        actor="ann",
    )


async def test_a_grant_is_journalled_with_who_and_from_where(
    store: GrantStore, journal: RedisLedger
) -> None:
    made, _ = await store.make(dollars(50), ANN)

    (entry,) = await entries(journal)
    data = json.loads(entry.data)
    assert (entry.kind, entry.call_id, entry.movements) == (MADE, "", ())
    assert (data["actor"], data["from"]) == ("ann", "10.0.0.7")
    assert from_journal(data) == made


async def test_a_grant_can_be_for_one_subject(store: GrantStore, book: GrantBook) -> None:
    await store.make(
        wish(EACH, amount="3 calls", for_ms=DAY_MS, reason="a demo", subject="alice"), ANN
    )
    await book.refresh()

    assert book.raised(EACH, "alice").limit == 8
    assert book.raised(EACH, "bob") is EACH


async def test_a_limit_that_could_not_be_counted_exactly_is_not_granted(
    store: GrantStore, journal: RedisLedger
) -> None:
    high = Budget(name="one", unit=USD, limit=EXACT_MAX - 2 * DOLLAR, window=Lifetime())
    await store.make(dollars(1, budget=high), ANN)

    with pytest.raises(ValueError, match=r"\$2 more .* there is room for \$1"):
        await store.make(dollars(2, budget=high), ANN)

    assert len(await store.list()) == len(await entries(journal)) == 1


async def test_there_is_an_end_to_how_many_grants_there_can_be(
    store: GrantStore, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(grant_store, "ACTIVE_MAX", 1)
    await store.make(dollars(1), ANN)

    with pytest.raises(ValueError, match="no room"):
        await store.make(dollars(1), ANN)

    clock.advance(DAY_MS)
    await store.make(dollars(1), ANN)


# Making it twice…


async def test_the_same_wish_with_the_same_key_is_granted_once(
    store: GrantStore, journal: RedisLedger, clock: FakeClock
) -> None:
    first, _ = await store.make(dollars(50), ANN, once="ticket-7")
    clock.advance(1_000)

    again, is_new = await store.make(dollars(50), ANN, once="ticket-7")

    assert (again, is_new) == (first, False)
    assert len(await entries(journal)) == 1


async def test_at_the_same_time_too(store: GrantStore, journal: RedisLedger) -> None:
    made = await asyncio.gather(*(store.make(dollars(50), ANN, once="x") for _ in range(8)))

    assert len({grant.id for grant, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1
    assert len(await entries(journal)) == 1


async def test_a_grant_that_was_ended_is_not_made_again_by_its_key(store: GrantStore) -> None:
    first, _ = await store.make(dollars(50), ANN, once="x")
    ended = await store.end(first.id, BOB)

    assert await store.make(dollars(50), ANN, once="x") == (ended, False)


@pytest.mark.parametrize("other", [dollars(51), dollars(50, for_ms=DAY_MS + 1)])
async def test_another_wish_with_the_same_key_is_a_mistake(store: GrantStore, other: Wish) -> None:
    first, _ = await store.make(dollars(50), ANN, once="x")

    with pytest.raises(OnceUsed, match=first.id):
        await store.make(other, ANN, once="x")

    assert await store.list() == [first]


async def test_anothers_key_is_anothers(store: GrantStore) -> None:
    mine, _ = await store.make(dollars(50), ANN, once="x")
    others, is_new = await store.make(dollars(50), BOB, once="x")

    assert is_new
    assert mine.id != others.id


@pytest.mark.parametrize("once", ["", "x" * 257])
async def test_an_idempotency_key_is_a_short_text(store: GrantStore, once: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        await store.make(dollars(50), ANN, once=once)


async def test_without_a_key_each_wish_is_one_of_its_own(
    store: GrantStore, book: GrantBook
) -> None:
    await asyncio.gather(*(store.make(dollars(1), ANN) for _ in range(8)))
    await book.refresh()

    assert book.raised(ONE, "").limit == 18 * DOLLAR


# Ending…


async def test_an_ended_grant_counts_no_longer_and_the_journal_says_who_ended_it(
    store: GrantStore, book: GrantBook, journal: RedisLedger, clock: FakeClock
) -> None:
    made, _ = await store.make(dollars(50), ANN)
    clock.advance(5)

    ended = await store.end(made.id, BOB)
    await book.refresh()

    assert (ended.ended_ms, ended.ended_by) == (clock.now_ms(), "bob")
    assert book.raised(ONE, "") is ONE
    entry = (await entries(journal))[-1]
    data = json.loads(entry.data)
    assert (entry.kind, data["actor"], data["from"]) == (ENDED, "bob", "cli")
    assert from_journal(data) == ended


async def test_ending_again_changes_nothing(
    store: GrantStore, journal: RedisLedger, clock: FakeClock
) -> None:
    made, _ = await store.make(dollars(50), ANN)
    ended = await store.end(made.id, BOB)
    clock.advance(5)

    assert await store.end(made.id, ANN) == ended
    assert len(await entries(journal)) == 2


async def test_what_is_over_needs_no_end(
    store: GrantStore, journal: RedisLedger, clock: FakeClock
) -> None:
    made, _ = await store.make(dollars(50), ANN)
    clock.advance(DAY_MS)

    assert await store.end(made.id, BOB) == made
    assert len(await entries(journal)) == 1


async def test_two_who_end_a_grant_at_once_both_succeed(
    store: GrantStore, journal: RedisLedger
) -> None:
    made, _ = await store.make(dollars(50), ANN)

    first, second = await asyncio.gather(store.end(made.id, ANN), store.end(made.id, BOB))

    assert first == second
    assert len(await entries(journal)) == 2


async def test_what_does_not_exist_cannot_end(store: GrantStore) -> None:
    made, _ = await store.make(dollars(50), ANN)

    with pytest.raises(UnknownGrant, match="there is no grant grant_x"):
        await store.end("grant_x", ANN)
    with pytest.raises(UnknownGrant, match="of budget 'each'"):
        await store.end(made.id, ANN, budget="each")
    assert (await store.end(made.id, ANN, budget="one")).ended_by == "ann"


# Restoring…


async def test_what_redis_lost_is_put_back_from_the_journal_and_not_journalled_again(
    store: GrantStore, book: GrantBook, connection: Connection, keys: Keys, journal: RedisLedger
) -> None:
    await store.make(dollars(50), ANN)
    (entry,) = await entries(journal)
    await connection.execute("DEL", keys.grants, keys.grants_version)
    lost = from_journal(json.loads(entry.data))

    assert await store.restore(lost)
    assert not await store.restore(lost)

    await book.refresh_if_changed()
    assert book.raised(ONE, "").limit == 60 * DOLLAR
    assert len(await entries(journal)) == 1


async def test_what_is_over_or_was_ended_meanwhile_is_not_put_back(
    store: GrantStore, clock: FakeClock
) -> None:
    ended, _ = await store.make(dollars(50), ANN)
    over = replace(ended, id="grant_over")
    await store.end(ended.id, BOB)
    assert not await store.restore(ended)
    clock.advance(DAY_MS)

    assert not await store.restore(over)

    assert [grant.id for grant in await store.list()] == [ended.id]


# Listing, and forgetting…


async def test_the_newest_is_listed_first(store: GrantStore, clock: FakeClock) -> None:
    first, _ = await store.make(dollars(1), ANN)
    clock.advance(1)
    second, _ = await store.make(dollars(2), ANN)

    assert await store.list() == [second, first]


async def test_what_was_over_long_ago_is_forgotten_with_the_next_change(
    store: GrantStore, clock: FakeClock
) -> None:
    over, _ = await store.make(dollars(1, for_ms=1_000), ANN)
    clock.advance(1_000 + OVER_KEPT_MS)
    second, _ = await store.make(dollars(2, for_ms=2 * DAY_MS), ANN)
    assert await store.list() == [second, over]
    clock.advance(1)

    third, _ = await store.make(dollars(3), ANN)

    assert await store.list() == [third, second]


async def test_of_what_is_over_the_latest_are_kept(
    store: GrantStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grant_store, "OVER_MAX", 1)
    for number in (1, 2, 3):
        made, _ = await store.make(dollars(number), ANN)
        await store.end(made.id, ANN)
        clock.advance(1)

    assert [grant.amount // DOLLAR for grant in await store.list()] == [3, 2]


# As workers know them…


async def test_a_worker_without_grants_gives_budgets_back_as_they_are(book: GrantBook) -> None:
    assert book.version == -1
    assert book.raised(ONE, "") is ONE

    await book.refresh_if_changed()

    assert book.version == 0
    assert book.raised(ONE, "") is ONE


async def test_a_worker_knows_of_a_change_with_its_next_look(
    store: GrantStore, book: GrantBook, clock: FakeClock
) -> None:
    await book.refresh_if_changed()
    made, _ = await store.make(dollars(50), ANN)
    await book.refresh_if_changed()
    assert book.raised(ONE, "").limit == 60 * DOLLAR

    await store.end(made.id, ANN)
    clock.advance(1)
    await book.refresh_if_changed()

    assert book.raised(ONE, "") is ONE


async def test_a_grant_ends_for_a_worker_that_never_looks_again(
    store: GrantStore, book: GrantBook, clock: FakeClock
) -> None:
    await store.make(dollars(50), ANN)
    await book.refresh()
    clock.advance(DAY_MS - 1)
    assert book.raised(ONE, "").limit == 60 * DOLLAR

    clock.advance(1)

    assert book.raised(ONE, "") is ONE


class Watched:
    """Passes commands on and counts them, or is away."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands
        self.seen: list[str] = []
        self.away = False

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        self.seen.append(str(command[0]))
        if self.away:
            raise LedgerUnavailable("Redis is not connected")
        return self._commands.execute(*command)


async def test_a_look_without_a_change_asks_for_the_version_alone(
    connection: Connection, store: GrantStore, keys: Keys, clock: FakeClock
) -> None:
    watched = Watched(connection)
    book = GrantBook(watched, keys, clock.now_ms)
    await store.make(dollars(50), ANN)
    await book.refresh()
    watched.seen.clear()

    await book.refresh_if_changed()

    assert watched.seen == ["GET"]


async def test_what_was_known_stays_while_redis_is_away(
    connection: Connection, store: GrantStore, keys: Keys, clock: FakeClock
) -> None:
    watched = Watched(connection)
    book = GrantBook(watched, keys, clock.now_ms)
    await store.make(dollars(50), ANN)
    await book.refresh()
    watched.away = True

    with pytest.raises(LedgerUnavailable):
        await book.refresh_if_changed()

    assert book.raised(ONE, "").limit == 60 * DOLLAR


async def test_a_redis_that_was_emptied_is_believed(
    connection: Connection, store: GrantStore, book: GrantBook, keys: Keys
) -> None:
    await store.make(dollars(50), ANN)
    await book.refresh()
    await connection.execute("DEL", keys.grants, keys.grants_version)

    await book.refresh_if_changed()

    assert book.raised(ONE, "") is ONE


@pytest.mark.parametrize(
    "row", ["{", "[]", '{"id": "grant_x"}', "\xff", '{"id": 1, "amount": true}']
)
async def test_a_row_that_cannot_be_read_hides_no_other(
    connection: Connection, store: GrantStore, book: GrantBook, keys: Keys, row: str
) -> None:
    await connection.execute("HSET", keys.grants, "grant_x", row.encode("latin-1"))
    made, _ = await store.make(dollars(50), ANN)
    await book.refresh()

    assert await store.list() == [made]
    assert (len(book.grants), book.unreadable) == (1, 1)
    assert await connection.execute("HEXISTS", keys.grants, "grant_x") == 1


class AlwaysChanged:
    """A Redis in which someone else has always written in between."""

    async def _answer(self, command: Sequence[bytes | str | int]) -> Any:
        return {"GET": b"1", "HGETALL": {}, "EVAL": -1}[str(command[0])]

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        return self._answer(command)


async def test_it_ends_when_others_never_stop_changing_grants(keys: Keys, clock: FakeClock) -> None:
    store = GrantStore(AlwaysChanged(), keys, clock.now_ms)

    with pytest.raises(GrantsBusy):
        await store.make(dollars(50), ANN)
