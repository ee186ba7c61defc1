"""What a source of prices says, and what became of it: prices by model, refusals, changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.pricing import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """A provider's own list, read."""

    #: By the model's id as the list has it.
    prices: Mapping[str, Price] = field(default_factory=dict)
    #: Why a model's price was not taken, by its id.
    refused: Mapping[str, str] = field(default_factory=dict)
    #: Refused models that have fees which nothing counts: no price holds for them, former or published.
    uncounted: frozenset[str] = frozenset()
    #: Other names that the provider takes, to ids.
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """A price that changed, or that a list tried to change; for the journal."""

    provider: str
    #: The model's id on the list; `*` for the list as a whole.
    model: str
    old: Price | None
    #: What holds from now on; the same as `old` when the list's price was refused.
    new: Price | None
    #: Who says so.
    source: str
    #: Why the list's price was not taken; None when it was.
    refused: str | None = None
