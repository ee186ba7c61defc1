"""AGIPower's receipts, as its documents show them (facts: providers.md, 1.2, 1.3, 1.5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from policies.usage import Usage
from proxy.receipts.adapters.agipower import AgiPower
from proxy.receipts.receipt import Final, Never, SlowDown, UnknownId
from tests.proxy.receipts.adapters.configured import (
    JSON,
    Configured,
    billed,
    makes_sense,
    pending,
    read,
    set_aside,
)

BASE = "https://provider.example"
DOCUMENTED = """
{"api":"chat.completions","generationId":"gen_01abc123def456","model":"openai/gpt-4o",
 "createAt":"2026-03-26T06:00:00.000Z","generationTime":3200,"latency":500,
 "nativeTokens":{"completion_tokens":128,"prompt_tokens":32,"total_tokens":160,
   "completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens_details":{"cached_tokens":0}},
 "streamed":true,"finishReason":"stop","usage":0.0052,
 "ratingResponses":{"billAmount":0.0052,"discountAmount":0,"originAmount":0.0052,"priceVersion":"v1",
   "ratingDetails":[
     {"billAmount":0.0016,"discountAmount":0,"feeItemCode":"prompt","originAmount":0.0016,
      "rate":0.00005},
     {"billAmount":0.0036,"discountAmount":0,"feeItemCode":"completion","originAmount":0.0036,
      "rate":0.00003}]},
 "requestRetryTimes":0,"finalRetry":false}
"""
CONSOLE = """
{"generationId":"2534CCEDTKJR00217635","accountId":"2533AC0Q5MIe14613672","cancelled":false,
 "model":"Anthropic: Claude Sonnet 4","throughput":"28.81",
 "nativeFeeTokens":{"input_cache_write_5_min":0,"completion":95,"prompt":16527},
 "nativeTokens":{"completion_tokens":95,"prompt_tokens":16527,"total_tokens":16622,
  "completion_tokens_details":{"reasoning_tokens":0},
  "prompt_tokens_details":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0,
   "cached_tokens":0}},
 "originAmount":"0.051006","billAmount":"0.051006","discountAmount":"0","realAmount":"0.051006",
 "ratingResponses":{"billAmount":0.051006,"discountAmount":0,"originAmount":0.051006,
  "ratingDetails":[
   {"billAmount":0,"feeItemCode":"input_cache_write_5_min","originAmount":0,"rate":3.75},
   {"billAmount":0.001425,"feeItemCode":"completion","originAmount":0.001425,"rate":15},
   {"billAmount":0.049581,"feeItemCode":"prompt","originAmount":0.049581,"rate":3}],
  "serviceCode":"anthropic#anthropic/ahtnropic_endpoint#anthropic/claude-sonnet-4"},
 "requestRetryTimes":0,"finalRetry":true}
"""
OLD = """
{"generation_id":"g","created_at":"2026-01-08T00:00:00Z","usage":"0.000000600",
 "native_tokens":{"completion_tokens":"5","prompt_tokens":"3"},"finish_reason":"stop",
 "rating_responses":{"bill_amount":"6e-7",
  "rating_details":[{"fee_item_code":"prompt","bill_amount":"6e-7"}]}}
