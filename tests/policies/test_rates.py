"""Rates: list prices as whole pico-dollars, and what stands in for a rate that is missing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from policies.rates import (
    WEB_SEARCH_NANO_USD_UNLISTED,
    Rates,
    nano_per_count,
    pico_per_token,
)


@pytest.mark.parametrize(
    ("usd_per_million", "pico"),
    [
        ("0", 0),
        ("0.15", 150_000),
        ("3", 3_000_000),
        ("0.000001", 1),
        ("0.0000001", 1),
        ("1E-999999", 1),
        ("0.1234567", 123_457),
        ("100000", 100_000_000_000),
    ],
)
def test_a_list_price_becomes_pico_dollars_per_token(usd_per_million: str, pico: int) -> None:
    assert pico_per_token(Decimal(usd_per_million)) == pico


def test_a_fee_becomes_nano_dollars() -> None:
    assert nano_per_count(Decimal("0.035")) == 35_000_000
    assert nano_per_count(Decimal("0.0000000001")) == 1


@pytest.mark.parametrize(
    "price", ["-0.01", "NaN", "sNaN", "Infinity", "-Infinity", "100000.01", "1E+999999"]
)
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match=r"not a price|absurd"):
        pico_per_token(Decimal(price))


def test_a_price_of_endless_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 60 digits"):
        pico_per_token(Decimal("0." + "1" * 61))


def test_a_fee_of_more_than_a_thousand_dollars_is_absurd() -> None:
    with pytest.raises(ValueError, match="absurd"):
        nano_per_count(Decimal(1_001))


def test_missing_rates_stand_in_for_each_other_and_never_become_zero() -> None:
    rates = Rates.of(input=3, output=15)

    assert rates == Rates(
        input=3,
        cache_read=3,
        cache_write_5m=3,
        cache_write_1h=3,
        audio_input=None,
        media_input=3,
        output=15,
        reasoning=15,
        audio_output=None,
        web_search_nano=WEB_SEARCH_NANO_USD_UNLISTED,
        call_nano=0,
    )


def test_a_longer_cache_life_counts_as_the_shorter_one_when_only_that_has_a_rate() -> None:
    assert Rates.of(input=4, output=1, cache_write_5m=5).cache_write_1h == 5


def test_audio_without_a_rate_has_none_in_any_service_tier() -> None:
    for rates in (Rates.of(input=4, output=10), Rates.of(input=4, output=10).times(Fraction(2))):
        assert (rates.audio_input, rates.audio_output) == (None, None)


def test_a_service_tier_multiplies_what_audio_costs() -> None:
    rates = Rates.of(input=4, output=10, audio_input=3, audio_output=5).times(Fraction(3, 2))

    assert (rates.audio_input, rates.audio_output) == (5, 8)


def test_a_rate_that_is_stated_as_zero_stays_zero() -> None:
    rates = Rates.of(
        input=4,
        output=10,
        cache_read=0,
        cache_write_5m=0,
        cache_write_1h=0,
        audio_input=0,
        media_input=0,
        reasoning=0,
        audio_output=0,
        web_search_nano=0,
    )

    assert (rates.cache_read, rates.cache_write_5m, rates.cache_write_1h) == (0, 0, 0)
    assert (rates.audio_input, rates.media_input, rates.audio_output) == (0, 0, 0)
    assert (rates.reasoning, rates.web_search_nano) == (0, 0)


def test_a_service_tier_multiplies_tokens_rounding_up_and_leaves_fees() -> None:
    rates = Rates.of(input=3, output=15, web_search_nano=7, call_nano=9).times(Fraction(3, 2))

    assert (rates.input, rates.output, rates.cache_read) == (5, 23, 5)
    assert (rates.web_search_nano, rates.call_nano) == (7, 9)
