"""The prices in force: configuration, then the provider's own list, then published prices.

A model that none of them prices has no price; it is never free (docs/decisions/0003-prices.md).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from policies.clock import Clock
from policies.money import NANO_PER_UNIT
from policies.pricing import Price
from proxy.prices import agipower, venice
from proxy.prices.figures import NotAPrice
from proxy.prices.lists import PriceChange, PriceList
from proxy.prices.names import NAME_CHARACTERS_MAX, bare, canonical, plain, spellings
from proxy.prices.overrides import Overrides
from proxy.prices.published import PublishedPrices

#: Looked-up names kept, found or not: callers choose them, so they are bounded.
CACHE_MAX: Final = 4_096
#: Models of one provider's lists; the longest known list has some 700.
LISTED_MAX: Final = 20_000
#: What a list as a whole is called in a `PriceChange`.
WHOLE_LIST: Final = "*"

_READERS: Final = {"agipower": agipower.read, "venice": venice.read}


class _Found(NamedTuple):
    """What is known about a model at a provider, under any of its names."""

    #: None for a refusal.
    price: Price | None
    name: str
    #: When to look again; None while nothing is announced.
    until_ms: int | None


@dataclass(slots=True)
class _Listed:
    """What one provider's own lists have said so far."""

    prices: dict[str, Price] = field(default_factory=dict)
    #: Other names that the provider takes, to ids.
    aliases: dict[str, str] = field(default_factory=dict)
    #: Canonical spellings of models that are listed with fees which nothing counts, to ids.
    uncounted: dict[str, str] = field(default_factory=dict)
    #: Canonical spellings of all names, to ids.
    names: dict[str, str] = field(default_factory=dict)
    #: Reasons that were reported, so that each is reported once.
    refused: dict[str, str] = field(default_factory=dict)

    def find(self, found: tuple[str, ...]) -> str | None:
        """Return the id of a model by any of its names."""
        for name in found:
            if name in self.prices:
                return name
        return next((self.names[key] for key in map(canonical, found) if key in self.names), None)

    def find_uncounted(self, found: tuple[str, ...]) -> str | None:
        """Return the id of a model that has no price, whatever other sources say."""
        keys = (key for key in map(canonical, found) if key in self.uncounted)
        return next((self.uncounted[key] for key in keys), None)

    def former(self, name: str) -> tuple[str, Price | None]:
        """Return the id to keep a model by, and its price so far.

        AGIPower's lists name the same model with its owner and without: the owner is kept.
        """
        if "/" in name:
            plain = self.prices.pop(bare(name), None)
            return name, self.prices.get(name, plain)
        model = name if name in self.prices else self.names.get(canonical(name), name)
        return model, self.prices.get(model)

    def withdraw(self, name: str) -> Price | None:
        """Give up a model's price for fees that nothing counts, and return what it was."""
        model, former = self.former(name)
        if len(self.uncounted) < LISTED_MAX:
            self.uncounted |= dict.fromkeys((canonical(bare(model)), canonical(model)), model)
        self.prices.pop(model, None)
        self.aliases = {alias: other for alias, other in self.aliases.items() if other != model}
        return former

    def index(self) -> None:
        """Take in new ids: a name without its owner counts where only one owner has it."""
        self.names = {canonical(model): model for model in reversed(self.prices)}
        bare_names: dict[str, set[str]] = {}
        for model in {*self.prices, *self.uncounted.values()}:
            bare_names.setdefault(canonical(bare(model)), set()).add(model)
        for name, models in bare_names.items():
            if len(models) == 1 and models <= self.prices.keys():
                self.names.setdefault(name, *models)
        for alias, model in self.aliases.items():
            self.names.setdefault(canonical(alias), model)


