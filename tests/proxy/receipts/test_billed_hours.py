"""Hours of a bill are read until they cannot grow any more, and then kept."""

from __future__ import annotations

import asyncio

import pytest

from policies.clock import utc
from policies.ledger.connection import Connection
from policies.ledger.keys import Keys
from proxy.providers.connection import MaybeSent, NeverSent
from proxy.receipts.adapters.agipower_totals import AgiPowerTotals
from proxy.receipts.billed_hours import (
    DAY_MS,
    HOUR_MS,
    HOURS_PER_READING_MAX,
    BilledHours,
    Hour,
    Reading,
    Unavailable,
    day_text,
)
from proxy.receipts.receipt import SetAside, SlowDown
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_upstream import FakeAnswer, never
from tests.proxy.receipts.adapters.configured import Configured
from tests.proxy.receipts.fake_totals import CONFIGURED, Billed, FakeTotals

MINUTE_MS = 60_000


@pytest.fixture
def provider(clock: FakeClock) -> FakeTotals:
    return FakeTotals(clock.now_ms)


def opened(
    provider: FakeTotals,
    connection: Connection,
    organization: str,
    clock: FakeClock,
    configured: Configured = CONFIGURED,
    timeout_ms: int = 5_000,
) -> BilledHours:
    return BilledHours(
        AgiPowerTotals(configured),
        provider,
        connection,
        Keys(organization),
        account="agi",
        ghost_after_ms=HOUR_MS,
        timeout_ms=timeout_ms,
        now_ms=clock.now_ms,
    )


@pytest.fixture
def hours(
    provider: FakeTotals, connection: Connection, organization: str, clock: FakeClock
) -> BilledHours:
    return opened(provider, connection, organization, clock)


def hour_of(clock: FakeClock) -> int:
    return clock.now_ms() // HOUR_MS


def name(hour: int) -> str:
    return f"{utc(hour * HOUR_MS):%Y%m%d%H}"


def billed(reading: Reading) -> dict[int, int]:
    return {
        number: sum(row.nano_usd for row in hour.totals.rows)
        for number, hour in reading.hours.items()
    }


