"""Usage as Google counts it: caches inside of the prompt, thoughts and tools' results beside it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from policies.usage import Usage, UsageLine
from proxy.dialects.counts import Tokens


class _Detail(msgspec.Struct):
    modality: Any = None
    tokenCount: Tokens = None  # noqa: N815 - The fields' own names, here and below.


class Metadata(msgspec.Struct):
    """The member `usageMetadata`."""

    promptTokenCount: Tokens = None  # noqa: N815
    cachedContentTokenCount: Tokens = None  # noqa: N815
    toolUsePromptTokenCount: Tokens = None  # noqa: N815
    candidatesTokenCount: Tokens = None  # noqa: N815
    #: What the Live API calls its candidates.
    responseTokenCount: Tokens = None  # noqa: N815
    thoughtsTokenCount: Tokens = None  # noqa: N815
    totalTokenCount: Tokens = None  # noqa: N815
    promptTokensDetails: list[_Detail] | None = None  # noqa: N815
    cacheTokensDetails: list[_Detail] | None = None  # noqa: N815
    candidatesTokensDetails: list[_Detail] | None = None  # noqa: N815
    trafficType: Any = None  # noqa: N815

    @property
    def counts_output(self) -> bool:
        """It says how much output there was."""
        return self._candidates is not None or self.thoughtsTokenCount is not None

    @property
    def _candidates(self) -> int | None:
        if self.candidatesTokenCount is None:
            return self.responseTokenCount
        return self.candidatesTokenCount

    def then(self, later: Metadata) -> Metadata:
        """Return both together: numbers grow from chunk to chunk, and chunks leave some out."""
        merged = Metadata()
        for field in self.__struct_fields__:
            value = getattr(later, field)
            setattr(merged, field, getattr(self, field) if value is None else value)
        return merged

    def lines(self, web_searches: int) -> tuple[UsageLine, ...]:
        """Return the usage in disjoint parts."""
        prompt = self.promptTokenCount or 0
        cached = self.cachedContentTokenCount or 0
        uncached = prompt - cached if cached <= prompt else prompt
        audio = _audio(self.promptTokensDetails) - _audio(self.cacheTokensDetails)
        audio = min(max(audio, 0), uncached)
        from_tools = self.toolUsePromptTokenCount or 0
        candidates, thoughts = self._candidates or 0, self.thoughtsTokenCount or 0
        # What only the total counts is counted as output, the dearest that it can be: some models
        # leave their thoughts out of every other number.
        output = max(candidates + thoughts, (self.totalTokenCount or 0) - prompt - from_tools)
        spoken = min(_audio(self.candidatesTokensDetails), candidates)
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
        detail.tokenCount
        for detail in details or ()
        if detail.modality == "AUDIO" and detail.tokenCount
    )
