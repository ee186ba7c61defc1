"""Model lists as each provider has them, prices included where it tells them."""

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from proxy.simulator.answers import encode
from proxy.simulator.models import MODELS, Model
from proxy.simulator.paths import Flavour
from proxy.simulator.prices import MICRO_PER_DOLLAR, Bound, Tier

_CREATED: Final = 1_790_000_000
_UNITS: Final = {"web_search": "perCount"}


@lru_cache(maxsize=64)
def model_list(flavour: Flavour, dialect: str) -> bytes:
    """The body of a model list."""
    models = [model for model in MODELS if model.venice == (flavour == Flavour.VENICE)]
    match flavour:
        case Flavour.VENICE:
            return encode({"object": "list", "type": "text", "data": [_venice(m) for m in models]})
        case Flavour.AGIPOWER if dialect == "generate_content":
            return encode(
                {"models": [_vertex(model) | {"pricings": _pricings(model)} for model in models]}
            )
        case Flavour.AGIPOWER:
            return encode({"object": "list", "data": [_agipower(model) for model in models]})
        case Flavour.OPENROUTER:
            return encode({"data": [_openrouter(model) for model in models]})
        case Flavour.VERCEL:
            return encode({"object": "list", "data": [_vercel(model) for model in models]})
        case _:
            return _vendor_list(flavour, dialect, models)


def _vendor_list(flavour: Flavour, dialect: str, models: list[Model]) -> bytes:
    """The makers' own lists name their own models and no prices."""
    own = [model for model in models if model.owner == flavour.value]
    if flavour == Flavour.GOOGLE or dialect == "generate_content":
        return encode({"models": [_vertex(model) for model in own]})
    if flavour == Flavour.ANTHROPIC:
        claudes = [
            {
                "type": "model",
                "id": model.bare.replace(".", "-"),
                "display_name": model.name,
                "created_at": "2026-06-01T00:00:00Z",
            }
            for model in own
        ]
        return encode({"data": claudes, "has_more": False, "first_id": None, "last_id": None})
    data = [
        {"id": model.bare, "object": "model", "created": _CREATED, "owned_by": model.owner}
        for model in own
    ]
    return encode({"object": "list", "data": data})


def _usd(micro_usd: int) -> int | Decimal:
    """A price as JSON has it: `3`, `0.15`, and never `3E+1`."""
    whole, rest = divmod(micro_usd, MICRO_PER_DOLLAR)
    return (Decimal(micro_usd) / MICRO_PER_DOLLAR).normalize() if rest else whole


def _tier(tier: Tier, unit: str) -> dict[str, Any]:
    row: dict[str, Any] = {"value": _usd(tier.micro_usd), "unit": unit, "currency": "USD"}
    conditions = {"prompt_tokens": tier.prompt, "completion_tokens": tier.completion}
    named = {
        name: {"unit": "kTokens", **_limits(bound)} for name, bound in conditions.items() if bound
    }
    return row | {"conditions": named} if named else row


def _limits(bound: Bound) -> dict[str, float]:
    limits = {name: getattr(bound, name) for name in ("gte", "gt", "lt", "lte")}
    return {name: value for name, value in limits.items() if value is not None}


def _pricings(model: Model) -> dict[str, Any]:
    if model.unpriced:
        return {}
    return {
        code: [_tier(tier, _UNITS.get(code, "perMTokens")) for tier in tiers]
        for code, tiers in model.prices.items()
    }


def _agipower(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "display_name": model.name,
        "created": _CREATED,
        "owned_by": model.owner,
        "input_modalities": ["text"],
        "output_modalities": ["embeddings" if model.embeddings else "text"],
        "capabilities": {"reasoning": model.reasoning},
        "context_length": model.context,
        "pricings": _pricings(model),
    }


def _vertex(model: Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.id if '/' in model.id and model.owner != 'google' else model.bare}",
        "displayName": model.name,
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.output,
        "thinking": model.reasoning,
    }


def _both(micro_usd: int) -> dict[str, int | Decimal]:
    """Venice asks the same in dollars and in DIEM."""
    return {"usd": _usd(micro_usd), "diem": _usd(micro_usd)}


_VENICE_NAMES: Final = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_input",
    "input_cache_write": "cache_write",
}


def _venice(model: Model) -> dict[str, Any]:
    pricing: dict[str, Any] = {}
    extended: dict[str, Any] = {}
    for code, tiers in model.prices.items():
        name = _VENICE_NAMES.get(code)
        if name is None:
            continue
        pricing[name] = _both(tiers[0].micro_usd)
        if len(tiers) > 1 and (bound := tiers[-1].prompt) and bound.gt:
            extended["context_token_threshold"] = int(bound.gt * 1_000)
            extended[name] = _both(tiers[-1].micro_usd)
    if extended:
        pricing["extended"] = extended
    return {
        "id": model.id,
        "object": "model",
        "type": "embedding" if model.embeddings else "text",
        "created": _CREATED,
        "owned_by": "venice.ai",
        "model_spec": {
            "name": model.name,
            "availableContextTokens": model.context,
            "maxCompletionTokens": model.output,
            "capabilities": {"supportsReasoning": model.reasoning},
            "pricing": pricing,
        },
    }


def _per_token(model: Model, code: str) -> str:
    tiers = model.prices.get(code)
    return _decimal(tiers[0].micro_usd) if tiers else "0"


def _decimal(micro_usd: int) -> str:
    """Dollars for one token, as a string without an exponent."""
    return format((Decimal(micro_usd) / MICRO_PER_DOLLAR**2).normalize(), "f")


def _openrouter(model: Model) -> dict[str, Any]:
    pricing = {
        "prompt": _per_token(model, "prompt"),
        "completion": _per_token(model, "completion"),
        "input_cache_read": _per_token(model, "input_cache_read"),
        "request": "0",
    }
    return {
        "id": model.id,
        "name": model.name,
        "created": _CREATED,
        "context_length": model.context,
        "top_provider": {"context_length": model.context, "max_completion_tokens": model.output},
        "pricing": pricing,
    }


def _vercel(model: Model) -> dict[str, Any]:
    pricing = {
        "input": _per_token(model, "prompt"),
        "output": _per_token(model, "completion"),
        "input_cache_read": _per_token(model, "input_cache_read"),
    }
    return {
        "id": model.id,
        "object": "model",
        "created": _CREATED,
        "owned_by": model.owner,
        "name": model.name,
        "context_window": model.context,
        "max_tokens": model.output,
        "type": "embedding" if model.embeddings else "language",
        "pricing": pricing,
    }
