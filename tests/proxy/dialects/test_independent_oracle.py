"""Goal: usage agrees with what `genai_prices` reads from the same answers."""

from __future__ import annotations

import json
from typing import Any, Final

from genai_prices import Usage as TheirUsage
from genai_prices import extract_usage
from hypothesis import given
from hypothesis import strategies as st

from policies.usage import Exact, Usage
from proxy.dialects.interface import DialectName
from proxy.dialects.registry import DIALECTS

counts: Final = st.integers(0, 10**6)


def ours(name: DialectName, body: dict[str, Any]) -> Usage:
    meter = DIALECTS[name].meter(streamed=False, content_type="application/json", strip_usage=False)
    meter.feed(json.dumps(body).encode())
    metered = meter.finish().metered
    assert isinstance(metered, Exact)
    (line,) = metered.lines
    return line.usage


def agree(usage: Usage, theirs: TheirUsage) -> bool:
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return (
        usage.total_input_tokens == (theirs.input_tokens or 0)
        and usage.total_output_tokens == (theirs.output_tokens or 0)
        and usage.cache_read_tokens == (theirs.cache_read_tokens or 0)
        and written == (theirs.cache_write_tokens or 0)
    )


@given(uncached=counts, cached=counts, output=st.integers(1, 10**6), reasoning=counts)
def test_chat_completions(uncached: int, cached: int, output: int, reasoning: int) -> None:
    body = {
        "model": "gpt-5",
        "usage": {
            "prompt_tokens": uncached + cached,
            "completion_tokens": output + reasoning,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }
    theirs = extract_usage(body, provider_id="openai", api_flavor="chat")

    assert agree(ours("chat_completions", body), theirs.usage)


@given(uncached=counts, cached=counts, written=counts, output=st.integers(1, 10**6))
def test_responses(uncached: int, cached: int, written: int, output: int) -> None:
    body = {
        "model": "gpt-5",
        "status": "completed",
        "usage": {
            "input_tokens": uncached + cached + written,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": output,
        },
    }
    theirs = extract_usage(body, provider_id="openai", api_flavor="responses")

    assert agree(ours("responses", body), theirs.usage)


@given(uncached=counts, cached=counts, short=counts, long=counts, output=st.integers(1, 10**6))
def test_messages(uncached: int, cached: int, short: int, long: int, output: int) -> None:
    body = {
        "model": "claude-sonnet-4-5",
        "usage": {
            "input_tokens": uncached,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": short + long,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": long,
            },
            "output_tokens": output,
        },
    }
    theirs = extract_usage(body, provider_id="anthropic", api_flavor="default")

    assert agree(ours("messages", body), theirs.usage)


@given(uncached=counts, cached=counts, output=st.integers(1, 10**6), thoughts=counts)
def test_generate_content(uncached: int, cached: int, output: int, thoughts: int) -> None:
    body = {
        "modelVersion": "gemini-2.5-pro",
        "usageMetadata": {
            "promptTokenCount": uncached + cached,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": output,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": uncached + cached + output + thoughts,
        },
    }
    theirs = extract_usage(body, provider_id="google", api_flavor="default")

    assert agree(ours("generate_content", body), theirs.usage)


@given(tokens=st.integers(1, 10**6))
def test_embeddings(tokens: int) -> None:
    body = {
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    theirs = extract_usage(body, provider_id="openai", api_flavor="embeddings")

    assert agree(ours("embeddings", body), theirs.usage)
