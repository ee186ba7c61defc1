"""Receipts in OpenRouter's form, whoever sends them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from policies.usage import Usage
from proxy.receipts.adapters.generations import Generations
from proxy.receipts.receipt import Final, SlowDown, UnknownId
from tests.proxy.receipts.adapters.configured import (
    JSON,
    Configured,
    billed,
    makes_sense,
    pending,
    read,
    set_aside,
)

COUNTED = {"native_tokens_prompt": 3, "native_tokens_completion": 5}


def adapter(**fields: Any) -> Generations:
    return Generations(Configured(**fields), id_prefix="gen-")


@pytest.mark.parametrize("base_url", ["https://a.example/api", "https://a.example/api/v1/"])
def test_it_is_asked_with_the_key(base_url: str) -> None:
    (target,) = adapter(base_url=base_url, api_key="k").targets("gen-1 2")

    assert f"{target.method} {target.url}" == (
        "GET https://a.example/api/v1/generation?id=gen-1%202"
    )
    assert dict(target.headers)["Authorization"] == "Bearer k"


def test_a_host_may_have_a_path_of_its_own() -> None:
    (target,) = adapter(paths={"generation": "/v2/{generation_id}"}).targets("gen-1")

    assert str(target.url) == "https://provider.example/v2/gen-1"
    with pytest.raises(ValueError, match="path 'generation'"):
        adapter(paths={"generation": "/v2"})


def test_it_bills_calls_by_itself_and_not_at_once() -> None:
    assert adapter().never is None
    assert adapter().at_once({"certainty": "exact", "reported_cost": {"USD": "1"}}) is None


@pytest.mark.parametrize(
    ("fields", "nano_usd"),
    [
        ({"total_cost": 0.0015, "usage": 9}, 1_500_000),
        ({"total_cost": None, "usage": "0.002"}, 2_000_000),
        ({"usage": 6e-07}, 600),
        ({"total_cost": 0}, 0),
    ],
)
def test_the_total_cost_is_the_bill(fields: dict[str, Any], nano_usd: int) -> None:
    body = {"data": {"id": "gen-1", **COUNTED, **fields}}

    assert read(adapter(), body, "gen-1") == Final(
        nano_usd=nano_usd,
        usage=Usage(input_tokens=3, output_tokens=5),
        generation_id="gen-1",
    )


@pytest.mark.parametrize("data", [None, {}, {"total_cost": None, **COUNTED}])
def test_without_a_cost_it_is_asked_again(data: object) -> None:
    pending(read(adapter(), {"data": data}))


@pytest.mark.parametrize("cost", [-0.1, "-1", True, "x", [], 1e30, "NaN"])
def test_a_cost_that_cannot_be_is_set_aside(cost: object) -> None:
    assert "total_cost" in set_aside(read(adapter(), {"data": {"total_cost": cost}}))


@pytest.mark.parametrize("body", ["<html>", "[]", '{"data": []}', "", "[" * 100_000])
def test_an_answer_that_makes_no_sense_is_set_aside(body: str) -> None:
    set_aside(read(adapter(), body))


def test_statuses() -> None:
    unknown = {"error": {"code": 404, "message": "Resource not found"}}

    assert read(adapter(), unknown, status=404) == UnknownId()
    assert read(adapter(), b"", status=429, headers={"retry-after": "2"}) == SlowDown(2_000)
    assert set_aside(read(adapter(), b"", status=401)).endswith("check api_key")
    for status in (402, 422, 500, 502, 524, 529):
        assert str(status) in pending(read(adapter(), b"", status=status))


def test_another_calls_receipt_is_set_aside() -> None:
    body = {"data": {"id": "gen-2", "total_cost": 1}}

    assert "another call's id" in set_aside(read(adapter(), body, "gen-1", "chatcmpl-1"))
    assert billed(read(adapter(), body, "chatcmpl-1", "gen-2")).generation_id == "chatcmpl-1"
    assert billed(read(adapter(), body, "chatcmpl-1")).nano_usd == 1_000_000_000


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        (
            {
                "tokens_prompt": 1_000,
                "native_tokens_prompt": 10,
                "native_tokens_completion": 25,
                "native_tokens_reasoning": 5,
                "native_tokens_cached": 3,
            },
            Usage(input_tokens=7, cache_read_tokens=3, output_tokens=25, reasoning_tokens=5),
        ),
        (
            {
                "native_tokens_prompt": 100,
                "native_tokens_cache_creation": 40,
                "billable_web_search_calls": 2,
            },
            Usage(input_tokens=60, cache_write_5m_tokens=40, web_searches=2),
        ),
        ({"native_tokens_prompt": 3, "native_tokens_cached": None}, Usage(input_tokens=3)),
        ({"tokens_prompt": 1_000}, None),
        ({"native_tokens_prompt": -1}, None),
        ({"native_tokens_prompt": 3, "native_tokens_cached": "x"}, None),
        ({"native_tokens_prompt": 0, "native_tokens_completion": 0}, None),
    ],
)
def test_what_is_billed_is_counted(counted: dict[str, Any], usage: Usage | None) -> None:
    assert billed(read(adapter(), {"data": {"total_cost": 1, **counted}})).usage == usage


@given(JSON)
def test_it_never_raises(body: object) -> None:
    assert makes_sense(read(adapter(), body))
    assert makes_sense(read(adapter(), {"data": {"total_cost": body, "id": body}}))
    assert makes_sense(read(adapter(), {"total_cost": 1, "native_tokens_prompt": body}))
