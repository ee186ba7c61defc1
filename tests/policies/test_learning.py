"""What calls usually come to, learned from those that have ended."""

from __future__ import annotations

from policies.learning import (
    CALLS_MAX,
    CALLS_MIN,
    CALLS_PER_REFRESH,
    INPUT_MARGIN_PERCENT,
    OUTPUT_MARGIN_PERCENT,
    QUANTILE_PERCENT,
    Learned,
    Learning,
    Likely,
)


def test_nothing_is_said_before_enough_calls_have_ended() -> None:
    learned = Learned()
    for _ in range(CALLS_MIN - 1):
        learned.observe(body_bytes=100, input_tokens=30, output_tokens=8)
    assert learned.likely(100) is None

    learned.observe(body_bytes=100, input_tokens=30, output_tokens=8)

    assert learned.likely(100) == Likely(
        input_tokens=_input(30), output_tokens=_output(8), calls=CALLS_MIN
    )


def test_input_is_learned_per_byte() -> None:
    learned = _after([(100, 30, 8)] * CALLS_MIN)

    likely = learned.likely(1_000)

    assert likely is not None
    assert likely.input_tokens == _input(300)


def test_the_quantile_leaves_out_no_more_than_its_share() -> None:
    outputs = range(1, CALLS_MAX + 1)
    learned = _after([(1, 1, output) for output in outputs] * 2)

    likely = learned.likely(1)

    assert likely is not None
    assert likely.calls == CALLS_MAX
    rank = -(-CALLS_MAX * QUANTILE_PERCENT // 100)
    assert likely.output_tokens == _output(rank)


def test_an_old_habit_is_forgotten() -> None:
    learned = _after([(10, 10, 5_000)] * CALLS_MAX + [(10, 10, 10)] * CALLS_MAX)
    # The last refresh may have seen the last few calls of the old habit.
    for _ in range(CALLS_PER_REFRESH):
        learned.observe(body_bytes=10, input_tokens=10, output_tokens=10)

    likely = learned.likely(10)

    assert likely is not None
    assert likely.output_tokens == _output(10)


def test_the_quantile_follows_within_a_refresh() -> None:
    learned = _after([(10, 10, 10)] * CALLS_MIN + [(10, 10, 1_000)] * CALLS_PER_REFRESH)

    likely = learned.likely(10)

    assert likely is not None
    assert likely.output_tokens == _output(1_000)


def test_an_empty_body_and_an_absurd_count_do_no_harm() -> None:
    learned = _after([(0, 10**30, 10**30)] * CALLS_MIN)

    likely = learned.likely(5)

    assert likely is not None
    assert likely.output_tokens == _output(2**63 - 1)


def test_the_same_calls_teach_the_same() -> None:
    calls = [(100 + number, number, number * 7 % 50) for number in range(300)]

    assert _after(calls).likely(123) == _after(calls).likely(123)


def test_each_team_and_model_learns_for_itself() -> None:
    learning = Learning()

    research = learning.of("research", "acme/mini")

    assert learning.of("research", "acme/mini") is research
    assert learning.of("support", "acme/mini") is not research
    assert learning.of("research", "acme/maxi") is not research


def test_the_pair_that_was_not_used_for_longest_is_forgotten() -> None:
    learning = Learning(pairs_max=2)
    first, second = learning.of("a", "m"), learning.of("b", "m")
    learning.of("a", "m")

    learning.of("c", "m")

    assert learning.of("a", "m") is first
    assert learning.of("b", "m") is not second


def _after(calls: list[tuple[int, int, int]]) -> Learned:
    learned = Learned()
    for body_bytes, input_tokens, output_tokens in calls:
        learned.observe(
            body_bytes=body_bytes, input_tokens=input_tokens, output_tokens=output_tokens
        )
    return learned


def _input(tokens: int) -> int:
    return -(-tokens * INPUT_MARGIN_PERCENT // 100)


def _output(tokens: int) -> int:
    return -(-tokens * OUTPUT_MARGIN_PERCENT // 100)