async def test_hours_are_read_one_by_one(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    provider.billed = [
        Billed(at_ms=clock.now_ms() - HOUR_MS, nano_usd=5),
        Billed(at_ms=clock.now_ms() - HOUR_MS - 1, nano_usd=7),
    ]

    reading = await hours.read(now - 2, now)

    assert provider.asked == [name(now - 2), name(now - 1), name(now)]
    assert billed(reading) == {now - 2: 7, now - 1: 5, now: 0}
    assert reading.whole_until == now + 1
    assert reading.stopped is None
    assert reading.ahead_ms == 0


async def test_an_hour_that_may_grow_is_read_again(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    await hours.read(now, now)
    provider.billed.append(Billed(at_ms=now * HOUR_MS, nano_usd=5))

    clock.advance(4 * HOUR_MS - 1)

    assert billed(await hours.read(now, now)) == {now: 5}


async def test_an_hour_that_is_long_over_is_kept(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    provider.billed.append(Billed(at_ms=now * HOUR_MS, nano_usd=5))
    clock.advance(4 * HOUR_MS)
    await hours.read(now, now)
    asked = len(provider.asked)

    clock.advance(10 * HOUR_MS)

    assert billed(await hours.read(now, now)) == {now: 5}
    assert len(provider.asked) == asked


async def test_another_replica_finds_what_was_kept(
    hours: BilledHours,
    provider: FakeTotals,
    connection: Connection,
    organization: str,
    clock: FakeClock,
) -> None:
    now = hour_of(clock)
    provider.billed.append(Billed(at_ms=now * HOUR_MS, nano_usd=5))
    clock.advance(4 * HOUR_MS)
    first = await hours.read(now, now)
    provider.fault = NeverSent("gone")

    again = await opened(provider, connection, organization, clock).read(now, now)

    assert again == first


async def test_an_hour_is_read_once_more_a_day_later(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    clock.advance(4 * HOUR_MS)
    assert (await hours.read(now, now)).final_until == now
    provider.billed.append(Billed(at_ms=now * HOUR_MS, nano_usd=5))

    clock.advance(DAY_MS)
    late = await hours.read(now, now)
    asked = len(provider.asked)
    clock.advance(DAY_MS)
    await hours.read(now, now)

    assert billed(late) == {now: 5}
    assert late.final_until == now + 1
    assert len(provider.asked) == asked


async def test_of_many_missing_hours_some_are_left_for_the_next_reading(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    last = hour_of(clock) - 5
    first = last - 59

    ends = [(await hours.read(first, last)).whole_until for _ in range(3)]

    assert ends == [first + HOURS_PER_READING_MAX, first + 2 * HOURS_PER_READING_MAX, last + 1]
    assert len(provider.asked) == len(set(provider.asked)) == 60


@pytest.mark.parametrize(
    ("fault", "stopped"),
    [
        (FakeAnswer(b"{}", status=429, headers={"Retry-After": "60"}), SlowDown(60_000)),
        (FakeAnswer(b"<html>", status=200), SetAside("the answer is not JSON: '<html>'")),
        (FakeAnswer(b"{}", status=503), Unavailable("the provider answered with status 503")),
        (NeverSent("unreachable"), Unavailable("unreachable")),
        (
            FakeAnswer(b'{"succ', MaybeSent("the connection broke")),
            Unavailable("the connection broke"),
        ),
    ],
    ids=["slow", "html", "status", "unreachable", "cut"],
)
async def test_a_reading_stops_where_it_fails(
    hours: BilledHours,
    provider: FakeTotals,
    clock: FakeClock,
    fault: FakeAnswer | BaseException,
    stopped: object,
) -> None:
    now = hour_of(clock)
    provider.faults[name(now - 1)] = fault

    reading = await hours.read(now - 2, now)

    assert reading.stopped == stopped
    assert reading.whole_until == now - 1
    assert provider.asked == [name(now - 2), name(now - 1)]


async def test_a_silent_provider_is_not_waited_for(
    provider: FakeTotals, connection: Connection, organization: str, clock: FakeClock
) -> None:
    silent = FakeAnswer(never)
    provider.fault = silent
    hours = opened(provider, connection, organization, clock, timeout_ms=20)

    async with asyncio.timeout(10):
        reading = await hours.read(hour_of(clock), hour_of(clock))

    assert reading.stopped == Unavailable("the provider did not answer in time")
    assert silent.ends == ["released"]


async def test_an_hour_that_fails_to_be_read_again_stays_as_it_was(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    provider.billed.append(Billed(at_ms=now * HOUR_MS, nano_usd=5))
    await hours.read(now, now)
    provider.fault = NeverSent("unreachable")

    reading = await hours.read(now, now)

    assert billed(reading) == {now: 5}
    assert reading.whole_until == now + 1
    assert reading.stopped is not None


async def test_an_hour_that_nobody_can_read_counts_as_empty_after_two_days(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    provider.faults[name(now)] = FakeAnswer(b"<html>")
    clock.advance(HOUR_MS + 2 * DAY_MS - 1)
    assert (await hours.read(now, now)).stopped is not None
    provider.faults[name(now)] = FakeAnswer(b"<html>")

    clock.advance(1)
    reading = await hours.read(now, now)

    assert reading.stopped is None
    assert reading.final_until == now + 1
    assert billed(reading) == {now: 0}
    assert reading.hours[now].totals.flaws == ("the answer is not JSON: '<html>'",)


async def test_a_provider_that_is_away_for_days_makes_no_hour_empty(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    clock.advance(9 * DAY_MS)
    provider.fault = FakeAnswer(b"{}", status=403)

    reading = await hours.read(now, now)

    assert isinstance(reading.stopped, Unavailable)
    assert reading.whole_until == now


@pytest.mark.parametrize("seconds", [-7_200, 0, 90, 3_600])
async def test_the_provider_tells_how_far_our_clock_is_ahead(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock, seconds: int
) -> None:
    provider.now_ms = lambda: clock.now_ms() - seconds * 1000

    hour = await hours.now()

    assert isinstance(hour, Hour)
    assert hour.ahead_ms == seconds * 1000


async def test_the_largest_lead_of_our_clock_counts(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    clock.advance(-10 * HOUR_MS)
    provider.now_ms = lambda: clock.now_ms() - 90_000
    await hours.read(now - 20, now - 20)
    provider.now_ms = lambda: clock.now_ms() + 90_000

    assert (await hours.read(now - 20, now - 19)).ahead_ms == 90_000


async def test_a_clock_that_is_off_by_days_says_nothing(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    provider.now_ms = lambda: clock.now_ms() - 2 * DAY_MS
    hour = await hours.now()
    provider.tells_date = False
    other = await hours.now()

    assert isinstance(hour, Hour)
    assert isinstance(other, Hour)
    assert hour.ahead_ms is None
    assert other.ahead_ms is None


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 13:00:00 GMT"])
async def test_an_odd_date_says_nothing(
    hours: BilledHours, provider: FakeTotals, date: str
) -> None:
    body = b'{"success":true,"data":{}}'
    provider.fault = FakeAnswer(body, headers={"date": date})

    hour = await hours.now()

    assert isinstance(hour, Hour)
    assert hour.ahead_ms is None


async def test_what_a_subscription_was_billed_besides_is_kept_by_day_and_model(
    provider: FakeTotals, connection: Connection, organization: str, clock: FakeClock
) -> None:
    subscribed = Configured(api_key="sk-ss-v1-own", management_key="sk-mg-v1-own")
    hours = opened(provider, connection, organization, clock, subscribed)
    now = hour_of(clock)
    extra = {"bill_type": "fallbackMetered"}
    provider.billed = [
        Billed(at_ms=now * HOUR_MS - 1, nano_usd=5, model="a", **extra),
        Billed(at_ms=now * HOUR_MS, nano_usd=7, model="a", **extra),
        Billed(at_ms=now * HOUR_MS, nano_usd=11, model="b", **extra),
        Billed(at_ms=now * HOUR_MS, nano_usd=13, model="b"),
        Billed(at_ms=now * HOUR_MS, nano_usd=17, model="b", bill_type="subscription"),
    ]

    reading = await hours.read(now - 1, now)
    await hours.read(now - 1, now)

    assert billed(reading) == {now - 1: 0, now: 13}
    day = day_text(now // 24)
    assert await hours.extra_usage(day) == {"a": (12, 2), "b": (11, 1)}
    assert await hours.extra_usage("2020-01-01") == {}


async def test_extra_usage_of_others_is_a_part_of_the_bill(
    hours: BilledHours, provider: FakeTotals, clock: FakeClock
) -> None:
    now = hour_of(clock)
    provider.billed = [Billed(at_ms=now * HOUR_MS, nano_usd=5, bill_type="fallbackMetered")]

    assert billed(await hours.read(now, now)) == {now: 5}
    assert set(provider.bill_types) == {"metered,fallbackMetered"}


@pytest.mark.parametrize(
    ("fault", "stops"),
    [
        (FakeAnswer(b"{}", status=429), True),
        (NeverSent("unreachable"), True),
        (FakeAnswer(b"<html>"), False),
    ],
    ids=["slow", "unreachable", "html"],
)
async def test_extra_usage_that_cannot_be_read_holds_up_nothing_but_what_is_slowed_down(
    provider: FakeTotals,
    connection: Connection,
    organization: str,
    clock: FakeClock,
    fault: FakeAnswer | BaseException,
    stops: bool,
) -> None:
    subscribed = Configured(api_key="sk-ss-v1-own", management_key="sk-mg-v1-own")
    hours = opened(provider, connection, organization, clock, subscribed)
    provider.faults["fallbackMetered"] = fault
    now = hour_of(clock)

    reading = await hours.read(now, now)

    assert (reading.stopped is not None) == stops
    assert (reading.whole_until == now) == stops
