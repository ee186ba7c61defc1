"""Usage as OpenAI's formats count it: the whole includes its parts."""

from __future__ import annotations

from typing import Final

import msgspec

from policies.usage import Usage, UsageLine
from proxy.dialects.counts import Tokens, decoded, is_absent, split_write


class _PromptDetails(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None
    cache_creation_input_tokens: Tokens = None
    ephemeral_5m_input_tokens: Tokens = None
    ephemeral_1h_input_tokens: Tokens = None
    audio_tokens: Tokens = None
    web_search: Tokens = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Tokens = None
    audio_tokens: Tokens = None


class _ChatUsage(msgspec.Struct):
    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    total_tokens: Tokens = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    #: What DeepSeek calls its cached tokens.
    prompt_cache_hit_tokens: Tokens = None


class _WriteDetails(msgspec.Struct):
    ttl_12h_tokens: Tokens = None


class _ResponseInput(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None
    cache_write_tokens_details: _WriteDetails | None = None
    audio_tokens: Tokens = None
    web_search: Tokens = None


class _ResponseOutput(msgspec.Struct):
    reasoning_tokens: Tokens = None
    audio_tokens: Tokens = None


class _ResponseUsage(msgspec.Struct):
    input_tokens: Tokens = None
    input_tokens_details: _ResponseInput | None = None
    output_tokens: Tokens = None
    output_tokens_details: _ResponseOutput | None = None
    total_tokens: Tokens = None


class _Searches(msgspec.Struct):
    num_requests: Tokens = None


class _Pictures(msgspec.Struct):
    input_tokens: Tokens = None
    output_tokens: Tokens = None


class _ToolUsage(msgspec.Struct):
    web_search: _Searches | None = None
    image_gen: _Pictures | None = None


_CHAT: Final = msgspec.json.Decoder(_ChatUsage)
_RESPONSE: Final = msgspec.json.Decoder(_ResponseUsage)
_TOOLS: Final = msgspec.json.Decoder(_ToolUsage)


def chat_lines(raw: msgspec.Raw) -> tuple[UsageLine, ...] | None:
    """Return what Chat Completions' or an embeddings' usage says; None if it cannot be believed."""
    usage = decoded(_CHAT, raw)
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    written, kept_long = split_write(
        prompt.cache_write_tokens or prompt.cache_creation_input_tokens or 0,
        prompt.ephemeral_1h_input_tokens or 0,
        prompt.ephemeral_5m_input_tokens or 0,
    )
    return (
        UsageLine(
            usage=inclusive_usage(
                prompt=usage.prompt_tokens or 0,
                completion=usage.completion_tokens or 0,
                total=usage.total_tokens,
                cache_read=prompt.cached_tokens or usage.prompt_cache_hit_tokens or 0,
                cache_write_5m=written,
                cache_write_1h=kept_long,
                audio_input=prompt.audio_tokens or 0,
                reasoning=completion.reasoning_tokens or 0,
                audio_output=completion.audio_tokens or 0,
                web_searches=prompt.web_search or 0,
            )
        ),
    )


def response_lines(
    raw: msgspec.Raw, raw_tools: msgspec.Raw, *, search_calls: int, picture_model: str
) -> tuple[UsageLine, ...] | None:
    """Return what a response's usage and its tools' say; None if it cannot be believed.

    Args:
        raw: the member `usage`.
        raw_tools: the member `tool_usage`, whose tokens lie outside of the other.
        search_calls: how many searches the output shows; used where no number is given.
        picture_model: whose price pictures have.
    """
    usage = decoded(_RESPONSE, raw)
    tools = _ToolUsage() if is_absent(raw_tools) else decoded(_TOOLS, raw_tools)
    if usage is None or tools is None:
        return None
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    counted = usage.input_tokens_details or _ResponseInput()
    made = usage.output_tokens_details or _ResponseOutput()
    # What lives for 12 hours is counted with what lives for one: both cost more than short lives.
    kept = counted.cache_write_tokens_details or _WriteDetails()
    written, kept_long = split_write(counted.cache_write_tokens or 0, kept.ttl_12h_tokens or 0)
    searches = tools.web_search or _Searches()
    told = (searches.num_requests, counted.web_search)
    lines = [
        UsageLine(
            usage=inclusive_usage(
                prompt=usage.input_tokens or 0,
                completion=usage.output_tokens or 0,
                total=usage.total_tokens,
                cache_read=counted.cached_tokens or 0,
                cache_write_5m=written,
                cache_write_1h=kept_long,
                audio_input=counted.audio_tokens or 0,
                reasoning=made.reasoning_tokens or 0,
                audio_output=made.audio_tokens or 0,
                web_searches=next((number for number in told if number is not None), search_calls),
            )
        )
    ]
    pictures = tools.image_gen or _Pictures()
    if pictures.input_tokens or pictures.output_tokens:
        picture_usage = Usage(
            input_tokens=pictures.input_tokens or 0, output_tokens=pictures.output_tokens or 0
        )
        lines.append(UsageLine(model=picture_model, usage=picture_usage))
    return tuple(lines)


def inclusive_usage(  # noqa: PLR0913 - One argument for each number that OpenAI's formats have.
    *,
    prompt: int,
    completion: int,
    total: int | None,
    cache_read: int,
    cache_write_5m: int,
    cache_write_1h: int,
    audio_input: int,
    reasoning: int,
    audio_output: int,
    web_searches: int,
) -> Usage:
    """Return disjoint parts from numbers where the whole includes its parts, as OpenAI counts."""
    cached = cache_read + cache_write_5m + cache_write_1h
    # A converter passes Anthropic's input, which leaves out the cached part (providers.md, 18).
    # Taking it for the whole would make the uncached part zero.
    uncached = prompt - cached if cached <= prompt else prompt
    audio_input = min(audio_input, uncached)
    # xAI counts reasoning beside the completion: the total shows it, or a part above its whole.
    beside = total == prompt + completion + reasoning or reasoning > completion
    output = completion + reasoning if beside else completion
    audio_output = min(audio_output, output)
    return Usage(
        input_tokens=uncached - audio_input,
        cache_read_tokens=cache_read,
        cache_write_5m_tokens=cache_write_5m,
        cache_write_1h_tokens=cache_write_1h,
        audio_input_tokens=audio_input,
        output_tokens=output - audio_output,
        reasoning_tokens=min(reasoning, output - audio_output),
        audio_output_tokens=audio_output,
        web_searches=web_searches,
    )
