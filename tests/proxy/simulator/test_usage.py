"""Usage in disjoint parts."""

from proxy.simulator.usage import NOTHING, Usage


def test_the_parts_add_up_to_prompt_completion_and_total() -> None:
    usage = Usage(
        input=1, cache_read=20, cache_write_5m=300, cache_write_1h=4_000, output=5, reasoning=60
    )

    assert (usage.prompt, usage.completion, usage.total) == (4_321, 65, 4_386)


def test_two_usages_add_up_part_by_part() -> None:
    one = Usage(input=1, cache_read=2, output=3, web_searches=4)

    assert one + one == Usage(input=2, cache_read=4, output=6, web_searches=8)
    assert one + NOTHING == one
