"""Account totals of AGIPower: by key and minute, decimal strings, and nothing booked of what is odd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.receipts.adapters.agipower_totals import ROWS_MAX, AgiPowerTotals
from proxy.receipts.billed_hours import Answer, ModelTotal, Totals, TotalsRow, Unavailable
from proxy.receipts.receipt import SetAside, SlowDown
from tests.proxy.receipts.adapters.configured import Configured

#: 2026-09-03 14:00 UTC.
HOUR_MS = 1_788_444_000_000
MINUTE_MS = 60_000
MANAGED = Configured(management_key="sk-mg-v1-own")
SUBSCRIBED = Configured(api_key="sk-ss-v1-own", management_key="sk-mg-v1-own")


def row(**fields: Any) -> dict[str, Any]:
    """A row as the documentation has it (1.7), of an hour."""
    plain = {
        "bizTime": "202609031405",
        "modelSlug": None,
        "tokenType": None,
        "apiKeyId": "key_1",
        "billAmount": "8.0000000000",
        "requestCounts": "80",
    }
    return plain | fields


def answer(
    *rows: object, models: Sequence[object] | None = None, total: object = "1000000"
) -> dict[str, Any]:
    """An answer as the documentation has it."""
    summary = {"totalCost": total, "inputCost": "8.0000000000", "requestCounts": "125"}
    analysis = {"costByModel": models, "costByApiKey": list(rows), "costByTokenType": []}
    return {"success": True, "data": {"summary": summary, "analysis": analysis}}


def read(
    body: object, status: int = 200, headers: dict[str, str] | None = None, hour_ms: int = HOUR_MS
) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return AgiPowerTotals(MANAGED).read(hour_ms, status, headers or {}, raw)


def totals(body: object) -> Totals:
    found = read(body)
    assert isinstance(found, Totals), found
    return found


def reason(body: object) -> str:
    found = read(body)
    assert isinstance(found, SetAside), found
    return found.reason


def test_an_hour_is_asked_for_by_its_utc_name_with_the_management_key() -> None:
    target = AgiPowerTotals(MANAGED).target(HOUR_MS)

    assert target.method == "GET"
    assert str(target.url) == (
        "https://provider.example/api/v1/management/cost?type=cost&query_dimension=BIZ_HOUR"
        "&query_time=2026090314&bill_types=metered%2CfallbackMetered"
    )
    assert ("Authorization", "Bearer sk-mg-v1-own") in target.headers


def test_extra_usage_of_ones_own_subscription_is_asked_for_apart() -> None:
    adapter = AgiPowerTotals(MANAGED, SUBSCRIBED)

    assert adapter.target(HOUR_MS).url.query["bill_types"] == "metered"
    extra = adapter.extra_usage_target(HOUR_MS)
    assert extra is not None
    assert extra.url.query["bill_types"] == "fallbackMetered"
    assert AgiPowerTotals(MANAGED).extra_usage_target(HOUR_MS) is None


def test_reference_prices_of_a_subscription_are_never_asked_for() -> None:
    for adapter in (AgiPowerTotals(MANAGED), AgiPowerTotals(SUBSCRIBED)):
        assert "subscription" not in str(adapter.target(HOUR_MS).url)


def test_another_path_is_used_where_the_configuration_has_one() -> None:
    paths = {"cost": "/cost/{hour}?types={bill_types}"}

    target = AgiPowerTotals(Configured(paths=paths)).target(HOUR_MS)

    assert str(target.url).startswith("https://provider.example/cost/2026090314?types=metered")


@pytest.mark.parametrize(
    ("path", "place"), [("/c?b={bill_types}", "{hour}"), ("/c?h={hour}", "{bill_types}")]
)
def test_a_path_without_its_places_is_refused(path: str, place: str) -> None:
    with pytest.raises(ValueError, match=f"no {place}"):
        AgiPowerTotals(Configured(paths={"cost": path}))


def test_the_documented_sample_is_read() -> None:
    models = [
        row(apiKeyId=None, modelSlug="openai/gpt-5", billAmount="12.34560", requestCounts="125")
    ]

    found = totals(answer(row(), models=models, total="12.3456000000"))

    assert found.rows == (
        TotalsRow(
            minute_ms=HOUR_MS + 5 * MINUTE_MS,
            api_key_id="key_1",
            nano_usd=8_000_000_000,
            calls=80,
        ),
    )
    assert found.models == (ModelTotal(model="openai/gpt-5", nano_usd=12_345_600_000, calls=125),)
    assert found.flaws == ()


@pytest.mark.parametrize(
    ("amount", "nano_usd"),
    [
        ("0.0052", 5_200_000),
        ("6e-7", 600),
        ("0", 0),
        ("0.0000000001", 1),
        (3, 3_000_000_000),
        (0.25, 250_000_000),
    ],
)
def test_amounts_are_exact_in_whatever_form_they_come(amount: object, nano_usd: int) -> None:
    assert [each.nano_usd for each in totals(answer(row(billAmount=amount))).rows] == [nano_usd]


def test_a_number_is_read_as_it_is_written() -> None:
    body = json.dumps(answer(row(billAmount="AMOUNT"))).replace('"AMOUNT"', "0.1000000000000000001")

    assert [each.nano_usd for each in totals(body.encode()).rows] == [100_000_001]


@pytest.mark.parametrize(
    "amount",
    [None, "", "abc", "-0.5", -1, True, [], {}, "NaN", "Infinity", "1e300", "1_000", "9" * 99],
)
def test_a_row_without_an_amount_that_can_be_is_left_out_and_named(amount: object) -> None:
    found = totals(answer(row(billAmount=amount), row(bizTime="202609031406")))

    assert [each.minute_ms for each in found.rows] == [HOUR_MS + 6 * MINUTE_MS]
    assert len(found.flaws) == 1
    assert "billAmount" in found.flaws[0]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e999999999999999999999"])
def test_numbers_beyond_all_numbers_spoil_their_row_alone(number: bytes) -> None:
    body = json.dumps(answer(row(billAmount="AMOUNT"), row())).encode()

    found = totals(body.replace(b'"AMOUNT"', number))

    assert len(found.rows) == 1
    assert len(found.flaws) == 1


@pytest.mark.parametrize("count", [None, "many", -1, "1.5", True, []])
def test_a_number_of_requests_that_cannot_be_read_is_not_known(count: object) -> None:
    assert [each.calls for each in totals(answer(row(requestCounts=count))).rows] == [0]


@pytest.mark.parametrize(
    "time", [None, 202609031405, "2026090314", "202613031405", "\uff12\uff10260903140"]
)
def test_a_row_without_its_minute_is_left_out(time: object) -> None:
    found = totals(answer(row(bizTime=time)))

    assert found.rows == ()
    assert "bizTime" in found.flaws[0]


@pytest.mark.parametrize("time", ["202609031359", "202609031500", "202509031405"])
def test_an_answer_about_another_hour_is_set_aside(time: str) -> None:
    assert "another hour" in reason(answer(row(), row(bizTime=time)))


def test_a_row_that_comes_twice_counts_once() -> None:
    assert len(totals(answer(row(), row())).rows) == 1


def test_rows_that_differ_are_two() -> None:
    found = totals(answer(row(), row(requestCounts="81"), row(apiKeyId=None)))

    assert [each.api_key_id for each in found.rows] == ["key_1", "key_1", ""]


def test_rows_that_come_to_more_than_the_total_are_set_aside() -> None:
    assert "totalCost" in reason(answer(row(), row(bizTime="202609031407"), total="15.99"))


def test_each_row_may_have_been_rounded_up() -> None:
    rows = [row(billAmount="0.0000000001", bizTime=f"2026090314{n:02}") for n in range(60)]

    assert len(totals(answer(*rows, total="0.000000006")).rows) == 60


def test_a_sum_that_no_counter_holds_is_set_aside() -> None:
    rows = [row(billAmount="9000000", bizTime=f"2026090314{n:02}") for n in range(2)]

    assert "counted" in reason(answer(*rows, total=None))


@pytest.mark.parametrize("key", [7, [], "k" * 201, "line\nbreak"])
def test_a_key_that_is_no_id_spoils_its_row(key: object) -> None:
    assert totals(answer(row(apiKeyId=key))).rows == ()


def test_an_hour_without_any_spending_is_empty() -> None:
    assert totals(answer(total="0")) == Totals()
    nothing = {"success": True, "data": {"summary": None, "analysis": None}}
    assert totals(nothing) == Totals()
    nulls = {"costByApiKey": None, "costByModel": None}
    assert totals({"success": True, "data": {"analysis": nulls}}) == Totals()


def test_models_are_summed_dearest_first_and_odd_ones_left_out() -> None:
    models: list[object] = [
        row(modelSlug="a", billAmount="1", requestCounts="1"),
        row(modelSlug="b", billAmount="2", requestCounts="1"),
        row(modelSlug="a", billAmount="3", requestCounts=None),
        row(modelSlug=None),
        row(modelSlug="c", billAmount=None),
        "a row",
    ]

    assert totals(answer(models=models)).models == (
        ModelTotal(model="a", nano_usd=4_000_000_000, calls=1),
        ModelTotal(model="b", nano_usd=2_000_000_000, calls=1),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"[]",
        b"null",
        b"7",
        b'{"success":false,"message":"Please wait."}',
        b'{"success":"true","data":{}}',
        b'{"success":true}',
        b'{"success":true,"data":[]}',
        b'{"success":true,"data":{"analysis":[1]}}',
        b'{"success":true,"data":{"analysis":{"costByApiKey":{}}}}',
        b'{"success":true,"data":{"summary":{"totalCost":"much"},"analysis":{}}}',
        b"[" * 100_000,
        b'{"data":' + b"9" * 10_000 + b"}",
        b"\xff\xfe",
    ],
)
def test_what_is_no_answer_is_set_aside(body: bytes) -> None:
    assert isinstance(read(body), SetAside)


def test_more_rows_than_an_hour_has_are_set_aside() -> None:
    assert "rows" in reason(answer(*([None] * (ROWS_MAX + 1))))


def test_of_many_flaws_a_few_are_told() -> None:
    assert len(totals(answer(*range(100))).flaws) == 5


@pytest.mark.parametrize("status", [422, 429])
def test_too_many_requests_slow_down(status: int) -> None:
    assert read(b"{}", status, {"Retry-After": "60"}) == SlowDown(60_000)
    assert read(b"{}", status) == SlowDown(None)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named(status: int) -> None:
    found = read(b"{}", status)

    assert isinstance(found, Unavailable)
    assert "management_key" in found.reason


@pytest.mark.parametrize("status", [204, 302, 500, 502, 520])
def test_a_fault_of_the_provider_is_no_answer(status: int) -> None:
    assert isinstance(read(b"{}", status), Unavailable)


@pytest.mark.parametrize("status", [400, 404])
def test_an_hour_that_the_provider_does_not_have_is_set_aside(status: int) -> None:
    assert isinstance(read(b"{}", status), SetAside)


def test_extra_usage_is_read_in_the_same_form() -> None:
    body = json.dumps(answer(row())).encode()
    adapter = AgiPowerTotals(SUBSCRIBED)

    assert adapter.read_extra_usage(HOUR_MS, 200, {}, body) == adapter.read(HOUR_MS, 200, {}, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*row(), "success", "data", "analysis", "x"]), inner)
    ),
    max_leaves=20,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"bizTime": st.just("202609031405") | JSON},
        optional={"billAmount": JSON, "requestCounts": JSON, "apiKeyId": JSON},
    )
    | JSON,
    max_size=4,
)


@given(JSON | st.builds(lambda rows: answer(*rows, models=rows), ROWS), st.sampled_from([200, 500]))
def test_no_answer_raises_or_books_what_no_counter_holds(body: object, status: int) -> None:
    found = read(body, status)

    if isinstance(found, Totals):
        assert 0 <= sum(each.nano_usd for each in found.rows) <= EXACT_MAX
        assert all(each.nano_usd >= 0 and each.calls >= 0 for each in found.rows)


@given(st.lists(st.decimals(min_value=0, max_value=1000, places=10), max_size=60))
def test_rows_add_up_to_what_the_account_was_billed(amounts: list[Decimal]) -> None:
    rows = [
        row(billAmount=format(amount, "f"), bizTime=f"2026090314{n:02}")
        for n, amount in enumerate(amounts)
    ]

    found = totals(answer(*rows, total=format(sum(amounts, Decimal(0)), "f")))

    billed = sum(each.nano_usd for each in found.rows)
    exact = sum(amounts, Decimal(0)) * 10**9
    assert exact <= billed <= exact + len(amounts)