"""
TOKENS = {"prompt_tokens": 3, "completion_tokens": 5}


def adapter(**fields: Any) -> AgiPower:
    return AgiPower(Configured(kind="agipower", base_url=BASE, **fields))


def subscribed(**fields: Any) -> AgiPower:
    return adapter(api_key="sk-ss-v1-own", **fields)


def rated(bill: Any, **more: Any) -> dict[str, Any]:
    return {"nativeTokens": TOKENS, "ratingResponses": {"billAmount": bill}, **more}


# Where it is asked.


def test_both_places_are_asked_with_the_key() -> None:
    targets = adapter().targets("a/b")

    assert [f"{target.method} {target.url}" for target in targets] == [
        f"GET {BASE}/api/v1/management/generation?id=a%2Fb",
        f"GET {BASE}/api/v1/generation?id=a%2Fb",
    ]
    assert {dict(target.headers)["Authorization"] for target in targets} == {"Bearer sk-ai-v1-own"}


def test_a_host_that_wants_another_parameter_is_configured() -> None:
    own = {"generation": "/api/v1/management/generation?generate_id={generation_id}"}

    (target,) = adapter(paths=own).targets("g")

    assert str(target.url) == f"{BASE}/api/v1/management/generation?generate_id=g"


@pytest.mark.parametrize(
    ("api_key", "management_key", "asks"),
    [
        ("sk-ai-v1-own", "sk-mg-v1-own", "sk-ai-v1-own"),
        ("sk-ss-v1-own", "sk-mg-v1-own", "sk-mg-v1-own"),
        ("sk-ss-v1-own", "", "sk-ss-v1-own"),
    ],
)
def test_the_management_key_asks_for_a_subscription(
    api_key: str, management_key: str, asks: str
) -> None:
    (target, _) = adapter(api_key=api_key, management_key=management_key).targets("g")

    assert dict(target.headers)["Authorization"] == f"Bearer {asks}"


def test_only_a_subscription_is_never_billed() -> None:
    assert adapter().never is None
    assert (subscribed().never or "").startswith("a subscription key: ")
    assert subscribed(management_key="sk-mg-v1-own").never is not None


def test_no_answer_is_a_receipt_at_once() -> None:
    assert adapter().at_once({"certainty": "exact", "reported_cost": {"USD": "1"}}) is None


# What it says.


def test_the_documented_receipt() -> None:
    assert read(adapter(), DOCUMENTED, "gen_01abc123def456") == Final(
        nano_usd=5_200_000,
        currency="USD",
        usage=Usage(input_tokens=32, output_tokens=128),
        breakdown=(("prompt", 1_600_000), ("completion", 3_600_000)),
        generation_id="gen_01abc123def456",
    )


def test_the_consoles_own_record() -> None:
    receipt = billed(read(adapter(), CONSOLE, "2534CCEDTKJR00217635"))

    assert receipt.nano_usd == sum(nano_usd for _, nano_usd in receipt.breakdown) == 51_006_000
    assert receipt.usage == Usage(input_tokens=16_527, output_tokens=95)


def test_a_receipt_of_january() -> None:
    receipt = billed(read(adapter(), OLD, "g"))

    assert (receipt.nano_usd, receipt.breakdown) == (600, (("prompt", 600),))
    assert receipt.usage == Usage(input_tokens=3, output_tokens=5)


def test_a_receipt_may_be_wrapped() -> None:
    wrapped = f'{{"success": true, "data": {DOCUMENTED}}}'

    assert read(adapter(), wrapped, "gen_01abc123def456") == read(
        adapter(), DOCUMENTED, "gen_01abc123def456"
    )


@pytest.mark.parametrize("bill", [0, "0", 0.0], ids=repr)
def test_a_free_call_has_a_rating_that_says_so(bill: object) -> None:
    assert billed(read(adapter(), rated(bill, usage=0))).nano_usd == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"usage": 0.0052, "billAmount": "1", "realAmount": "2"}, 5_200_000),
        ({"usage": None, "billAmount": "0.1", "realAmount": "2"}, 100_000_000),
        ({"usage": 0, "realAmount": "0.2"}, 200_000_000),
    ],
)
def test_a_rating_without_a_bill_leaves_it_to_the_older_names(
    fields: dict[str, Any], expected: int
) -> None:
    body = {"ratingResponses": {"priceVersion": "v1"}, **fields}

    assert billed(read(adapter(), body)).nano_usd == expected


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"usage": None, "ratingResponses": None},
        {"usage": 0},
        {"usage": 0, "ratingResponses": {}},
        {"usage": 0, "ratingResponses": {"billAmount": None}},
        {"usage": 0, "ratingResponses": []},
        # What a rating does not confirm is no bill, whatever it is.
        {"usage": 0.0052},
        {"billAmount": "0.0052", "realAmount": "0.0052"},
    ],
)
def test_a_call_that_is_metered_is_not_billed_yet(fields: dict[str, Any]) -> None:
    for body in ({"nativeTokens": TOKENS, **fields}, {"data": {"nativeTokens": TOKENS, **fields}}):
        assert pending(read(adapter(), body)) == "the call is metered and not billed yet"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"success": True, "data": None},
        {"success": False},
        {"success": "false", "message": "Billing is not ready yet."},
        {"success": False, "data": rated(1)},
        {"error": {"code": "500", "type": "internal_server_error", "message": "…"}},
    ],
    ids=str,
)
def test_an_answer_that_says_nothing_of_the_call_is_no_receipt(body: object) -> None:
    assert pending(read(adapter(), body)).startswith("the provider does not tell of the call yet")


def test_an_unknown_id_may_be_told_with_a_status_of_success() -> None:
    body = {"success": False, "error": {"code": "404", "type": "not_found", "message": "…"}}

    assert read(adapter(), body) == UnknownId()


def test_a_subscriptions_call_is_metered_for_good() -> None:
    result = read(subscribed(), {"generationId": "g", "nativeTokens": TOKENS, "usage": 0}, "g")

    assert result == Never(subscribed().never or "", Usage(input_tokens=3, output_tokens=5))
    assert read(subscribed(), {"nativeTokens": {"a": 1}}) == Never(subscribed().never or "")


def test_a_subscriptions_call_that_is_not_there_yet_is_waited_for() -> None:
    pending(read(subscribed(), {}))
    pending(read(subscribed(), {"success": False}))


def test_a_bill_for_a_subscriptions_call_is_a_bill() -> None:
    assert billed(read(subscribed(), DOCUMENTED, "gen_01abc123def456")).nano_usd == 5_200_000


# Statuses.


@pytest.mark.parametrize("status", [422, 429])
def test_too_many_requests_slow_everything_down(status: int) -> None:
    result = read(adapter(), b"", status=status, headers={"Retry-After": "60"})

    assert result == SlowDown(60_000)
    assert read(adapter(), b"", status=status) == SlowDown(None)


def test_an_unknown_id_is_no_fault() -> None:
    assert read(adapter(), b"<html>404</html>", status=404) == UnknownId()


def test_a_key_that_may_not_ask_is_named() -> None:
    managed = subscribed(management_key="sk-mg-v1-own")

    for status in (401, 403):
        assert set_aside(read(adapter(), b"", status=status)).endswith("check api_key")
        assert set_aside(read(managed, b"", status=status)).endswith("check management_key")


@pytest.mark.parametrize("status", [500, 502, 503, 520, 524, 302, 418])
def test_a_provider_in_trouble_is_asked_again(status: int) -> None:
    assert str(status) in pending(read(adapter(), DOCUMENTED, status=status))


# What does not add up.


@pytest.mark.parametrize(
    "bill", ["-0.0001", True, False, "free", "", [], {"amount": 1}, 10**7, "1e30", "NaN", "-1e-9"]
)
def test_a_bill_that_cannot_be_is_set_aside(bill: object) -> None:
    assert "billAmount" in set_aside(read(adapter(), rated(bill)))


@pytest.mark.parametrize("bill", ["NaN", "Infinity", "-Infinity", "1e9999", "-1E-7"])
def test_numbers_that_are_not_json_or_not_money_are_set_aside(bill: str) -> None:
    set_aside(read(adapter(), f'{{"ratingResponses": {{"billAmount": {bill}}}}}'))


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Sign in</body></html>",
        "",
        "[]",
        "null",
        '"gen_1"',
        "0.0052",
        DOCUMENTED[:-10],
        '{"data": [1]}',
        '{"data": "text"}',
        '{"ratingResponses": "0.0052"}',
        '{"ratingResponses": [{"billAmount": 1}]}',
        '{"usage": -1, "ratingResponses": {"priceVersion": "v1"}}',
        '{"a":' * 100_000,
    ],
    ids=lambda body: body[:30],
)
def test_an_answer_that_makes_no_sense_is_set_aside(body: str) -> None:
    set_aside(read(adapter(), body))


def test_megabytes_are_no_receipt() -> None:
    assert "bytes" in set_aside(read(adapter(), DOCUMENTED + " " * 2_000_000))


BODY_ID, REQUEST_ID, OTHER_REQUEST = "a" * 32, "2534CCEDTKJR00217635", "2534CCEDTKJR00217636"


@pytest.mark.parametrize(
    ("named", "known"),
    [
        (BODY_ID, (BODY_ID, REQUEST_ID)),
        (BODY_ID, (REQUEST_ID, BODY_ID)),
        (REQUEST_ID, (BODY_ID, REQUEST_ID)),
        # Cut before the body told an id: the request's is all that is known, and finds the bill.
        (BODY_ID, (REQUEST_ID,)),
        (BODY_ID, ("req_0123",)),
        (None, (BODY_ID,)),
    ],
)
def test_a_receipt_is_found_by_any_id_of_its_call(
    named: str | None, known: tuple[str, ...]
) -> None:
    receipt = billed(read(adapter(), rated(1, generationId=named), *known))

    assert receipt.generation_id == known[0]


@pytest.mark.parametrize(
    ("named", "known"),
    [
        ("b" * 32, (BODY_ID, REQUEST_ID)),
        ("b" * 32, (REQUEST_ID, BODY_ID)),
        ("b" * 32, (BODY_ID,)),
        (OTHER_REQUEST, (BODY_ID, REQUEST_ID)),
        (OTHER_REQUEST, (REQUEST_ID,)),
        (7, ("7",)),
    ],
)
def test_another_calls_receipt_is_set_aside(named: object, known: tuple[str, ...]) -> None:
    for body in (
        rated(1, generationId=named),
        rated(1, generation_id=named),
        {"generationId": named},
    ):
        assert "another call's id" in set_aside(read(adapter(), body, *known))


# What it counted.


@pytest.mark.parametrize(
    ("native", "usage"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "completion_tokens_details": {"reasoning_tokens": 20},
                "prompt_tokens_details": {
                    "cached_tokens": 10,
                    "ephemeral_5m_input_tokens": 5,
                    "ephemeral_1h_input_tokens": 3,
                },
            },
            Usage(
                input_tokens=82,
                cache_read_tokens=10,
                cache_write_5m_tokens=5,
                cache_write_1h_tokens=3,
                output_tokens=50,
                reasoning_tokens=20,
            ),
        ),
        # Trap 18: a converter leaves the cached part out of the prompt.
        (
            {"prompt_tokens": 4, "prompt_tokens_details": {"cached_tokens": 90}},
            Usage(input_tokens=4, cache_read_tokens=90),
        ),
        (
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": {
                    "cache_creation_input_tokens": 30,
                    "ephemeral_1h_input_tokens": 10,
                },
            },
            Usage(input_tokens=70, cache_write_5m_tokens=20, cache_write_1h_tokens=10),
        ),
        (
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {"cache_write_tokens": 4, "web_search": 2},
            },
            Usage(input_tokens=5, cache_write_5m_tokens=4, web_searches=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens_details": None, "prompt_tokens_details": []},
            Usage(input_tokens=9),
        ),
        # Where the total shows that reasoning is counted beside the completion, as xAI does.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=10, output_tokens=8, reasoning_tokens=3),
        ),
        ({"completion_tokens": 9.0}, Usage(output_tokens=9)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({"prompt_tokens": True, "completion_tokens": 5}, None),
        ({"prompt_tokens": 3, "completion_tokens": 2**60}, None),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": "many"}}, None),
        # Other forms have not been seen, and include different parts in their wholes.
        ({"input_tokens": 3, "output_tokens": 5}, None),
        ({}, None),
        ([], None),
        ("text", None),
        (None, None),
    ],
)
def test_tokens_are_counted_in_disjoint_parts(native: object, usage: Usage | None) -> None:
    receipt = billed(read(adapter(), rated("0.1") | {"nativeTokens": native}))

    assert (receipt.usage, receipt.nano_usd) == (usage, 100_000_000)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (None, ()),
        ({"billAmount": 1}, ()),
        ([None, 1, {}, {"feeItemCode": "a"}, {"billAmount": 1}], ()),
        ([{"feeItemCode": 7, "billAmount": 1}, {"feeItemCode": "\ud800", "billAmount": 1}], ()),
        ([{"feeItemCode": "a", "billAmount": -1}, {"feeItemCode": "b", "billAmount": "1e-10"}], (("b", 1),)),
        ([{"feeItemCode": "a", "billAmount": 0}, {"feeItemCode": "a", "billAmount": 0}], (("a", 0), ("a", 0))),
        ([{"feeItemCode": "a", "billAmount": 0}] * 500, (("a", 0),) * 100),
    ],
)  # fmt: skip
def test_items_that_cannot_be_read_are_left_out(
    details: object, expected: tuple[tuple[str, int], ...]
) -> None:
    body = {"ratingResponses": {"billAmount": "0.5", "ratingDetails": details}}

    receipt = billed(read(adapter(), body))

    assert (receipt.nano_usd, receipt.breakdown) == (500_000_000, expected)


@given(JSON)
def test_it_never_raises(body: object) -> None:
    for each in (adapter(), subscribed()):
        assert makes_sense(read(each, body))
        assert makes_sense(read(each, rated(body)))
        assert makes_sense(read(each, rated(1, nativeTokens=body, generationId=body)))
