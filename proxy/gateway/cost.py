"""What an answer costs: its usage at the prices of the models that may have been billed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from policies.money import exact
from policies.pricing import Price, Unpriced
from policies.units import Amounts
from policies.usage import UsageLine
from proxy.dialects.interface import Reading
from proxy.gateway.call import Quoted

# A field of the request that makes the same model dearer than any list says (protocols.md, B).
UNLISTED: Final = "inference_geo"
#: Tells whether an answer's model is the one that was asked for, under another spelling or date.
SameModel = Callable[[str, str], bool]


class Prices(Protocol):
    """Whatever knows prices."""

    def lookup(self, provider: str, model: str) -> Price | None:
        """Return what a model costs at a provider; None: nobody says."""
        ...


class Costing:
    """Prices answers."""

    def __init__(self, prices: Prices, same_model: SameModel) -> None:
        self._prices = prices
        self._same_model = same_model

    def cost(
        self, quoted: Quoted, reading: Reading, lines: tuple[UsageLine, ...]
    ) -> Amounts | None:
        """Return what usage comes to, tools included; None: its price is not known.

        Raises:
            AmountOutOfRange: it is more than the ledger can count.
        """
        total = Amounts(nano_usd=self._tool_fees(quoted, reading))
        for line in lines:
            cost = self._line(quoted, reading, line)
            if cost is None:
                return None
            total = _sum(total, cost)
        exact(total.input_tokens + total.output_tokens)
        return total

    def _line(self, quoted: Quoted, reading: Reading, line: UsageLine) -> Amounts | None:
        dearest: Amounts | None = None
        for price in self._candidates(quoted, line.model or reading.model):
            cost = _in_tier(price, line, quoted, reading)
            if isinstance(cost, Unpriced):
                return None
            if dearest is None or cost.nano_usd > dearest.nano_usd:
                dearest = cost
        return dearest

    def _candidates(self, quoted: Quoted, answered_model: str | None) -> tuple[Price, ...]:
        """Return the prices of which one was billed; several, where that cannot be told.

        An answer often names a dated version or an alias of the model that was asked for: then the
        quoted price holds, an operator's own above all. Another model of the same list is billed by
        that list. Another model that a different source prices may or may not be what was billed.
        """
        quote, arrival = quoted.quote, quoted.routed.arrival
        quoted_price = quote.price if quote is not None else None
        if quoted_price is None and UNLISTED in arrival.parsed.notes:
            return ()
        ours = () if quoted_price is None else (quoted_price,)
        if answered_model is None or self._same_model(quoted.routed.model, answered_model):
            return ours
        other = self._prices.lookup(quoted.routed.provider.name, answered_model)
        if other is None:
            return ours
        if quoted_price is None or other.source == quoted_price.source:
            return (other,)
        return (quoted_price, other)

    def _tool_fees(self, quoted: Quoted, reading: Reading) -> int:
        """Return what tools cost that the provider ran and the answer shows, in nano-dollars."""
        if quoted.quote is None:
            return 0
        price = quoted.quote.price
        return sum(calls * (price.tool_fee(kind) or 0) for kind, calls in reading.tool_calls)


def _sum(one: Amounts, other: Amounts) -> Amounts:
    names = one.credits.keys() | other.credits.keys()
    return Amounts(
        nano_usd=exact(one.nano_usd + other.nano_usd),
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        credits={n: exact(one.credits.get(n, 0) + other.credits.get(n, 0)) for n in names},
    )


def _in_tier(price: Price, line: UsageLine, quoted: Quoted, reading: Reading) -> Amounts | Unpriced:
    """Return what a line comes to in the tier that was granted, or the dearer one that may have been."""
    asked = quoted.routed.arrival.parsed.demand.service_tier
    amounts = price.amounts(line.usage, reading.service_tier)
    if reading.service_tier is not None or asked is None or isinstance(amounts, Unpriced):
        return amounts
    as_asked = price.amounts(line.usage, asked)
    if isinstance(as_asked, Unpriced):
        return as_asked
    return max(amounts, as_asked, key=lambda each: each.nano_usd)
