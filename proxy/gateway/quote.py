"""What a call may cost at most, and what it therefore asks of every budget that counts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol, assert_never

import msgspec

from policies.budgets import Budget
from policies.grants import Raised, as_written
from policies.learning import Learning
from policies.ledger.interface import Ask
from policies.pricing import Price
from policies.quotes import HiddenInputRefused, Quote, Unpriced, quote
from policies.units import CALLS, USD, Amounts, is_nano
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Quoted, Refusal, Routed

# Anthropic's data residency makes the same model dearer, by what no list says (protocols.md, B).
PRICED_ELSEWHERE: Final = "inference_geo"
# Whose credits they are: a call there costs some, and by how many only a known rate can say.
CREDITS_OF: Final = {
    "agipower": frozenset({"flows"}),
    "venice": frozenset({"DIEM", "VCU", "BUNDLED_CREDITS", "EARNED_CREDITS"}),
}
# generateContent without a thinking budget: whether `maxOutputTokens` includes thoughts is asked and
# unanswered (protocols.md, B), so they are taken to come on top, as far as the model can write.
UNLIMITED_THINKING: Final = "thinkingBudget"
THINKING_TOKENS_MAX: Final = 65_536

_encoder = msgspec.json.Encoder()


class Prices(Protocol):
    """Whatever knows prices."""

    def lookup(self, provider: str, model: str) -> Price | None:
        """Return what a model costs at a provider; None: nobody says."""
        ...


#: The budgets that stand for a provider's own quotas, each with its subject.
WalletBudgets = Callable[[str], tuple[tuple[Budget, str], ...]]
#: What a provider's bills for a model make of its list price, in thousandths.
Factor = Callable[[str, str], int]
AS_LISTED: Final = 1_000


def no_wallets(provider: str) -> tuple[tuple[Budget, str], ...]:
    """Say that no provider reports quotas."""
    del provider
    return ()


def as_listed(provider: str, model: str) -> int:
    """Say that every provider bills as its list says."""
    del provider, model
    return AS_LISTED


class Quoter:
    """Quotes calls by the prices and by what was learned."""

    def __init__(
        self,
        prices: Prices,
        learning: Learning,
        *,
        wallets: WalletBudgets = no_wallets,
        factor: Factor = as_listed,
        raised: Raised = as_written,
    ) -> None:
        #: Budgets as they count now: with what is granted on top of their limits.
        self.raised = raised
        self._prices = prices
        self._learning = learning
        self._wallets = wallets
        self._factor = factor

    def quote(self, routed: Routed) -> Quoted | Refusal:
        """Return the call with what it asks of its budgets."""
        arrival, team = routed.arrival, routed.rules.team
        if refusal := _against_policy(routed):
            return refusal
        price = self._prices.lookup(routed.provider.name, arrival.parsed.demand.model)
        if price is None:
            return self._unpriced(routed, f"no price is known for model '{routed.model}'")
        if reason := _beyond_prices(routed, price):
            return self._unpriced(routed, reason)
        if UNLIMITED_THINKING in arrival.parsed.notes:
            routed = _with_thinking(routed, price.max_output_tokens or THINKING_TOKENS_MAX)
        match self._find(routed, price):
            case HiddenInputRefused(fields):
                return _not_allowed(
                    fields[0],
                    f"the size of {', '.join(fields)} cannot be known from the request, and team "
                    f"'{team.name}' refuses such input: send it inline as text, or set "
                    "`hidden_input: context_window` in the team's policy",
                )
            case Unpriced(reason):
                return self._unpriced(routed, reason)
            case Quote() as found:
                return self.with_quote(routed, found)
            case unreachable:
                assert_never(unreachable)

    def _find(self, routed: Routed, price: Price) -> Quote | Unpriced | HiddenInputRefused:
        demand, team = routed.arrival.parsed.demand, routed.rules.team
        likely = any(budget.quote == "likely" for budget, _ in routed.rules.budgets)
        return quote(
            demand,
            price,
            default_max_output_tokens=team.default_max_output_tokens,
            hidden_input=team.hidden_input,
            tool_rounds_max=team.tool_rounds_max,
            learned=self._learning.of(team.name, routed.model) if likely else None,
        )

    def with_quote(self, routed: Routed, found: Quote) -> Quoted:
        """Return the call as this quote has it, with its body changed where the quote says so."""
        provider = routed.provider.name
        factor = self._factor(provider, routed.model)
        own = [
            _ask(found, self.raised(budget, subject), subject, factor)
            for budget, subject in routed.rules.budgets
        ]
        reported = [
            _ask(found, budget, subject, factor) for budget, subject in self._wallets(provider)
        ]
        return _quoted(routed, found, (*own, *reported), set_output_limit=found.set_output_limit)

    def _unpriced(self, routed: Routed, reason: str) -> Quoted | Refusal:
        """Reserve what policy says for a call without a price, if every budget says something."""
        demand, rules = routed.arrival.parsed.demand, routed.rules
        asks = []
        for budget, subject in rules.budgets:
            nano_usd = budget.when_unpriced_nano_usd
            if budget.unit == CALLS:
                nano_usd = 0
            if nano_usd is None:
                break
            limit = demand.output_limit or rules.team.default_max_output_tokens or 0
            amounts = Amounts(
                nano_usd=nano_usd,
                input_tokens=demand.body_bytes,
                output_tokens=limit * demand.choices,
            )
            held, raised = amounts.of(budget.unit), self.raised(budget, subject)
            asks.append(Ask(budget=raised, subject=subject, held=held, bound=held))
        if not asks or len(asks) < len(rules.budgets):
            return Refusal(
                status=400,
                kind=ErrorKind.UNPRICED,
                param="model",
                message=f"{reason}, so its cost cannot be kept within a budget: add it to `prices`, or "
                "set `when_unpriced: {reserve: …}` on every budget that counts this call",
            )
        worth = max((ask.held for ask in asks if ask.budget.unit == USD), default=0)
        asks += [
            Ask(budget=budget, subject=subject, held=held, bound=held)
            for budget, subject in self._wallets(routed.provider.name)
            for held in (worth if budget.unit == USD else 0,)
        ]
        return _quoted(routed, None, tuple(asks), set_output_limit=None)


def _ask(found: Quote, budget: Budget, subject: str, factor: int) -> Ask:
    """Return what a quote asks of a budget; dearer where bills are known to be above the list."""
    held = (found.bound if budget.quote == "bound" else found.amounts).of(budget.unit)
    bound = found.bound.of(budget.unit)
    if factor > AS_LISTED and is_nano(budget.unit):
        held, bound = -(-held * factor // AS_LISTED), -(-bound * factor // AS_LISTED)
    return Ask(budget=budget, subject=subject, held=held, bound=bound)


def _against_policy(routed: Routed) -> Refusal | None:
    """Return the refusal of what no price could make right."""
    parsed, team = routed.arrival.parsed, routed.rules.team
    if parsed.other_models:
        field = parsed.other_models[0]
        return _not_allowed(
            field,
            f"`{field}` lets another model answer than `model`, which no policy has looked at: leave it "
            "out, and name the model itself",
        )
    if parsed.demand.background and team.background == "refuse":
        return _not_allowed(
            "background",
            f"team '{team.name}' may not send background requests: leave `background` out, or set "
            "`background: poll` in the team's policy",
        )
    return None


def _beyond_prices(routed: Routed, price: Price) -> str | None:
    """Return why a known price does not say what this call can come to; None: it does."""
    parsed = routed.arrival.parsed
    if parsed.unpriced is not None:
        return parsed.unpriced
    if PRICED_ELSEWHERE in parsed.notes:
        return f"`{PRICED_ELSEWHERE}` changes the model's price"
    charged = CREDITS_OF.get(routed.provider.kind, frozenset())
    for budget, _ in routed.rules.budgets:
        if budget.unit in charged and budget.unit not in price.credits_per_usd:
            return f"what the call costs in {budget.unit} is not known"
    return None


def _with_thinking(routed: Routed, tokens: int) -> Routed:
    parsed = routed.arrival.parsed
    demand = replace(parsed.demand, output_beside_limit=tokens)
    return replace(routed, arrival=replace(routed.arrival, parsed=replace(parsed, demand=demand)))


def _not_allowed(param: str, message: str) -> Refusal:
    return Refusal(status=400, kind=ErrorKind.NOT_ALLOWED, param=param, message=message)


def _quoted(
    routed: Routed, found: Quote | None, asks: tuple[Ask, ...], *, set_output_limit: int | None
) -> Quoted:
    arrival = routed.arrival
    body, changes = arrival.plain_body, []
    if set_output_limit is not None:
        body = arrival.dialect.with_output_limit(body, set_output_limit)
        changes.append(f"output limit {set_output_limit}")
    parsed = arrival.parsed
    strip_usage = (
        parsed.can_request_usage
        and not parsed.usage_requested
        and routed.provider.supports_usage_option
    )
    if strip_usage:
        body = arrival.dialect.with_usage_requested(body)
        changes.append("stream_options.include_usage")
    return Quoted(
        routed=routed,
        quote=found,
        asks=asks,
        data=_encoder.encode(_journal_data(routed, found, changes)).decode(),
        body=body if changes else arrival.body,
        body_changed=bool(changes),
        strip_usage=strip_usage,
    )


def _journal_data(routed: Routed, found: Quote | None, changes: list[str]) -> dict[str, Any]:
    arrival = routed.arrival
    caller, parsed = arrival.caller, arrival.parsed
    data: dict[str, Any] = {
        "team": caller.team,
        "user": caller.user,
        "key": caller.key_id,
        "session": caller.session,
        "tags": dict(caller.tags),
        "provider": routed.provider.name,
        "model": routed.model,
        "dialect": arrival.dialect.name,
        "streamed": parsed.stream,
        "body_bytes": parsed.demand.body_bytes,
        "changes": changes,
    }
    if parsed.demand.model != routed.model:
        data["spelled"] = parsed.demand.model
    if found is not None:
        data["quote"] = {
            "nano_usd": found.amounts.nano_usd,
            "bound_nano_usd": found.bound.nano_usd,
            "input_tokens": found.bound.input_tokens,
            "output_tokens": found.bound.output_tokens,
            "kind": found.kind,
            "basis": found.basis,
            "price": {"source": found.price.source, "version": found.price.version},
        }
    return data
