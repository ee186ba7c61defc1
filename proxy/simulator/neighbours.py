"""What OpenRouter and Vercel say about the money that is left."""

from decimal import Decimal
from typing import Final

from aiohttp import web

from proxy.simulator.arrivals import Arrival
from proxy.simulator.keys import KeyKind
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import usd
from proxy.simulator.provider import Provider
from proxy.simulator.replies import refusal, reply

#: What each of the two accounts has bought.
_BOUGHT: Final = Decimal(1_000)


def _spent(provider: Provider, flavour: Flavour) -> Decimal:
    calls = provider.truth.calls
    return usd(sum(call.billed_nano_usd for call in calls if call.flavour == flavour))


async def balance(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """`/credits`: numbers in an envelope at OpenRouter, bare strings at Vercel."""
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 401, "No credentials")
    spent = _spent(provider, arrival.flavour)
    match arrival.flavour:
        case Flavour.OPENROUTER:
            return reply({"data": {"total_credits": _BOUGHT, "total_usage": spent}})
        case Flavour.VERCEL:
            left = format(_BOUGHT - spent, "f")
            return reply({"balance": left, "total_used": format(spent, "f")})
        case _:
            return refusal(arrival, 404, "Not found")


async def key(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """OpenRouter's `/key`: the limit of the key that asks."""
    if arrival.flavour != Flavour.OPENROUTER:
        return refusal(arrival, 404, "Not found")
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 401, "No credentials")
    spent = _spent(provider, arrival.flavour)
    return reply(
        {
            "data": {
                "label": "simulated",
                "limit": _BOUGHT,
                "limit_remaining": _BOUGHT - spent,
                "limit_reset": "monthly",
                "usage": spent,
                "usage_daily": spent,
                "usage_weekly": spent,
                "usage_monthly": spent,
                "is_free_tier": False,
            }
        }
    )
