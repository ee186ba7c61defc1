"""How often somebody may present a token that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.attempts import (
    ADDRESS_TRIES,
    ADDRESS_TRY_S,
    ADDRESSES_MAX,
    ALL_TRIES,
    ALL_TRY_S,
    KNOWN_S,
    Attempts,
)
from tests.doubles.fake_clock import FakeClock

HERE = "192.0.2.1"


def use_up(attempts: Attempts, address: str = HERE) -> None:
    for _ in range(ADDRESS_TRIES):
        assert attempts.allowed(address) is None
        attempts.failed(address)


def test_an_address_has_some_tries_and_then_waits(clock: FakeClock) -> None:
    attempts = Attempts(clock)

    use_up(attempts)

    wait_s = attempts.allowed(HERE)
    assert wait_s is not None
    assert ADDRESS_TRY_S <= wait_s <= ADDRESS_TRY_S + 1


def test_the_wait_that_is_told_is_long_enough_and_gives_one_try(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    use_up(attempts)

    clock.advance(1_000 * (attempts.allowed(HERE) or 0))

    assert attempts.allowed(HERE) is None
    attempts.failed(HERE)
    assert attempts.allowed(HERE) is not None


def test_others_are_not_kept_waiting(clock: FakeClock) -> None:
    attempts = Attempts(clock)

    use_up(attempts)

    assert attempts.allowed("192.0.2.2") is None


def test_whoever_guesses_from_everywhere_waits_everywhere(clock: FakeClock) -> None:
    attempts = Attempts(clock)

    for number in range(ALL_TRIES):
        attempts.failed(f"192.0.2.{number}")

    wait_s = attempts.allowed("198.51.100.1")
    assert wait_s is not None
    clock.advance(int(1_000 * ALL_TRY_S * wait_s))
    assert attempts.allowed("198.51.100.1") is None


def test_where_a_right_token_came_from_others_guesses_keep_nobody_out(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    attempts.succeeded(HERE)

    for number in range(ALL_TRIES):
        attempts.failed(f"198.51.100.{number}")

    assert attempts.allowed(HERE) is None
    clock.advance(int(KNOWN_S * 1_000))
    for number in range(ALL_TRIES):
        attempts.failed(f"198.51.100.{number}")
    assert attempts.allowed(HERE) is not None


def test_a_right_token_pays_for_no_more_guesses(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    for _ in range(ADDRESS_TRIES - 1):
        attempts.failed(HERE)

    attempts.succeeded(HERE)
    attempts.failed(HERE)

    assert attempts.allowed(HERE) is not None


def test_what_is_long_over_is_forgotten(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    use_up(attempts)

    clock.advance(int(ADDRESS_TRIES * ADDRESS_TRY_S * 1_000))
    attempts.succeeded(HERE)

    assert len(attempts) == 0
    use_up(attempts)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "192.0.2.1", False),
        ("/run/admin.sock", "192.0.2.1", False),
    ],
)
def test_a_client_is_its_network(clock: FakeClock, one: str, other: str, alike: bool) -> None:
    attempts = Attempts(clock)

    use_up(attempts, one)

    assert (attempts.allowed(other) is not None) is alike


def test_memory_does_not_grow(clock: FakeClock) -> None:
    attempts = Attempts(clock)

    for number in range(ADDRESSES_MAX + 10):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
        attempts.succeeded(f"10.1.{number // 256}.{number % 256}")

    assert len(attempts) == ADDRESSES_MAX
    assert len(attempts._known) == ADDRESSES_MAX


@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(["a", "b"]))))
def test_nobody_ever_has_more_tries_than_there_are(waits: list[tuple[int, str]]) -> None:
    clock = FakeClock(0)
    attempts = Attempts(clock)
    taken = {"a": 0, "b": 0}

    for wait_ms, address in waits:
        clock.advance(wait_ms)
        if attempts.allowed(address) is None:
            attempts.failed(address)
            taken[address] += 1

    come_back = clock.now_ms() / 1_000 / ADDRESS_TRY_S
    assert all(count <= ADDRESS_TRIES + come_back + 1 for count in taken.values())
