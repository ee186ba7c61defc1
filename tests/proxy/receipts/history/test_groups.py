"""Rows come together by request, each once, and are rounded once."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.usage import Usage
from proxy.receipts.history.groups import (
    BAD_SHOWN_MAX,
    GROUP_ROWS_MAX,
    Gathering,
    Group,
    final_of,
    name_of,
    request_of,
)
from proxy.receipts.history.rows import BadRow, Row
from proxy.receipts.receipt import Final, SetAside
from tests.proxy.receipts.history.fake_history import NOON_MS

HOUR_MS = 3_600_000


def row(
    at_ms: int = NOON_MS,
    billed: str = "0.5",
    request_id: str | None = "chatcmpl-1",
    *,
    sku: str = "output",
    currency: str = "USD",
    tokens: tuple[int | None, int | None] = (339, 227),
) -> Row:
    return Row(
        at_ms=at_ms,
        billed=Decimal(billed),
        currency=currency,
        sku=sku,
        request_id=request_id,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
    )


def gathered(*entries: Row | BadRow) -> Gathering:
    gathering = Gathering(NOON_MS - HOUR_MS, NOON_MS + HOUR_MS)
    gathering.take(entries)
    return gathering


def groups_of(*entries: Row | BadRow) -> dict[str, Group]:
    return {group.request_id: group for group in gathered(*entries).closed()}


def group(*entries: Row | BadRow) -> Group:
    (found,) = groups_of(*entries).values()
    return found


def final(*entries: Row | BadRow) -> Final:
    found = final_of(group(*entries))
    assert isinstance(found, Final), found
    return found


def set_aside(*entries: Row | BadRow) -> str:
    found = final_of(group(*entries))
    assert isinstance(found, SetAside), found
    return found.reason


# Coming together…


def test_rows_of_one_request_are_one_group_and_others_apart() -> None:
    first, second = row(sku="input"), row(NOON_MS + 2, sku="output")
    other = row(NOON_MS + 1, request_id="chatcmpl-2")

    found = groups_of(second, other, first)

    assert found.keys() == {"chatcmpl-1", "chatcmpl-2"}
    assert found["chatcmpl-1"].rows == (first, second)
    assert (found["chatcmpl-1"].first_ms, found["chatcmpl-1"].last_ms) == (NOON_MS, NOON_MS + 2)


def test_the_same_row_twice_counts_once_and_is_counted() -> None:
    gathering = gathered(row(), row(sku="input"), row(billed="0.50"))

    (found,) = gathering.closed()
    assert found.amounts == {"USD": 1}
    assert gathering.counts == {"rows": 3, "duplicates": 1}


def test_rows_of_no_request_are_groups_of_their_own() -> None:
    image, same, other = (row(request_id=None, sku=sku) for sku in ("image", "image", "upscale"))

    found = gathered(image, same, other).closed()

    assert [each.rows for each in found] == [(image,), (other,)]
    assert [each.request_id for each in found] == ["", ""]
    assert len({each.name for each in found}) == 2


@pytest.mark.parametrize("billed", ["-10", "0"])
def test_money_that_comes_in_without_a_request_is_no_spend(billed: str) -> None:
    gathering = gathered(row(request_id=None, billed=billed, sku="credit-purchase"))

    assert gathering.closed() == ()
    assert gathering.counts["credits"] == 1
    assert gathering.newest_ms == NOON_MS


def test_a_row_from_before_is_not_taken() -> None:
    early = NOON_MS - HOUR_MS - 1
    gathering = gathered(row(early), BadRow("bad", "chatcmpl-1", early), row(early + 1))

    (found,) = gathering.closed()
    assert found.rows == (row(early + 1),)
    assert found.flaws == ()
    assert gathering.counts["outside"] == 2


def test_a_row_from_the_far_future_is_taken_and_is_no_sign_of_how_far_it_was_read() -> None:
    gathering = gathered(row(), row(NOON_MS + HOUR_MS, "1"))

    assert gathering.newest_ms == NOON_MS
    assert gathering.closed()[0].amounts == {"USD": Decimal("1.5")}


def test_it_is_noticed_when_rows_are_not_in_order() -> None:
    assert gathered(row(), row(), row(NOON_MS + 1)).ascending
    assert not gathered(row(), row(NOON_MS - 1)).ascending


def test_groups_that_ended_are_handed_out_once() -> None:
    early = row(NOON_MS - 5, request_id="early")
    gathering = gathered(early, row(NOON_MS - 5), row(), BadRow("bad", "flawed"))

    assert [each.request_id for each in gathering.closed(NOON_MS)] == ["early"]
    assert gathering.held == 2
    assert [each.request_id for each in gathering.closed()] == ["chatcmpl-1", "flawed"]
    assert (gathering.held, gathering.closed()) == (0, ())


def test_a_bad_row_makes_its_request_not_add_up() -> None:
    reason = set_aside(row(), BadRow("its amount is missing", "chatcmpl-1", NOON_MS))

    assert reason == "its amount is missing"


def test_a_bad_row_of_nobody_spoils_nothing() -> None:
    gathering = gathered(row(), *[BadRow("bad")] * 30)

    assert len(gathering.closed()) == 1
    assert gathering.counts["bad"] == 30
    assert len(gathering.bad) == BAD_SHOWN_MAX


def test_a_group_of_bad_rows_has_the_time_of_its_neighbours() -> None:
    (_, alone) = gathered(row(), BadRow("bad", "flawed")).closed()

    assert (alone.first_ms, alone.last_ms) == (NOON_MS, NOON_MS)
    assert gathered(BadRow("bad", "flawed")).closed()[0].last_ms == NOON_MS - HOUR_MS


def test_a_request_with_absurdly_many_rows_does_not_add_up() -> None:
    rows = [row(sku=str(number)) for number in range(GROUP_ROWS_MAX + 1)]

    assert "more than 1000 rows" in set_aside(*rows)
    assert len(group(*rows).rows) == GROUP_ROWS_MAX


def test_names_of_requests_are_never_those_of_rows() -> None:
    nameless = group(row(request_id=None))

    assert request_of(nameless.name) == ""
    assert request_of(name_of("a:b")) == "a:b"
    assert name_of(nameless.name) != nameless.name


# …and what they come to.


def test_a_request_is_what_its_rows_come_to() -> None:
    found = final(row(billed="0.0007", sku="input"), row(billed="0.00028"))

    assert found == Final(
        nano_usd=980_000,
        currency="USD",
        usage=Usage(input_tokens=339, output_tokens=227),
        breakdown=(("input", 700_000), ("output", 280_000)),
        generation_id="chatcmpl-1",
    )


def test_fractions_are_rounded_once_for_the_whole_request() -> None:
    found = final(*(row(billed="0.0000000004", sku=sku) for sku in "abcde"))

    assert found.nano_usd == 2


def test_all_known_credits_are_worth_a_dollar_and_told_apart() -> None:
    billed = [("USD", "1"), ("DIEM", "2"), ("VCU", "4"), ("BUNDLED_CREDITS", "8")]
    billed += [("EARNED_CREDITS", "0.0000000001")]
    found = final(*(row(billed=amount, currency=currency) for currency, amount in billed))

    assert found.nano_usd == 15 * 10**9 + 1
    assert found.currency == "BUNDLED_CREDITS+DIEM+EARNED_CREDITS+USD+VCU"
    assert found.credits == {
        "DIEM": 2 * 10**9,
        "VCU": 4 * 10**9,
        "BUNDLED_CREDITS": 8 * 10**9,
        "EARNED_CREDITS": 1,
    }


def test_one_item_in_two_currencies_is_one_part_of_the_breakdown() -> None:
    found = final(row(billed="1"), row(billed="2", currency="DIEM"))

    assert found.breakdown == (("output", 3 * 10**9),)


def test_tokens_are_repeated_by_every_row_and_never_added_up() -> None:
    found = final(
        row(tokens=(5, None)), row(sku="b", tokens=(7, 3)), row(sku="c", tokens=(None, 2))
    )

    assert found.usage == Usage(input_tokens=7, output_tokens=3)


def test_usage_that_nobody_tells_is_not_known() -> None:
    assert final(row(tokens=(None, None))).usage is None
    assert final(row(tokens=(None, 4))).usage == Usage(output_tokens=4)


def test_what_is_given_back_makes_the_request_cheaper() -> None:
    assert final(row(billed="1"), row(NOON_MS + 9, "-0.25")).nano_usd == 750_000_000


def test_a_request_that_was_free_in_the_end_is_billed_with_nothing() -> None:
    assert final(row(billed="1"), row(NOON_MS + 9, "-1")).nano_usd == 0


@pytest.mark.parametrize("charged", ["USD", "DIEM"])
def test_more_back_than_charged_does_not_add_up(charged: str) -> None:
    reason = set_aside(row(billed="0.5", currency=charged), row(NOON_MS + 9, "-0.6"))

    assert "given back" in reason


def test_a_currency_never_heard_of_is_set_aside() -> None:
    assert "GOLD" in set_aside(row(), row(currency="GOLD"))


def test_a_sum_above_what_can_be_counted_is_set_aside() -> None:
    rows = [row(billed="9000000", sku=sku) for sku in "ab"]

    assert "counted exactly" in set_aside(*rows) or "exact range" in set_aside(*rows)


def test_a_group_of_bad_rows_alone_is_set_aside() -> None:
    assert set_aside(BadRow("bad", "chatcmpl-1")) == "bad"
    assert final_of(Group("chatcmpl-1", ())) == SetAside("the request has no rows")


amounts = st.decimals(min_value=0, max_value=1_000, places=15).map(str)
rows = st.builds(
    row,
    at_ms=st.integers(NOON_MS, NOON_MS + 3),
    billed=amounts,
    request_id=st.sampled_from(["chatcmpl-1", "chatcmpl-2", "chatcmpl-3"]),
    sku=st.sampled_from(["input", "output"]),
    currency=st.sampled_from(["USD", "DIEM"]),
)


def _plain_sums(found: Iterable[Row]) -> dict[str, Fraction]:
    """Return the plain sums of distinct rows."""
    distinct = {each.identity: each for each in found}.values()
    ids = {each.request_id or "" for each in distinct}
    return {
        one: sum((Fraction(each.billed) for each in distinct if each.request_id == one), Fraction())
        for one in ids
    }


@given(st.lists(rows, max_size=30), st.randoms())
def test_in_any_order_and_however_often_groups_are_the_plain_sums(
    found: list[Row], random: object
) -> None:
    shuffled = [*found, *found[::2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis' own kind of Random.

    groups = groups_of(*shuffled)

    sums = {one: sum(map(Fraction, each.amounts.values())) for one, each in groups.items()}
    assert sums == _plain_sums(found)
    for one, each in groups.items():
        receipt = final_of(each)
        assert isinstance(receipt, Final)
        exact = sums[one] * 10**9
        assert exact <= receipt.nano_usd < exact + 1
