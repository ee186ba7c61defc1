"""Numbers as price lists write them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.prices import figures
from proxy.prices.figures import NotAPrice


@pytest.mark.parametrize("written", [Decimal("0.15"), "0.15", 0.15], ids=repr)
def test_a_price_is_taken_as_it_was_written(written: object) -> None:
    assert figures.decimal(written, "input") == Decimal("0.15")
    assert figures.pico(written, "input") == 150_000


@pytest.mark.parametrize(
    "written", [None, True, "free", "", "NaN", float("nan"), float("inf"), [1], {"usd": 1}]
)
def test_what_is_no_number_is_refused_by_name(written: object) -> None:
    with pytest.raises(NotAPrice, match=r"input: .* is not a number"):
        figures.pico(written, "input")


@pytest.mark.parametrize("written", [-1, Decimal("-0.001"), 1_000_000])
def test_what_is_no_price_is_refused_by_name(written: object) -> None:
    with pytest.raises(NotAPrice, match=r"^web_search: .*(not a price|absurd)"):
        figures.nano(written, "web_search")
    with pytest.raises(NotAPrice, match=r"^input: .*(not a price|absurd)"):
        figures.pico(written, "input")


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(NotAPrice) as refused:
        figures.decimal("x" * 10_000, "input")

    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("written", [0, -1, "1.5", 10**12, None])
def test_a_number_of_tokens_is_whole_and_above_zero(written: object) -> None:
    assert figures.tokens_if_any(written) is None
    with pytest.raises(NotAPrice, match="window"):
        figures.tokens(written, "window")


def test_a_number_of_tokens() -> None:
    assert figures.tokens_if_any(128_000) == 128_000
    assert figures.tokens(Decimal("1048576.0"), "window") == 1_048_576


def test_thousands_of_tokens_are_counted_from_the_first_whole_one() -> None:
    assert figures.at_least(Decimal("0.2"), 1_000) == 200
    assert figures.at_least(Decimal("0.2001"), 1_000) == 201
    assert figures.above(Decimal("0.2"), 1_000) == 201
    assert figures.above(Decimal("0.2001"), 1_000) == 201


def test_objects_and_lists_are_told_apart() -> None:
    assert figures.mapping({"a": 1}, "row") == {"a": 1}
    assert figures.sequence([1], "rows") == [1]
    with pytest.raises(NotAPrice, match=r"row: .* is not an object"):
        figures.mapping([1], "row")
    for written in ({"a": 1}, "abc", None):
        with pytest.raises(NotAPrice, match=r"rows: .* is not a list"):
            figures.sequence(written, "rows")
