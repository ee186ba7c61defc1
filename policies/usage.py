"""Token usage in disjoint parts, and how much of it is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a call consumed, in parts that do not overlap, whatever the dialect included in what.

    Only `reasoning_tokens` is a part of another one (of `output_tokens`); it is kept because some
    providers price it apart.
    """

    #: Input tokens that were neither read from a cache nor written to one.
    input_tokens: int = 0
    cache_read_tokens: int = 0
    #: Written to a cache that lives five minutes, or for a time that the provider does not say.
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    #: Audio in the input, which providers price apart; disjoint from `input_tokens`.
    audio_input_tokens: int = 0
    #: Every output token, reasoning included, audio excluded.
    output_tokens: int = 0
    #: The part of `output_tokens` that was reasoning.
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    #: Searches that the provider ran and bills by the piece.
    web_searches: int = 0

    @property
    def total_input_tokens(self) -> int:
        """All tokens on the input side: what a long-context tier is chosen by."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
        )

    @property
    def total_output_tokens(self) -> int:
        """All tokens on the output side."""
        return self.output_tokens + self.audio_output_tokens

    def with_output_at_least(self, output_tokens: int) -> Usage:
        """Return the same usage with at least this much output: what a cut answer may have cost."""
        missing = output_tokens - self.total_output_tokens
        return replace(self, output_tokens=self.output_tokens + missing) if missing > 0 else self


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """Usage at the price of one model.

    Most calls have one line. Anthropic's `usage.iterations` make several: a compaction or an
    advisor runs on a model of its own (protocols.md, A1).
    """

    #: The model that is billed; None means the model that the answer names.
    model: str | None = None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Exact:
    """The provider said what the call consumed."""

    lines: tuple[UsageLine, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """The answer was cut: it consumed this much or more; output is what is not known."""

    lines: tuple[UsageLine, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known about what the call consumed. Unknown is not zero."""


Metered = Exact | AtLeast | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCost:
    """What the answer itself says was billed (Venice `cost`, OpenRouter `usage.cost`)."""

    #: Decimal text by currency, such as {"USD": "0.00042"}.
    amounts: dict[str, str] = field(default_factory=dict)
