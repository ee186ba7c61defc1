"""Calls as the stations hand them on, made by hand; what a test does not care about has a plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from policies.budgets import Budget, Caller
from policies.learning import Learning
from policies.ledger.interface import Ask
from policies.ledger.keys import charge_of, place
from policies.pricing import Price, Tier
from policies.rates import Rates
from policies.reservations import Reservation
from policies.rulebook import Rulebook, Rules, Team
from policies.units import USD
from policies.windows import Calendar
from proxy.dialects.endpoints import Endpoint, find_endpoint
from proxy.dialects.interface import ParsedRequest
from proxy.dialects.registry import DIALECTS
from proxy.gateway.call import Arrival, Passage, Quoted, Routed, Ticket
from proxy.gateway.parse import parse
from proxy.gateway.quote import Quoter
from proxy.providers.interface import Target
from tests.doubles.fake_clock import NOON_MS
from tests.doubles.fake_provider import FakeProvider

MODEL = "acme/mini"
#: Nano-dollars per token at $1 per million of input and $10 per million of output.
INPUT_NANO, OUTPUT_NANO = 1_000, 10_000
MONTH = Budget(name="month", unit=USD, limit=10**9, window=Calendar("month"))
CHAT = "/v1/chat/completions"


def price(
    model: str = MODEL,
    *,
    input_nano: int = INPUT_NANO,
    output_nano: int = OUTPUT_NANO,
    source: str = "test",
    **more: Any,
) -> Price:
    """Return a price of so many nano-dollars per token."""
    tiers = (Tier(rates=Rates.of(input=input_nano * 1_000, output=output_nano * 1_000)),)
    limits: dict[str, Any] = {"context_window": 100_000, "max_output_tokens": 4_096, **more}
    return Price(model=model, tiers=tiers, source=source, **limits)


class FakePrices:
    """Knows the prices that it is given, whatever the provider."""

    def __init__(self, *prices: Price) -> None:
        self._prices = {each.model: each for each in prices}

    def lookup(self, provider: str, model: str) -> Price | None:
        return self._prices.get(model)


def endpoint(path: str = CHAT, method: str = "POST") -> Endpoint:
    found = find_endpoint(method, path, frozenset({"fake", "other"}))
    assert isinstance(found, Endpoint)
    return found


def body_of(**fields: Any) -> bytes:
    """Return a Chat Completions body, or that of another dialect where its fields are given."""
    plain = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
    return msgspec.json.encode(
        {name: value for name, value in {**plain, **fields}.items() if value is not None}
    )


def arrival(
    path: str = CHAT,
    *,
    body: bytes | None = None,
    caller: Caller | None = None,
    call_id: str = "call_a",
    **fields: Any,
) -> Arrival:
    """Return a request that was read and understood."""
    at, sent = endpoint(path), body if body is not None else body_of(**fields)
    parsed = parse(sent, at, DIALECTS[at.dialect])
    assert isinstance(parsed, ParsedRequest), parsed
    return Arrival(
        call_id=call_id,
        at_ms=NOON_MS,
        endpoint=at,
        dialect=DIALECTS[at.dialect],
        caller=caller or Caller(key_id="key_1", team="red"),
        body=sent,
        plain_body=sent,
        parsed=parsed,
    )


def routed(
    *budgets: Budget,
    team: Team | None = None,
    provider: FakeProvider | None = None,
    came: Arrival | None = None,
    **fields: Any,
) -> Routed:
    """Return a call whose provider and rules are known."""
    came = came or arrival(**fields)
    provider = provider or FakeProvider()
    rules = Rulebook(
        teams={"red": team or Team(name="red")},
        budgets={budget.name: budget for budget in budgets},
    ).rules_for(came.caller, came.parsed.model, provider.name)
    assert isinstance(rules, Rules)
    target = provider.target(came.endpoint)
    assert isinstance(target, Target)
    return Routed(
        arrival=came, provider=provider, target=target, model=came.parsed.model, rules=rules
    )


def quoted(
    *budgets: Budget, prices: Sequence[Price] = (), learning: Learning | None = None, **more: Any
) -> Quoted:
    """Return a call with its quote, by the real quoter."""
    known = FakePrices(*(prices or (price(),)))
    found = Quoter(known, learning or Learning()).quote(routed(*(budgets or (MONTH,)), **more))
    assert isinstance(found, Quoted), found
    return found


def reservation_of(call_id: str, asks: Sequence[Ask], now_ms: int = NOON_MS) -> Reservation:
    """Return what a ledger holds for a call that asked at this time."""
    charges = tuple(
        charge_of(
            ask.budget,
            ask.subject,
            place(ask.budget, ask.subject, now_ms),
            slot=0,
            held=ask.held,
            bound=ask.bound,
        )
        for ask in asks
    )
    return Reservation(call_id=call_id, at_ms=now_ms, charges=charges)


def ticket(call: Quoted | None = None, *, on_allowance: bool = False, **more: Any) -> Ticket:
    """Return an admitted call."""
    call = call or quoted(**more)
    call_id = call.routed.arrival.call_id
    held = reservation_of(call_id, call.asks)
    return Ticket(quoted=call, reservation=held, on_allowance=on_allowance)


def passage(
    admitted: Ticket | None = None,
    *,
    status: int | None = 200,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Passage:
    """Return a call on its way."""
    return Passage(ticket=admitted or ticket(**more), status=status, headers=headers or {})


def with_demand(call: Quoted, **changes: Any) -> Quoted:
    """Return the same call as if it had asked for something else, its quote as it was."""
    came = call.routed.arrival
    demand = replace(came.parsed.demand, **changes)
    came = replace(came, parsed=replace(came.parsed, demand=demand))
    return replace(call, routed=replace(call.routed, arrival=came))
