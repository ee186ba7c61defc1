"""What of the configuration an adapter is made from, and bodies as a provider sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from policies.money import EXACT_MAX
from proxy.receipts.receipt import (
    Final,
    Never,
    Pending,
    ReceiptAdapter,
    Result,
    SetAside,
    SlowDown,
    UnknownId,
)


@dataclass(frozen=True, kw_only=True)
class Configured:
    """One provider of the configuration."""

    kind: str = "agipower"
    base_url: str = "https://provider.example"
    api_key: str = "sk-ai-v1-own"
    management_key: str = ""
    billing_key: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def read(
    adapter: ReceiptAdapter,
    body: object,
    *generation_ids: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Result:
    """Return what an adapter makes of an answer; a body is bytes, JSON text, or what JSON stands for."""
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return adapter.read(generation_ids or ("asked",), status, headers or {}, raw)


def billed(result: Result) -> Final:
    """Return a receipt that must be one."""
    assert isinstance(result, Final), result
    return result


def set_aside(result: Result) -> str:
    """Return why nothing may be booked."""
    assert isinstance(result, SetAside), result
    return result.reason


def pending(result: Result) -> str:
    """Return why there is no receipt yet."""
    assert isinstance(result, Pending), result
    return result.reason


def makes_sense(result: object) -> bool:
    """Tell whether a result is one, and books nothing that no counter could hold."""
    if isinstance(result, Final):
        amounts = [result.nano_usd, *result.credits.values(), *(n for _, n in result.breakdown)]
        parts = (
            [getattr(result.usage, name) for name in result.usage.__dataclass_fields__]
            if (result.usage)
            else []
        )
        return all(type(n) is int and 0 <= n <= EXACT_MAX for n in (*amounts, *parts))
    return isinstance(result, Never | Pending | SetAside | SlowDown | UnknownId)


#: Names that mean something, so that random bodies come as far as possible into an adapter.
NAMES = st.sampled_from(
    [
        "data",
        "success",
        "error",
        "code",
        "message",
        "id",
        "generationId",
        "generation_id",
        "nativeTokens",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "total_tokens",
        "usage",
        "ratingResponses",
        "ratingDetails",
        "feeItemCode",
        "billAmount",
        "total_cost",
        "native_tokens_prompt",
        "native_tokens_completion",
        "reported_cost",
        "USD",
        "DIEM",
        "cut",
        "certainty",
        "generation_ids",
    ]
)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["asked", "0.0052", "-1", "6e-7", "1e999", "NaN", "404", "\ud800"]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
