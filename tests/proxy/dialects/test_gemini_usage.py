"""Google's numbers become disjoint parts."""

from __future__ import annotations

import msgspec
import pytest

from policies.usage import Usage
from proxy.dialects.gemini_usage import Metadata


def metadata(**fields: object) -> Metadata:
    return msgspec.convert(fields, Metadata)


def usage(**fields: object) -> Usage:
    (line,) = metadata(**fields).lines(0)
    return line.usage


def test_thoughts_and_tools_come_on_top_and_caches_do_not() -> None:
    assert usage(
        promptTokenCount=100,
        cachedContentTokenCount=60,
        toolUsePromptTokenCount=7,
        candidatesTokenCount=5,
        thoughtsTokenCount=30,
        totalTokenCount=142,
    ) == Usage(input_tokens=47, cache_read_tokens=60, output_tokens=35, reasoning_tokens=30)


def test_what_only_the_total_counts_is_output() -> None:
    assert usage(promptTokenCount=5, candidatesTokenCount=10, totalTokenCount=115) == Usage(
        input_tokens=5, output_tokens=110
    )


def test_more_cached_than_prompted_means_that_the_prompt_leaves_it_out() -> None:
    assert usage(promptTokenCount=5, cachedContentTokenCount=9) == Usage(
        input_tokens=5, cache_read_tokens=9
    )


def test_the_live_api_has_another_name_for_its_candidates() -> None:
    assert usage(responseTokenCount=5) == Usage(output_tokens=5)


@pytest.mark.parametrize(
    ("prompt", "cache", "audio"), [(40, None, 40), (40, 15, 25), (15, 40, 0), (900, None, 100)]
)
def test_sound_is_counted_apart_and_never_beyond_the_whole(
    prompt: int, cache: int | None, audio: int
) -> None:
    details = {
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": prompt}, {"modality": "TEXT"}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": cache}],
    }

    assert usage(promptTokenCount=100, **details) == Usage(
        input_tokens=100 - audio, audio_input_tokens=audio
    )


def test_spoken_output_is_counted_apart() -> None:
    details = [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 5}]

    assert usage(
        candidatesTokenCount=35, thoughtsTokenCount=2, candidatesTokensDetails=details
    ) == Usage(output_tokens=7, reasoning_tokens=2, audio_output_tokens=30)


def test_the_last_number_of_each_kind_counts() -> None:
    first = metadata(promptTokenCount=5, candidatesTokenCount=1, trafficType="ON_DEMAND")
    later = metadata(candidatesTokenCount=4, thoughtsTokenCount=2)

    assert first.then(later) == metadata(
        promptTokenCount=5, candidatesTokenCount=4, thoughtsTokenCount=2, trafficType="ON_DEMAND"
    )
