"""OpenRouter's receipts, as its documents show them (facts: providers.md, 3.1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.usage import Usage
from proxy.receipts.adapters.openrouter import OpenRouter
from proxy.receipts.receipt import Final
from tests.proxy.receipts.adapters.configured import (
    JSON,
    NAMES,
    Configured,
    makes_sense,
    read,
    set_aside,
)

DOCUMENTED = """
{"data":{"id":"gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG","api_type":"completions",
 "model":"sao10k/l3-stheno-8b","provider_name":"Infermatic",
 "upstream_id":"chatcmpl-791bcf62-080e-4568-87d0-94c72e3b4946",
 "request_id":"req-1727282430-aBcDeFgHiJkLmNoPqRsT","created_at":"2024-07-15T23:33:19.433273+00:00",
 "total_cost":0.0015,"usage":0.0015,"upstream_inference_cost":0.0012,"cache_discount":null,
 "is_byok":false,"tokens_prompt":10,"tokens_completion":25,"native_tokens_prompt":10,
 "native_tokens_completion":25,"native_tokens_reasoning":5,"native_tokens_cached":3,
 "native_tokens_completion_images":0,"streamed":true,"cancelled":false,"finish_reason":"stop",
 "num_search_results":5,"router":"openrouter/auto","session_id":null}}
"""
ID = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"


def adapter() -> OpenRouter:
    return OpenRouter(Configured(kind="openrouter", base_url="https://openrouter.ai/api/v1"))


def outcome(cost: object, **more: Any) -> dict[str, Any]:
    return {"certainty": "exact", "reported_cost": cost, "generation_ids": [ID], **more}


def test_the_documented_receipt() -> None:
    assert read(adapter(), DOCUMENTED, ID) == Final(
        nano_usd=1_500_000,
        usage=Usage(input_tokens=7, cache_read_tokens=3, output_tokens=25, reasoning_tokens=5),
        generation_id=ID,
    )


def test_another_calls_receipt_is_set_aside() -> None:
    assert "another call's id" in set_aside(read(adapter(), DOCUMENTED, "gen-1"))


def test_it_is_asked_at_its_host() -> None:
    (target,) = adapter().targets(ID)

    assert str(target.url) == f"https://openrouter.ai/api/v1/generation?id={ID}"


def test_the_answers_own_cost_is_its_receipt() -> None:
    receipt = adapter().at_once(outcome({"USD": "0.0000000011"}))

    assert receipt == Final(nano_usd=2, generation_id=ID)


@pytest.mark.parametrize(
    "told",
    [
        outcome({"USD": "1"}, cut=True),
        outcome({"USD": "1"}, certainty="at_least"),
        outcome({"DIEM": "1"}),
        outcome({"USD": "-1"}),
        # As an amount it could be written, as money it cannot be counted.
        outcome({"USD": "9999999999"}),
        outcome(None),
        {},
    ],
    ids=str,
)
def test_what_was_cut_or_makes_no_sense_is_looked_up(told: dict[str, Any]) -> None:
    assert adapter().at_once(told) is None


@given(st.dictionaries(NAMES, JSON))
def test_it_never_raises(anything: dict[str, Any]) -> None:
    assert (receipt := adapter().at_once(anything)) is None or makes_sense(receipt)
