"""By how much price lists are off: exact sums, one alert a day, and a factor for quotes."""

from __future__ import annotations

import asyncio
import json

import pytest

from policies.ledger.connection import Connection
from policies.ledger.redis_ledger import RedisLedger
from proxy.receipts.compare import day_name
from proxy.receipts.drift import DAY_MS, DriftBook, ModelDay
from proxy.receipts.receipt import Final, Never
from tests.doubles.calls import MODEL
from tests.doubles.fake_clock import FakeClock
from tests.proxy.receipts.desks import PROVIDER, world

TODAY, YESTERDAY = "2026-11-23", "2026-11-22"
LIMITS = {"share_max_percent": 10, "calls_min": 20}


class Book:
    """The sums of one provider, put in by hand."""

    def __init__(self, connection: Connection, ledger: RedisLedger, clock: FakeClock) -> None:
        self.connection, self.ledger, self.clock = connection, ledger, clock
        self.drift = DriftBook(connection, ledger.keys, ledger)
        self.other = DriftBook(connection, ledger.keys, ledger)

    async def put(
        self, metered: int, billed: int, *, calls: int = 20, model: str = "m", back: int = 0
    ) -> None:
        name = day_name(self.clock.now_ms() - back * DAY_MS)
        pairs = {"compared": calls, "compared_metered": metered, "compared_billed": billed}
        for word, number in pairs.items():
            key = self.ledger.keys.receipts("p", name)
            await self.connection.execute("HINCRBY", key, f"{model}|{word}", number)

    async def alerts(self) -> list[tuple[str, str]]:
        return [(row.day, row.model) for row in await self.drift.alerts("p", **LIMITS)]

    async def factors(self) -> dict[str, int]:
        found = await self.drift.refresh_factors("p", **LIMITS)
        assert await self.other.factors("p") == found
        return dict(found)


@pytest.fixture
def book(connection: Connection, redis_ledger: RedisLedger, clock: FakeClock) -> Book:
    return Book(connection, redis_ledger, clock)


# The sums…


async def test_what_the_desk_booked_is_what_the_book_says(
    connection: Connection, redis_ledger: RedisLedger, clock: FakeClock
) -> None:
    here = world(redis_ledger, connection, clock)
    for call_id, billed in (("a", 1_008), ("b", 600), ("c", None)):
        await here.settle(call_id)
        result = Never("why") if billed is None else Final(nano_usd=billed)
        here.adapter.says(f"gen-{call_id}", result)
    await here.round()

    days = await DriftBook(connection, redis_ledger.keys, redis_ledger).days(PROVIDER, 1)

    assert days == [
        ModelDay(
            provider=PROVIDER,
            day=TODAY,
            model=MODEL,
            receipted=2,
            billed=1_608,
            metered=2_100,
            compared=2,
            compared_metered=1_400,
            compared_billed=1_608,
            never=1,
        )
    ]
    assert (days[0].difference, days[0].per_mille) == (208, 148)


async def test_days_are_the_latest_first_and_models_by_name(book: Book) -> None:
    await book.put(1, 1, model="z", back=1)
    await book.put(1, 1, model="b")
    await book.put(1, 1, model="a")
    await book.put(1, 1, model="old", back=2)

    rows = await book.drift.days("p", 2)

    assert [(row.day, row.model) for row in rows] == [(TODAY, "a"), (TODAY, "b"), (YESTERDAY, "z")]
    assert await book.drift.days("p", 0) == []
    assert await book.drift.days("other", 2) == []


@pytest.mark.parametrize("model", ["a|b", "", "@cf/meta/llama", "@130", "@13000", "models:größer"])
async def test_any_name_of_a_model_is_told_from_a_minute(book: Book, model: str) -> None:
    await book.put(100, 150, model=model)
    key = book.ledger.keys.receipts("p", day_name(book.clock.now_ms()))
    await book.connection.execute("HSET", key, "@1300|billed", 5, "@1300|calls", 1)
    await book.connection.execute("HSET", key, f"{model}|of_another_version", 1)

    (row,) = await book.drift.days("p", 1)

    assert (row.model, row.difference) == (model, 50)


