"""Usage in parts that do not overlap."""

from __future__ import annotations

import pytest

from policies.usage import AtLeast, Exact, ReportedCost, Unknown, Usage, UsageLine

USAGE = Usage(
    input_tokens=1,
    cache_read_tokens=20,
    cache_write_5m_tokens=300,
    cache_write_1h_tokens=4_000,
    audio_input_tokens=50_000,
    output_tokens=600_000,
    reasoning_tokens=500_000,
    audio_output_tokens=7_000_000,
    web_searches=9,
)


def test_the_input_is_the_sum_of_its_parts() -> None:
    assert USAGE.total_input_tokens == 54_321


def test_reasoning_is_a_part_of_the_output_and_is_not_counted_twice() -> None:
    assert USAGE.total_output_tokens == 7_600_000


def test_nothing_was_used_unless_it_is_said() -> None:
    assert (Usage().total_input_tokens, Usage().total_output_tokens) == (0, 0)


@pytest.mark.parametrize(("least", "expected"), [(0, 15), (15, 15), (16, 16), (100, 100)])
def test_a_cut_answer_is_counted_at_what_was_seen(least: int, expected: int) -> None:
    usage = Usage(input_tokens=3, output_tokens=10, audio_output_tokens=5)

    raised = usage.with_output_at_least(least)

    assert raised.total_output_tokens == expected
    assert raised.audio_output_tokens == 5
    assert raised.total_input_tokens == 3


def test_what_is_known_of_a_usage_is_part_of_it() -> None:
    line = UsageLine(usage=USAGE)

    assert line.model is None
    assert Exact((line,)).lines == AtLeast((line,)).lines == (line,)
    assert Unknown() == Unknown()


def test_a_reported_cost_is_empty_until_something_is_reported() -> None:
    assert ReportedCost().amounts == {}
