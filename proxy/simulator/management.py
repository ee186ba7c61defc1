"""AGIPower's management endpoints: subscription, Flow rate, balance, cost and usage."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from proxy.simulator.account import NANO, FlowWindow
from proxy.simulator.arrivals import Arrival
from proxy.simulator.keys import KeyKind, key_id
from proxy.simulator.prices import PICO_PER_NANO, usd
from proxy.simulator.provider import Provider
from proxy.simulator.replies import refusal, success
from proxy.simulator.truth import Call

_EXPIRES_AT: Final = "2027-04-12T08:26:56.000Z"
#: What a bucket of the next finer grain is called, by the dimension that is asked for.
_GRAINS: Final = {
    "BIZ_MTH": ("%Y%m", "%Y%m%d"),
    "BIZ_DT": ("%Y%m%d", "%Y%m%d%H"),
    "BIZ_HOUR": ("%Y%m%d%H", "%Y%m%d%H%M"),
}
_TEN_DECIMALS: Final = Decimal("0.0000000001")


def _refuse(provider: Provider, arrival: Arrival) -> web.Response | None:
    """What all of them refuse: other kinds of keys, and too many requests."""
    if arrival.key_kind != KeyKind.MANAGEMENT:
        return refusal(arrival, 403, "A management API key is required.", type_="access_denied")
    if provider.account.management_is_limited():
        return refusal(arrival, 422, "Rate limit exceeded.", type_="rate_limit")
    return None


def _flows(nano_flows: int) -> float:
    return round(nano_flows / NANO, 6)


def _quota(provider: Provider, window: FlowWindow) -> dict[str, Any]:
    window.roll(provider.clock())
    rate = provider.account.base_nano_usd_per_flow
    used = min(window.used_nano_flows, window.max_nano_flows)
    resets_at = window.resets_at
    return {
        "usage_percentage": round(used / window.max_nano_flows, 4) if window.max_nano_flows else 1,
        "resets_at": None if resets_at is None else _stamp(resets_at),
        "max_flows": _flows(window.max_nano_flows),
        "used_flows": _flows(used),
        "remaining_flows": _flows(window.max_nano_flows - used),
        "used_value_usd": round(used * rate / NANO / NANO, 2),
        "max_value_usd": round(window.max_nano_flows * rate / NANO / NANO, 2),
    }


def _stamp(seconds: float) -> str:
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


async def subscription_detail(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """The plan and its three quotas; the monthly one tells its limits alone."""
    if no := _refuse(provider, arrival):
        return no
    account = provider.account
    month = _quota(provider, account.month)
    return success(
        {
            "plan": {
                "tier": "ultra",
                "amount_usd": 200,
                "interval": "month",
                "expires_at": _EXPIRES_AT,
            },
            **_rates(provider),
            "account_status": account.status,
            "quota_5_hour": _quota(provider, account.five_hours),
            "quota_7_day": _quota(provider, account.seven_days),
            "quota_monthly": {name: month[name] for name in ("max_flows", "max_value_usd")},
        }
    )


def _rates(provider: Provider) -> dict[str, Any]:
    account = provider.account
    return {
        "currency": "usd",
        "base_usd_per_flow": usd(account.base_nano_usd_per_flow),
        "effective_usd_per_flow": usd(account.effective_nano_usd_per_flow),
    }


async def flow_rate(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """What a Flow is worth."""
    return _refuse(provider, arrival) or success(_rates(provider))


async def payg_balance(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """The credits that are left, of which the bonus is spent first."""
    if no := _refuse(provider, arrival):
        return no
    account = provider.account
    bonus = max(0, account.bonus_nano_usd - account.spent_nano_usd)
    total = account.remaining_nano_usd
    return success(
        {
            "currency": "usd",
            "total_credits": usd(total),
            "top_up_credits": usd(total - bonus),
            "bonus_credits": usd(bonus),
        }
    )


async def cost(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """The account's money by model, key and token type; decimal strings throughout."""
    picked = _pick(provider, arrival)
    if isinstance(picked, web.Response):
        return picked
    calls, bucket = picked
    total = sum(_charged(call) for call in calls)
    tokens = sum(call.usage.total for call in calls)
    by_type = _by_token_type(calls, bucket)
    money = Counter[str]()
    for (_, token_type), nano_usd in by_type.items():
        money["input" if "input" in token_type or token_type == "prompt" else token_type] += (
            nano_usd
        )
    summary = {
        "totalCost": _decimal(total),
        "inputCost": _decimal(money["input"]),
        "outputCost": _decimal(money["completion"]),
        "otherCost": _decimal(total - money["input"] - money["completion"]),
        "requestCounts": str(len(calls)),
        "requestAvgCost": _decimal(total // len(calls)) if calls else None,
        "totalTokens": str(tokens),
        "millionTokenAvgCost": _decimal(total * 1_000_000 // tokens) if tokens else None,
    }
    analysis = {
        "costByModel": _grouped(calls, bucket, "modelSlug", lambda call: call.answered_model),
        "costByApiKey": _grouped(calls, bucket, "apiKeyId", lambda call: key_id(call.key)),
        "costByTokenType": [
            _row(time, tokenType=token_type, billAmount=_decimal(nano_usd))
            for (time, token_type), nano_usd in sorted(by_type.items())
        ],
    }
    return success({"summary": summary, "analysis": analysis})


async def usage(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """The account's tokens by model."""
    picked = _pick(provider, arrival)
    if isinstance(picked, web.Response):
        return picked
    calls, bucket = picked
    tokens = Counter[tuple[str, str]]()
    for call in calls:
        tokens[bucket(call), call.answered_model] += call.usage.total
    summary = {
        "totalTokens": str(sum(call.usage.total for call in calls)),
        "inputTokens": str(sum(call.usage.prompt for call in calls)),
        "outputTokens": str(sum(call.usage.completion for call in calls)),
        "requestCounts": str(len(calls)),
    }
    rows = [
        _row(time, modelSlug=slug, tokens=str(number))
        for (time, slug), number in sorted(tokens.items())
    ]
    return success({"summary": summary, "analysis": {"usageByModel": rows}})


def _pick(
    provider: Provider, arrival: Arrival
) -> tuple[list[Call], Callable[[Call], str]] | web.Response:
    """The calls that a query means, and the name of a call's time bucket."""
    query = arrival.request.query
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 401, "Missing Authorization header.", type_="access_denied")
    if no := _refuse_cost(provider, arrival):
        return no
    grain = _GRAINS.get(query.get("query_dimension", ""))
    if grain is None or not query.get("query_time"):
        return refusal(arrival, 400, "query_dimension and query_time are required.")
    whole, part = grain

    def bucket(call: Call) -> str:
        return datetime.fromtimestamp(call.at, UTC).strftime(part)

    def wanted(name: str, value: str) -> bool:
        chosen = query.get(name)
        return not chosen or value in chosen.split(",")

    calls = [
        call
        for call in provider.truth.calls
        if call.flavour == "agipower"
        and call.bill_type != "none"
        and datetime.fromtimestamp(call.at, UTC).strftime(whole) == query["query_time"]
        and wanted("model_slugs", call.answered_model)
        and wanted("api_key_ids", key_id(call.key))
        and wanted("bill_types", call.bill_type)
    ]
    return calls, bucket


def _refuse_cost(provider: Provider, arrival: Arrival) -> web.Response | None:
    """These two share a limit of their own, and say 429 where the others say 422."""
    if arrival.key_kind != KeyKind.MANAGEMENT:
        return refusal(arrival, 403, "A management API key is required.", type_="access_denied")
    if provider.account.cost_is_limited():
        return refusal(arrival, 429, "Too many requests.", headers={"retry-after": "60"})
    return None


def _charged(call: Call) -> int:
    """For a subscription the cost is a reference price and no charge."""
    return call.listed_nano_usd if call.bill_type == "subscription" else call.billed_nano_usd


def _decimal(nano_usd: int) -> str:
    return format(usd(nano_usd).quantize(_TEN_DECIMALS), "f")


def _row(biz_time: str, **fields: str) -> dict[str, str | None]:
    row: dict[str, str | None] = {
        "bizTime": biz_time,
        "modelSlug": None,
        "tokenType": None,
        "apiKeyId": None,
        "requestCounts": None,
    }
    return row | fields


def _grouped(
    calls: Iterable[Call], bucket: Callable[[Call], str], field: str, name: Callable[[Call], str]
) -> list[dict[str, str | None]]:
    money = Counter[tuple[str, str]]()
    requests = Counter[tuple[str, str]]()
    for call in calls:
        group = bucket(call), name(call)
        money[group] += _charged(call)
        requests[group] += 1
    return [
        _row(
            time,
            **{field: label},
            billAmount=_decimal(money[time, label]),
            requestCounts=str(requests[time, label]),
        )
        for time, label in sorted(money)
    ]


def _by_token_type(
    calls: Iterable[Call], bucket: Callable[[Call], str]
) -> Counter[tuple[str, str]]:
    """The same money by token type, rounded down where a bill was not at list price."""
    money = Counter[tuple[str, str]]()
    for call in calls:
        listed = call.listed_nano_usd * PICO_PER_NANO
        for item in call.items:
            if listed:
                money[bucket(call), item.code] += _charged(call) * item.pico_usd // listed
    return money
