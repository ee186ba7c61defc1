"""Iterations are counted once each, at their own model."""

from __future__ import annotations

from typing import Any

import msgspec

from policies.usage import Usage, UsageLine
from proxy.dialects.anthropic_usage import MessageUsage, lines_of, numbers_of


def lines(**usage: object) -> tuple[UsageLine, ...]:
    counted = msgspec.convert(usage, MessageUsage)
    return lines_of(numbers_of(counted), counted.iterations or [])


def test_without_iterations_there_is_one_line() -> None:
    assert lines(
        input_tokens=12,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=20,
        cache_creation={"ephemeral_1h_input_tokens": 5},
        output_tokens=9,
        output_tokens_details={"thinking_tokens": 4},
    ) == (
        UsageLine(
            usage=Usage(
                input_tokens=12,
                cache_read_tokens=100,
                cache_write_5m_tokens=15,
                cache_write_1h_tokens=5,
                output_tokens=9,
                reasoning_tokens=4,
            )
        ),
    )


def test_nothing_at_all_is_one_line_of_zeros() -> None:
    assert lines() == (UsageLine(usage=Usage()),)


def test_message_iterations_are_the_message_s_own_numbers() -> None:
    iterations = [
        {"type": "message", "input_tokens": 10, "output_tokens": 2},
        {"type": "message", "input_tokens": 20, "output_tokens": 3},
    ]

    assert lines(input_tokens=30, output_tokens=5, iterations=iterations) == (
        UsageLine(usage=Usage(input_tokens=10, output_tokens=2)),
        UsageLine(usage=Usage(input_tokens=20, output_tokens=3)),
    )


def test_a_compaction_alone_comes_on_top() -> None:
    iterations = [{"type": "compaction", "input_tokens": 1000, "output_tokens": 30}]

    assert lines(input_tokens=30, output_tokens=5, iterations=iterations) == (
        UsageLine(usage=Usage(input_tokens=30, output_tokens=5)),
        UsageLine(usage=Usage(input_tokens=1000, output_tokens=30)),
    )


def test_a_fallback_s_hop_is_billed_at_its_model() -> None:
    iterations = [
        {"type": "message", "input_tokens": 10, "output_tokens": 1},
        {"type": "fallback_message", "model": "other", "input_tokens": 11, "output_tokens": 50},
    ]

    assert lines(input_tokens=11, output_tokens=50, iterations=iterations) == (
        UsageLine(usage=Usage(input_tokens=10, output_tokens=1)),
        UsageLine(model="other", usage=Usage(input_tokens=11, output_tokens=50)),
    )


def test_how_long_a_write_lives_is_told_by_the_message_and_counted_once() -> None:
    iterations = [{"type": "message", "input_tokens": 1, "cache_creation_input_tokens": 40}]
    usage: dict[str, Any] = {"input_tokens": 1, "cache_creation_input_tokens": 40}

    assert lines(
        **usage, cache_creation={"ephemeral_1h_input_tokens": 40}, iterations=iterations
    ) == (UsageLine(usage=Usage(input_tokens=1, cache_write_1h_tokens=40)),)
    assert lines(
        **usage, cache_creation={"ephemeral_5m_input_tokens": 40}, iterations=iterations
    ) == (UsageLine(usage=Usage(input_tokens=1, cache_write_5m_tokens=40)),)


def test_searches_are_told_by_the_message_alone() -> None:
    iterations = [{"type": "message", "input_tokens": 1}]

    assert lines(
        input_tokens=1, server_tool_use={"web_search_requests": 2}, iterations=iterations
    ) == (
        UsageLine(usage=Usage(web_searches=2)),
        UsageLine(usage=Usage(input_tokens=1)),
    )
