"""Vercel's receipts, as its documents show them (facts: providers.md, 3.2)."""

from __future__ import annotations

from policies.usage import Usage
from proxy.receipts.adapters.vercel import Vercel
from proxy.receipts.receipt import Final
from tests.proxy.receipts.adapters.configured import Configured, pending, read, set_aside

DOCUMENTED = """
{"data":{"id":"gen_01ARZ3NDEKTSV4RRFFQ69G5FAV","total_cost":0.00123,
 "upstream_inference_cost":0.0011,"usage":0.00123,"created_at":"2024-01-01T00:00:00.000Z",
 "model":"gpt-4","is_byok":false,"provider_name":"openai","streamed":true,"finish_reason":"stop",
 "latency":200,"generation_time":1500,"native_tokens_prompt":100,"native_tokens_completion":50,
 "native_tokens_reasoning":0,"native_tokens_cached":0,"native_tokens_cache_creation":0,
 "billable_web_search_calls":0}}
"""
ID = "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def adapter() -> Vercel:
    return Vercel(Configured(kind="vercel", base_url="https://ai-gateway.vercel.sh/v1"))


def test_the_documented_receipt() -> None:
    assert read(adapter(), DOCUMENTED, ID) == Final(
        nano_usd=1_230_000,
        usage=Usage(input_tokens=100, output_tokens=50),
        generation_id=ID,
    )


def test_it_is_asked_at_its_host() -> None:
    (target,) = adapter().targets(ID)

    assert str(target.url) == f"https://ai-gateway.vercel.sh/v1/generation?id={ID}"


def test_another_calls_receipt_is_set_aside() -> None:
    assert "another call's id" in set_aside(read(adapter(), DOCUMENTED, "gen_1", "chatcmpl-1"))


def test_its_own_trouble_is_waited_out() -> None:
    body = {"error": {"message": "Failed to retrieve usage data", "type": "internal_server_error"}}

    pending(read(adapter(), body, ID, status=500))


def test_no_answer_is_a_receipt_at_once() -> None:
    assert adapter().at_once({"certainty": "exact", "reported_cost": {"USD": "1"}}) is None
