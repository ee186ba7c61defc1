"""Usage as Google counts it: caches inside of the prompt, thoughts and tools' results beside it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from policies.usage import Usage, UsageLine
from proxy.dialects.counts import Tokens


class _Detail(msgspec.Struct, rename="camel"):
    modality: Any = None
    token_count: Tokens = None


class Metadata(msgspec.Struct, rename="camel"):
    """The member `usageMetadata`."""

    prompt_token_count: Tokens = None
    cached_content_token_count: Tokens = None
    tool_use_prompt_token_count: Tokens = None
    candidates_token_count: Tokens = None
    #: What the Live API calls its candidates.
    response_token_count: Tokens = None
    thoughts_token_count: Tokens = None
    total_token_count: Tokens = None
    prompt_tokens_details: list[_Detail] | None = None
    cache_tokens_details: list[_Detail] | None = None
    candidates_tokens_details: list[_Detail] | None = None
    traffic_type: Any = None

    @property
    def _candidates(self) -> int | None:
        if self.candidates_token_count is None:
            return self.response_token_count
        return self.candidates_token_count

    def then(self, later: Metadata) -> Metadata:
        """Return both together: numbers grow from chunk to chunk, and chunks leave some out."""
        merged = Metadata()
        for field in self.__struct_fields__:
            value = getattr(later, field)
            setattr(merged, field, getattr(self, field) if value is None else value)
        return merged

    def lines(self, web_searches: int) -> tuple[UsageLine, ...]:
        """Return the usage in disjoint parts."""
        prompt = self.prompt_token_count or 0
        cached = self.cached_content_token_count or 0
        uncached = prompt - cached if cached <= prompt else prompt
        audio = _audio(self.prompt_tokens_details) - _audio(self.cache_tokens_details)
        audio = min(max(audio, 0), uncached)
        from_tools = self.tool_use_prompt_token_count or 0
        candidates, thoughts = self._candidates or 0, self.thoughts_token_count or 0
        # What only the total counts is counted as output, the dearest that it can be: some models
        # leave their thoughts out of every other number.
        output = max(candidates + thoughts, (self.total_token_count or 0) - prompt - from_tools)
        spoken = min(_audio(self.candidates_tokens_details), candidates)
        usage = Usage(
            input_tokens=uncached - audio + from_tools,
            cache_read_tokens=cached,
            audio_input_tokens=audio,
            output_tokens=output - spoken,
            reasoning_tokens=thoughts,
            audio_output_tokens=spoken,
            web_searches=web_searches,
        )
        return (UsageLine(usage=usage),)


METADATA: Final = msgspec.json.Decoder(Metadata)


def _audio(details: list[_Detail] | None) -> int:
    """Return the tokens of sound among a side's; what the list leaves out counts as text."""
    return sum(
        detail.token_count
        for detail in details or ()
        if detail.modality == "AUDIO" and detail.token_count
    )