class PriceBook:
    """Answers what a model costs at a provider, and notes what changes."""

    def __init__(
        self,
        *,
        kinds: Mapping[str, str],
        overrides: Mapping[str, Mapping[str, object]],
        clock: Clock,
        published: PublishedPrices | None = None,
    ) -> None:
        """Take the configuration.

        Args:
            kinds: the kind of each provider, by its name.
            overrides: the configuration's `prices`.

        Raises:
            NotAPrice: an override is wrong; the message names it.
        """
        self._kinds = dict(kinds)
        self._overrides = Overrides(overrides)
        self._clock = clock
        self._published = PublishedPrices() if published is None else published
        self._listed: dict[str, _Listed] = {}
        self._credits: dict[str, dict[str, int]] = {}
        self._cache: OrderedDict[tuple[str, str], _Found] = OrderedDict()

    def lookup(self, provider: str, model: str) -> Price | None:
        """Return what a model costs at a provider by now; None when nobody says, which refuses."""
        return self._kept(provider, model).price

    def name_of(self, provider: str, model: str) -> str:
        """Return the one name that all spellings of a model have at a provider.

        It is the id on the provider's own list; else the published one; else the name by which the
        configuration prices it; else what was written, without an upstream or features. Rules about
        models go by it: whoever writes a name otherwise must not come past them.
        """
        return self._kept(provider, model).name

    def refresh(self, provider: str, kind: str, payload: object) -> list[PriceChange]:
        """Take in a provider's own list, as decoded JSON, and return what changed, or was refused.

        A price that cannot be taken leaves the former one in force. A refusal is told once. A
        model that is not on the list any more keeps its price: calls under way need it.
        """
        listed = self._listed.setdefault(provider, _Listed())
        reader = _READERS.get(kind)
        try:
            if reader is None:
                raise NotAPrice(f"providers of kind '{kind}' have no list that can be read")
            new = reader(payload)
        except NotAPrice as error:
            new = PriceList(refused={WHOLE_LIST: str(error)})
        source = f"{kind} list"
        told = _refusals(provider, source, listed, new)
        changes = _changes(provider, source, listed, new)
        listed.aliases |= {name: id_ for name, id_ in new.aliases.items() if id_ in listed.prices}
        listed.index()
        self._cache.clear()
        return told + changes

    def set_credit_rate(self, provider: str, credit: str, usd_per_credit: Decimal) -> None:
        """Note what one of a provider's credits is worth (AGIPower's `effective_usd_per_flow`).

        Raises:
            NotAPrice: it is not above zero.
        """
        if not usd_per_credit.is_finite() or usd_per_credit <= 0:
            raise NotAPrice(f"{usd_per_credit} US dollars is no worth of a credit")
        per_usd = math.ceil(NANO_PER_UNIT / Fraction(usd_per_credit))
        rates = self._credits.setdefault(provider, {})
        if rates.get(credit) != per_usd:
            rates[credit] = per_usd
            self._cache.clear()

    def charge_no_credit(self, provider: str, credit: str) -> None:
        """Note that calls of a provider cost none of these credits: its key is billed in dollars."""
        self._credits.setdefault(provider, {})[credit] = 0
        self._cache.clear()

    def _kept(self, provider: str, model: str) -> _Found:
        key = (provider, model)
        kept = self._cache.get(key)
        if kept is not None and (kept.until_ms is None or self._clock.now_ms() < kept.until_ms):
            self._cache.move_to_end(key)
            return kept
        if provider not in self._kinds or len(model) > NAME_CHARACTERS_MAX:
            return _Found(None, model, None)
        found = self._find(provider, model)
        self._cache[key] = found
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)
        return found

    def _find(self, provider: str, model: str) -> _Found:
        kind = self._kinds[provider]
        found = spellings(kind, model)
        own = self._own(provider, kind, found)
        # A price that is configured for the id holds however the model is written.
        named = self._overrides.named(found if own is None else (*found, own.name))
        override = self._overrides.find(found if named is None else (named,))
        name = own.name if own is not None else named or plain(kind, model)
        price = None if own is None else own.price
        if override is not None:
            price = _with_limits_of(override, price)
        rates = self._credits.get(provider)
        if price is not None and rates:
            price = replace(price, credits_per_usd={**price.credits_per_usd, **rates})
        return _Found(price, name, None if own is None else own.until_ms)

    def _own(self, provider: str, kind: str, found: tuple[str, ...]) -> _Found | None:
        """Return what the provider's list says about a model, or else the published prices."""
        listed = self._listed.get(provider)
        if listed is not None:
            if (listed_id := listed.find(found)) is not None:
                return _Found(listed.prices[listed_id], listed_id, None)
            if (listed_id := listed.find_uncounted(found)) is not None:
                return _Found(None, listed_id, None)
        # The data know capitals, and dots where a maker writes them, but no underscores.
        written = (*found, *(name.replace("_", "-") for name in found if "_" in name))
        published = self._published.find(kind, written, self._clock.now_ms())
        if published is None:
            return None
        return _Found(published.price, published.model, published.until_ms)


def _with_limits_of(override: Price, own: Price | None) -> Price:
    """Return a configured price with the limits that another source states and it does not."""
    if own is None:
        return override
    return replace(
        override,
        context_window=override.context_window or own.context_window,
        max_output_tokens=override.max_output_tokens or own.max_output_tokens,
        credits_per_usd=own.credits_per_usd,
    )


def _refusals(provider: str, source: str, listed: _Listed, new: PriceList) -> list[PriceChange]:
    told = []
    for model, reason in new.refused.items():
        former = listed.prices.get(model)
        holds = former
        if model in new.uncounted:
            former, holds = listed.withdraw(model), None
        if listed.refused.get(model) != reason and len(listed.refused) < LISTED_MAX:
            listed.refused[model] = reason
            told.append(
                PriceChange(
                    provider=provider,
                    model=model,
                    old=former,
                    new=holds,
                    source=source,
                    refused=reason,
                )
            )
    return told


def _changes(provider: str, source: str, listed: _Listed, new: PriceList) -> list[PriceChange]:
    changes = []
    for name, price in new.prices.items():
        listed.refused.pop(name, None)
        model, former = listed.former(name)
        if former is None and len(listed.prices) >= LISTED_MAX:
            continue
        merged = price if former is None else _merged(former, price)
        if former is None or former.version != merged.version:
            changes.append(
                PriceChange(provider=provider, model=model, old=former, new=merged, source=source)
            )
        listed.prices[model] = merged
        for key in (canonical(model), canonical(bare(model))):
            if listed.uncounted.get(key) == model:
                del listed.uncounted[key]
    if new.prices:
        listed.refused.pop(WHOLE_LIST, None)
    return changes


def _merged(former: Price, price: Price) -> Price:
    """Return the new price with limits that only another list of the same provider names."""
    return replace(
        price,
        context_window=price.context_window or former.context_window,
        max_output_tokens=price.max_output_tokens or former.max_output_tokens,
    )