@pytest.mark.parametrize(
    ("metered", "billed", "per_mille"),
    [(1_000, 1_440, 440), (1_000, 900, -100), (3, 2, -334), (0, 5, None), (0, 0, None)],
)
def test_a_difference_is_a_share_of_what_was_metered(
    metered: int, billed: int, per_mille: int | None
) -> None:
    row = ModelDay(
        provider="p", day=TODAY, model="m", compared_metered=metered, compared_billed=billed
    )

    assert (row.difference, row.per_mille) == (billed - metered, per_mille)


# Alerts…


@pytest.mark.parametrize(
    ("metered", "billed", "calls", "alerts"),
    [
        (1_000, 1_440, 20, 1),
        (1_000, 1_440, 19, 0),
        (1_000, 1_101, 20, 1),
        (1_000, 1_100, 20, 0),
        (1_000, 900, 20, 0),
        (1_000, 899, 20, 1),
        # What the list has for nothing, and is billed.
        (0, 1, 20, 1),
        (0, 0, 20, 0),
    ],
)
async def test_a_list_that_is_off_by_more_than_the_share_alerts_either_way(
    book: Book, metered: int, billed: int, calls: int, alerts: int
) -> None:
    await book.put(metered, billed, calls=calls)

    assert await book.alerts() == [(TODAY, "m")] * alerts


async def test_an_alert_is_raised_once_a_day_and_model_however_many_look(book: Book) -> None:
    await book.put(100, 200, model="a")
    await book.put(100, 200, model="b", back=1)

    found = await asyncio.gather(
        *(book.drift.alerts("p", **LIMITS) for _ in range(4)), book.other.alerts("p", **LIMITS)
    )

    rows = [(row.day, row.model) for rows in found for row in rows]
    assert sorted(rows) == [(YESTERDAY, "b"), (TODAY, "a")]
    entries = [entry for entry in await book.ledger.journal() if entry.kind == "drift"]
    assert json.loads(entries[0].data) == {
        "provider": "p",
        "model": "a",
        "day": TODAY,
        "metered_nano_usd": 100,
        "billed_nano_usd": 200,
        "calls": 20,
    }
    assert len(entries) == 2


async def test_the_next_day_alerts_anew(book: Book) -> None:
    await book.put(100, 200)
    assert await book.alerts() == [(TODAY, "m")]

    book.clock.advance(DAY_MS)
    assert await book.alerts() == []
    await book.put(100, 200)

    assert await book.alerts() == [("2026-11-24", "m")]


async def test_providers_alert_each_for_itself(book: Book) -> None:
    for provider in ("p", "q"):
        key = book.ledger.keys.receipts(provider, day_name(book.clock.now_ms()))
        await book.connection.execute("HSET", key, "m|compared", 20, "m|compared_billed", 5)

        assert len(await book.drift.alerts(provider, **LIMITS)) == 1


# Factors…


@pytest.mark.parametrize(
    ("metered", "billed", "calls", "factor"),
    [
        (1_000, 1_440, 20, 1_440),
        (3_000, 4_000, 20, 1_334),
        (1_000, 1_101, 20, 1_101),
        (1_000, 1_100, 20, None),
        (1_000, 500, 20, None),
        (1_000, 1_440, 19, None),
        (0, 1_000, 20, None),
    ],
)
async def test_quotes_are_raised_by_as_much_as_bills_were_higher_never_lowered(
    book: Book, metered: int, billed: int, calls: int, factor: int | None
) -> None:
    await book.put(metered, billed, calls=calls)

    assert await book.factors() == ({} if factor is None else {"m": factor})


async def test_a_factor_looks_back_a_week(book: Book) -> None:
    for back in range(7):
        await book.put(1_000, 1_000 + 100 * back, calls=3, back=back)
    await book.put(1_000, 900_000, back=7)

    assert await book.factors() == {"m": 1_300}


async def test_a_factor_goes_when_the_list_is_right_again(book: Book) -> None:
    await book.put(1_000, 2_000)
    assert await book.factors() == {"m": 2_000}
    await book.put(100_000, 100_000)

    assert await book.factors() == {}


async def test_without_sums_there_are_no_factors(book: Book) -> None:
    assert await book.drift.factors("p") == {}
