"""OpenAI's numbers, and those of its imitators, become disjoint parts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from policies.usage import Usage, UsageLine
from proxy.dialects.counts import ABSENT
from proxy.dialects.openai_usage import chat_lines, response_lines


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def chat(**usage: object) -> Usage | None:
    lines = chat_lines(raw(usage))
    return lines[0].usage if lines else None


def response(
    usage: object, tool_usage: object = None, searches: int = 0
) -> tuple[UsageLine, ...] | None:
    tools = ABSENT if tool_usage is None else raw(tool_usage)
    return response_lines(raw(usage), tools, search_calls=searches, picture_model="draws")


def test_details_are_parts_of_the_whole() -> None:
    assert chat(
        prompt_tokens=100,
        completion_tokens=50,
        prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 5},
        completion_tokens_details={"reasoning_tokens": 30, "audio_tokens": 4},
    ) == Usage(
        input_tokens=25,
        cache_read_tokens=60,
        cache_write_5m_tokens=10,
        audio_input_tokens=5,
        output_tokens=46,
        reasoning_tokens=30,
        audio_output_tokens=4,
    )


def test_more_cached_than_prompted_means_that_the_prompt_leaves_it_out() -> None:
    assert chat(
        prompt_tokens=10, completion_tokens=1, prompt_tokens_details={"cached_tokens": 60}
    ) == Usage(input_tokens=10, cache_read_tokens=60, output_tokens=1)


def test_audio_that_was_cached_is_not_counted_twice() -> None:
    assert chat(
        prompt_tokens=100, prompt_tokens_details={"cached_tokens": 90, "audio_tokens": 50}
    ) == Usage(cache_read_tokens=90, audio_input_tokens=10)


@pytest.mark.parametrize(
    ("total", "reasoning", "output"), [(130, 20, 30), (110, 5, 10), (None, 20, 30), (110, 10, 10)]
)
def test_reasoning_may_be_counted_beside_the_completion(
    total: int | None, reasoning: int, output: int
) -> None:
    usage = chat(
        prompt_tokens=100,
        completion_tokens=10,
        total_tokens=total,
        completion_tokens_details={"reasoning_tokens": reasoning},
    )

    assert usage == Usage(input_tokens=100, output_tokens=output, reasoning_tokens=reasoning)


def test_deepseek_names_its_cache_in_its_own_way() -> None:
    assert chat(prompt_tokens=10, completion_tokens=1, prompt_cache_hit_tokens=4) == Usage(
        input_tokens=6, cache_read_tokens=4, output_tokens=1
    )


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"total_tokens": 9},
        {"prompt_tokens": -1},
        {"prompt_tokens": 1.5},
        {"prompt_tokens": "9"},
        {"prompt_tokens": 9, "completion_tokens": 2**41},
        {"prompt_tokens": 9, "prompt_tokens_details": []},
        {"input_tokens": 9, "output_tokens": 9},
    ],
)
def test_usage_that_cannot_be_believed_is_none(usage: dict[str, Any]) -> None:
    assert chat(**usage) is None


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": 9}, {"input_tokens": -1}, [], 3])
def test_a_response_s_usage_that_cannot_be_believed_is_none(usage: object) -> None:
    assert response(usage) is None
    assert response({"input_tokens": 9}, tool_usage={"web_search": 3}) is None


@pytest.mark.parametrize(
    ("tool_usage", "detail", "shown", "searches"),
    [
        ({"web_search": {"num_requests": 2}}, 7, 9, 2),
        ({"web_search": {"num_requests": 0}}, 7, 9, 0),
        ({"web_search": None}, 7, 9, 7),
        (None, None, 9, 9),
        ({}, None, 0, 0),
    ],
)
def test_searches_are_counted_where_they_are_told_best(
    tool_usage: object, detail: int | None, shown: int, searches: int
) -> None:
    usage = {"input_tokens": 9, "input_tokens_details": {"web_search": detail}}

    lines = response(usage, tool_usage, shown)

    assert lines == (UsageLine(usage=Usage(input_tokens=9, web_searches=searches)),)


def test_pictures_have_a_line_of_their_own() -> None:
    lines = response({"output_tokens": 9}, {"image_gen": {"output_tokens": 400}})

    assert lines == (
        UsageLine(usage=Usage(output_tokens=9)),
        UsageLine(model="draws", usage=Usage(output_tokens=400)),
    )
