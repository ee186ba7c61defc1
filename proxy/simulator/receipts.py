"""What a call cost, looked up by its generation id: AGIPower in stages, OpenRouter, Vercel."""

from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from proxy.simulator.arrivals import Arrival
from proxy.simulator.keys import KeyKind
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import shares, usd
from proxy.simulator.provider import Provider
from proxy.simulator.replies import refusal, reply
from proxy.simulator.truth import Call

_API_NAMES: Final = {
    "chat_completions": "chat.completions",
    "generate_content": "generateContent",
}
_FIRST_TOKEN_MS: Final = 500
_GENERATION_MS: Final = 3_200


async def look_up(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`GET …/generation?id=`."""
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 403, "You have no permission: an API key is required.")
    if arrival.flavour == Flavour.AGIPOWER and provider.account.management_is_limited():
        return refusal(arrival, 422, "Rate limit exceeded.", type_="rate_limit")
    generation_id = arrival.request.query.get("id", "")
    if not generation_id:
        return refusal(arrival, 400, "Missing query parameter: id.")
    call = provider.truth.find(generation_id)
    if call is None or call.flavour != arrival.flavour or not _is_there(call, generation_id):
        return refusal(arrival, 404, f"Generation {generation_id} not found.", type_="not_found")
    now = provider.clock()
    is_known = call.billed_at is not None and now >= call.billed_at
    match arrival.flavour:
        case Flavour.AGIPOWER:
            return _agipower(call, is_billed=is_known and arrival.key_kind != KeyKind.SUBSCRIPTION)
        case Flavour.OPENROUTER | Flavour.VERCEL if is_known:
            body = _openrouter(call) if arrival.flavour == Flavour.OPENROUTER else _vercel(call)
            return reply({"data": body})
        case _:
            return refusal(arrival, 404, "Resource not found")


def _is_there(call: Call, generation_id: str) -> bool:
    """Count a look-up; false while the record does not exist, or is not found by such an id."""
    call.receipt_lookups += 1
    if call.finished_at is None or call.receipt_lookups <= call.scenario.not_found_first:
        return False
    place = call.id_places[call.generation_ids.index(generation_id)]
    return call.scenario.receipt_by in {"any", place}


def _stamp(seconds: float) -> str:
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _native_tokens(call: Call) -> dict[str, Any]:
    """The metered tokens, in the shape of Chat Completions whatever the dialect was."""
    usage = call.usage
    details = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        details["ephemeral_5m_input_tokens"] = usage.cache_write_5m
        details["ephemeral_1h_input_tokens"] = usage.cache_write_1h
    return {
        "completion_tokens": usage.completion,
        "prompt_tokens": usage.prompt,
        "total_tokens": usage.total,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        "prompt_tokens_details": details,
    }


def _agipower(call: Call, *, is_billed: bool) -> web.Response:
    scenario = call.scenario
    if not is_billed and scenario.unbilled_receipt == "refused":
        return reply({"success": False, "message": "Billing is not ready yet."})
    receipt: dict[str, Any] = {
        "api": _API_NAMES.get(call.dialect, call.dialect),
        "generationId": call.generation_ids[0],
        "model": call.answered_model,
        "createAt": _stamp(call.at),
        "generationTime": _GENERATION_MS,
        "latency": _FIRST_TOKEN_MS,
        "nativeTokens": _native_tokens(call),
        "streamed": call.streamed,
        "finishReason": call.finish,
        "requestRetryTimes": 0,
        "finalRetry": False,
    }
    if is_billed:
        receipt |= {"usage": usd(call.billed_nano_usd), "ratingResponses": _rating(call)}
    elif scenario.unbilled_receipt == "null":
        receipt |= {"usage": None, "ratingResponses": None}
    elif scenario.unbilled_receipt == "zero":
        receipt["usage"] = 0
    if "old_receipt" in scenario.quirks:
        receipt = _as_of_january(receipt)
    if "wrapped_receipt" in scenario.quirks:
        return reply({"success": True, "data": receipt})
    return reply(receipt)


def _rating(call: Call) -> dict[str, Any]:
    """The bill, item by item; a discount is what the bill is below the list."""
    origin = max(call.listed_nano_usd, call.billed_nano_usd)
    items = [item for item in call.items if item.pico_usd] or list(call.items[:1])
    details = []
    for item, billed, listed in zip(
        items, shares(items, call.billed_nano_usd), shares(items, origin), strict=True
    ):
        # The documents' own sample gives the rate of one token, its console that of a million.
        divisor = 1 if item.code == "web_search" else 1_000_000
        details.append(
            {
                "billAmount": usd(billed),
                "discountAmount": usd(listed - billed),
                "feeItemCode": item.code,
                "originAmount": usd(listed),
                "rate": item.micro_usd / 1_000_000 / divisor,
            }
        )
    return {
        "billAmount": usd(call.billed_nano_usd),
        "discountAmount": usd(origin - call.billed_nano_usd),
        "originAmount": usd(origin),
        "priceVersion": "v1",
        "ratingDetails": details,
    }


#: The names of January 2026, which some hosts may still send.
_OLD_NAMES: Final = {
    "generationId": "generation_id",
    "createAt": "created_at",
    "generationTime": "generation_time",
    "nativeTokens": "native_tokens",
    "finishReason": "finish_reason",
}


def _as_of_january(receipt: dict[str, Any]) -> dict[str, Any]:
    """Snake case, and money as strings."""
    old = {_OLD_NAMES.get(name, name): value for name, value in receipt.items()}
    if old.get("usage"):
        old["usage"] = format(old["usage"], "f")
    if rating := old.get("ratingResponses"):
        old["ratingResponses"] = rating | {"billAmount": format(rating["billAmount"], "f")}
    return old


def _neighbours_receipt(call: Call) -> dict[str, Any]:
    """What OpenRouter and Vercel have in common."""
    usage = call.usage
    return {
        "id": call.generation_ids[0],
        "total_cost": usd(call.billed_nano_usd),
        "usage": usd(call.billed_nano_usd),
        "upstream_inference_cost": usd(call.listed_nano_usd),
        "created_at": _stamp(call.at),
        "model": call.answered_model,
        "is_byok": False,
        "provider_name": "Simulated",
        "streamed": call.streamed,
        "finish_reason": call.finish,
        "latency": _FIRST_TOKEN_MS,
        "generation_time": _GENERATION_MS,
        "native_tokens_prompt": usage.prompt,
        "native_tokens_completion": usage.completion,
        "native_tokens_reasoning": usage.reasoning,
        "native_tokens_cached": usage.cache_read,
    }


def _openrouter(call: Call) -> dict[str, Any]:
    return _neighbours_receipt(call) | {
        "api_type": "completions",
        "upstream_id": f"chatcmpl-{call.body_id[-12:]}",
        "cache_discount": None,
        "tokens_prompt": call.usage.prompt,
        "tokens_completion": call.usage.completion,
        "cancelled": call.client_left,
        "num_search_results": call.usage.web_searches,
        "origin": "",
        "router": None,
    }


def _vercel(call: Call) -> dict[str, Any]:
    return _neighbours_receipt(call) | {
        "native_tokens_cache_creation": call.usage.cache_write,
        "billable_web_search_calls": call.usage.web_searches,
    }
