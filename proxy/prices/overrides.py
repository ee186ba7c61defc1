"""Prices that the configuration states: they go before every other source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final

from policies.pricing import Price, Tier, Tiers
from policies.rates import Rates
from proxy.prices.figures import NotAPrice, decimal, mapping, nano, pico, sequence, tokens

SOURCE: Final = "configuration"

#: Dollars per million tokens.
_TOKEN_FIELDS: Final = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "media_input",
    "reasoning",
    "audio_output",
)
#: Dollars per search and per call, and the rate that they are.
_COUNT_FIELDS: Final = {"web_search": "web_search_nano", "call": "call_nano"}
_OTHER_FIELDS: Final = (
    "context_window",
    "max_output_tokens",
    "service_tiers",
    "tiers",
    "tokens_per_byte_max",
    "tools",
)
#: A service tier that is dearer than this is a mistake of writing.
FACTOR_MAX: Final = 100
#: One public tokenizer makes 5 tokens of a byte (facts: prices-and-tokens.md).
TOKENS_PER_BYTE_MAX: Final = 16


class Overrides:
    """The prices of the configuration, by name or glob; a name goes before globs."""

    def __init__(self, prices: Mapping[str, Mapping[str, object]]) -> None:
        """Read every price.

        Raises:
            NotAPrice: a field is unknown or its value no price; the message names both.
        """
        read = {name: _price(name, fields) for name, fields in prices.items()}
        self._exact = {name: price for name, price in read.items() if not _is_glob(name)}
        self._globs = tuple((name, price) for name, price in read.items() if _is_glob(name))

    def named(self, spellings: tuple[str, ...]) -> str | None:
        """Return the first of a model's names that has a price of its own; globs are no names."""
        return next((name for name in spellings if name in self._exact), None)

    def find(self, spellings: tuple[str, ...]) -> Price | None:
        """Return the price of a model by any of its names; None when the configuration has none."""
        if (exact := self.named(spellings)) is not None:
            return self._exact[exact]
        for glob, price in self._globs:
            for name in spellings:
                if fnmatchcase(name, glob):
                    return replace(price, model=name)
        return None


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _price(name: str, fields: Mapping[str, object]) -> Price:
    known = {*_TOKEN_FIELDS, *_COUNT_FIELDS, *_OTHER_FIELDS}
    where = f"price of '{name}'"
    if unknown := sorted(str(field) for field in mapping(fields, where) if field not in known):
        raise NotAPrice(f"{where}: unknown field '{unknown[0]}'")
    if "input" not in fields:
        raise NotAPrice(f"{where}: 'input' is missing")
    base = _rates(where, fields)
    tiers = [Tier(rates=Rates.of(**base))]
    rows = sequence(fields.get("tiers", ()), f"{where}: tiers")
    tiers += [_tier(where, mapping(row, f"{where}: tier"), base) for row in rows]
    per_byte = fields.get("tokens_per_byte_max", 1)
    if (tokens_per_byte_max := tokens(per_byte, where)) > TOKENS_PER_BYTE_MAX:
        raise NotAPrice(f"{where}: tokens_per_byte_max is above {TOKENS_PER_BYTE_MAX}")
    factors = mapping(fields.get("service_tiers", {}), f"{where}: service_tiers")
    tools = mapping(fields.get("tools", {}), f"{where}: tools")
    try:
        return Price(
            model=name,
            tiers=tuple(tiers),
            service_tiers={
                str(word): _multiplied(tiers, _factor(where, factor))
                for word, factor in factors.items()
            },
            context_window=_limit(where, fields, "context_window"),
            max_output_tokens=_limit(where, fields, "max_output_tokens"),
            tokens_per_byte_max=tokens_per_byte_max,
            tool_fees={str(tool): nano(usd, f"{where}: {tool}") for tool, usd in tools.items()},
            output_priced="output" in fields,
            source=SOURCE,
        )
    except NotAPrice:
        raise
    except ValueError as error:
        raise NotAPrice(f"{where}: {error}") from error


def _multiplied(tiers: Sequence[Tier], factor: Fraction) -> Tiers:
    return tuple(replace(tier, rates=tier.rates.times(factor)) for tier in tiers)


def _rates(where: str, fields: Mapping[str, object]) -> dict[str, int]:
    rates = {
        field: pico(fields[field], f"{where}: {field}")
        for field in _TOKEN_FIELDS
        if field in fields
    }
    for field, rate in _COUNT_FIELDS.items():
        if field in fields:
            rates[rate] = nano(fields[field], f"{where}: {field}")
    # A model without a price for output has none to give: `output_priced` sees to it.
    rates.setdefault("output", rates.get("input", 0))
    return rates


def _tier(where: str, fields: Mapping[str, object], base: Mapping[str, int]) -> Tier:
    """Return a long-context tier: what it leaves out follows its own input, fees the base."""
    known = {"from_input_tokens", *_TOKEN_FIELDS, *_COUNT_FIELDS}
    if unknown := sorted(str(field) for field in fields if field not in known):
        raise NotAPrice(f"{where}: unknown field '{unknown[0]}' in a tier")
    if "input" not in fields or "output" not in fields:
        raise NotAPrice(f"{where}: a tier names 'from_input_tokens', 'input' and 'output'")
    fees = {rate: base[rate] for rate in _COUNT_FIELDS.values() if rate in base}
    start = tokens(fields.get("from_input_tokens"), f"{where}: from_input_tokens")
    return Tier(from_input_tokens=start, rates=Rates.of(**{**fees, **_rates(where, fields)}))


def _limit(where: str, fields: Mapping[str, object], name: str) -> int | None:
    return tokens(fields[name], f"{where}: {name}") if name in fields else None


def _factor(where: str, value: object) -> Fraction:
    factor = decimal(value, f"{where}: service_tiers")
    if not 0 <= factor <= FACTOR_MAX:
        raise NotAPrice(f"{where}: a service tier multiplies by 0 to {FACTOR_MAX}")
    return Fraction(factor)
