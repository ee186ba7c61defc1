"""What calls ask of their budgets: in every unit, at the bound or at what is likely, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from policies.budgets import Budget, Caller
from policies.learning import CALLS_MIN, Learning
from policies.quotes import clamped
from policies.rulebook import Team
from policies.units import CALLS, INPUT_TOKENS, OUTPUT_TOKENS, TOKENS, USD
from policies.windows import Lifetime
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Quoted, Refusal, Routed
from proxy.gateway.quote import THINKING_TOKENS_MAX, Quoter
from tests.doubles.calls import (
    INPUT_NANO,
    MODEL,
    OUTPUT_NANO,
    FakePrices,
    arrival,
    body_of,
    price,
    routed,
)
from tests.doubles.fake_provider import FakeProvider

GEMINI = "/v1beta/models/gemini-pro:generateContent"


def budget(name: str, unit: str = USD, **more: Any) -> Budget:
    return Budget(name=name, unit=unit, limit=10**12, window=Lifetime(), **more)


def quote(call: Routed, *prices: Any, learning: Learning | None = None) -> Quoted:
    found = Quoter(FakePrices(*(prices or (price(),))), learning or Learning()).quote(call)
    assert isinstance(found, Quoted), found
    return found


def refused(call: Routed, *prices: Any) -> Refusal:
    found = Quoter(FakePrices(*prices), Learning()).quote(call)
    assert isinstance(found, Refusal), found
    assert found.status == 400
    return found


def held(call: Quoted) -> dict[str, int]:
    return {ask.budget.name: ask.held for ask in call.asks}


def test_every_budget_is_asked_in_its_own_unit() -> None:
    units = (USD, TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, CALLS, "DIEM", "VCU")
    call = routed(*(budget(unit, unit) for unit in units), max_tokens=50)
    body_bytes = call.arrival.parsed.demand.body_bytes

    found = quote(call, price(credits_per_usd={"DIEM": 2 * 10**9}))

    nano_usd = body_bytes * INPUT_NANO + 50 * OUTPUT_NANO
    assert held(found) == {
        USD: nano_usd,
        TOKENS: body_bytes + 50,
        INPUT_TOKENS: body_bytes,
        OUTPUT_TOKENS: 50,
        CALLS: 1,
        "DIEM": 2 * nano_usd,
        "VCU": 0,
    }
    assert [ask.bound for ask in found.asks] == [ask.held for ask in found.asks]


def test_what_is_likely_is_held_where_the_budget_says_so_and_the_bound_elsewhere() -> None:
    learned = Learning()
    for _ in range(CALLS_MIN):
        learned.of("red", MODEL).observe(body_bytes=1_000, input_tokens=100, output_tokens=1)
    call = routed(
        budget("bound", OUTPUT_TOKENS),
        budget("likely", OUTPUT_TOKENS, quote="likely"),
        max_tokens=50,
    )

    found = quote(call, learning=learned)

    assert held(found) == {"bound": 50, "likely": 2}
    assert [ask.bound for ask in found.asks] == [50, 50]
    assert json.loads(found.data)["quote"]["kind"] == "likely"


def test_nothing_is_learned_from_where_no_budget_wants_it() -> None:
    learned = Learning()

    quote(routed(budget("bound")), learning=learned)

    assert not learned._learned


def test_the_clients_own_bytes_are_sent_where_nothing_changes() -> None:
    call = routed(budget("a"))

    found = quote(call)

    assert found.body is call.arrival.body
    assert not found.body_changed
    assert not found.strip_usage
    assert json.loads(found.data)["changes"] == []


def test_a_request_without_a_limit_gets_the_teams_default() -> None:
    team = Team(name="red", default_max_output_tokens=77)

    found = quote(routed(budget("a", OUTPUT_TOKENS), team=team, max_tokens=None))

    assert held(found) == {"a": 77}
    assert b'"max_tokens":77' in found.body or b'"max_completion_tokens":77' in found.body
    assert found.body_changed
    assert json.loads(found.data)["changes"] == ["output limit 77"]


@pytest.mark.parametrize(
    ("fields", "supported", "asked"),
    [
        ({"stream": True}, True, True),
        ({"stream": True}, False, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, True, True),
        ({}, True, False),
    ],
    ids=str,
)
def test_usage_is_asked_for_where_it_would_not_come_otherwise(
    fields: dict[str, Any], supported: bool, asked: bool
) -> None:
    provider = FakeProvider(supports_usage_option=supported)

    found = quote(routed(budget("a"), provider=provider, **fields))

    assert found.strip_usage is found.body_changed is asked
    assert (json.loads(found.data)["changes"] == ["stream_options.include_usage"]) is asked
    assert (b'"include_usage":true' in found.body) is (asked or "stream_options" in fields)


def test_a_clamped_quote_is_written_into_the_body() -> None:
    call = routed(budget("a", OUTPUT_TOKENS), max_tokens=50)
    first = quote(call)
    assert first.quote is not None
    lower = clamped(call.arrival.parsed.demand, first.quote, 20)

    found = Quoter(FakePrices(), Learning()).with_quote(first.routed, lower)

    assert held(found) == {"a": 20}
    assert json.loads(found.body)["max_tokens"] == 20
    assert json.loads(found.data)["quote"]["output_tokens"] == 20


def test_the_journal_gets_everything_that_the_decision_rests_on() -> None:
    caller = Caller(key_id="key_1", team="red", user="alice", session="s", tags=(("k", "v"),))
    came = arrival(caller=caller, stream=True)
    known = price()

    found = quote(routed(budget("a", each="user"), came=came), known)

    assert found.quote is not None
    assert json.loads(found.data) == {
        "team": "red",
        "user": "alice",
        "key": "key_1",
        "session": "s",
        "tags": {"k": "v"},
        "provider": "fake",
        "model": MODEL,
        "dialect": "chat_completions",
        "streamed": True,
        "body_bytes": len(came.body),
        "changes": ["stream_options.include_usage"],
        "quote": {
            "nano_usd": found.quote.amounts.nano_usd,
            "bound_nano_usd": found.quote.bound.nano_usd,
            "input_tokens": len(came.body),
            "output_tokens": 10,
            "kind": "bound",
            "basis": list(found.quote.basis),
            "price": {"source": "test", "version": known.version},
        },
    }


# Without a price…


def test_a_call_without_a_price_is_refused_unless_every_budget_says_what_to_reserve() -> None:
    lenient, strict = budget("a", when_unpriced_nano_usd=500), budget("b")

    assert held(quote(routed(lenient), price("other"))) == {"a": 500}
    for budgets in ([], [strict], [lenient, strict], [budget("t", TOKENS), lenient]):
        found = refused(routed(*budgets), price("other"))
        assert (found.kind, found.param) == (ErrorKind.UNPRICED, "model")
        assert f"no price is known for model '{MODEL}'" in found.message


def test_a_call_without_a_price_counts_as_a_call() -> None:
    found = quote(routed(budget("n", CALLS), budget("a", when_unpriced_nano_usd=5)), price("other"))

    assert held(found) == {"n": 1, "a": 5}
    assert found.quote is None
    assert "quote" not in json.loads(found.data)
    assert not found.body_changed


def test_what_only_a_price_could_bound_is_unpriced() -> None:
    known = price(context_window=None, max_output_tokens=None)

    found = refused(routed(budget("a"), max_tokens=None), known)

    assert "limits the output" in found.message


def test_a_field_that_makes_the_model_dearer_than_its_list_is_unpriced() -> None:
    came = arrival("/v1/messages", body=body_of(inference_geo="us"))

    found = refused(routed(budget("a"), came=came), price())

    assert found.kind is ErrorKind.UNPRICED
    assert "inference_geo" in found.message


def test_a_field_that_lets_another_model_answer_is_against_every_policy() -> None:
    came = arrival()
    parsed = replace(came.parsed, other_models=("fallbacks",))
    lenient = budget("a", when_unpriced_nano_usd=1)

    found = refused(routed(lenient, came=replace(came, parsed=parsed)), price())

    assert (found.kind, found.param) == (ErrorKind.NOT_ALLOWED, "fallbacks")


def test_a_credit_that_nobody_says_the_worth_of_is_unpriced_where_it_is_charged() -> None:
    flows = budget("a", unit="flows")
    there = replace(routed(flows), provider=FakeProvider(kind="agipower"))

    found = refused(there, price())

    assert "flows" in found.message


# What a team does not want…


def test_input_that_its_bytes_do_not_show_is_refused_where_the_team_says_so() -> None:
    team = Team(name="red", hidden_input="refuse")
    came = arrival(
        "/v1/responses",
        body=body_of(max_tokens=None, messages=None, input="Hi", previous_response_id="resp_1"),
    )

    found = refused(routed(budget("a"), team=team, came=came), price())

    assert (found.kind, found.param) == (ErrorKind.NOT_ALLOWED, "previous_response_id")
    assert "hidden_input: context_window" in found.message


def test_an_answer_that_comes_later_is_refused_where_the_team_says_so() -> None:
    came = arrival(
        "/v1/responses", body=body_of(max_tokens=None, messages=None, input="Hi", background=True)
    )

    found = refused(
        routed(budget("a"), team=Team(name="red", background="refuse"), came=came), price()
    )

    assert (found.kind, found.param) == (ErrorKind.NOT_ALLOWED, "background")
    quote(routed(budget("a"), came=came))


# Thinking…


@pytest.mark.parametrize(("max_output", "thinking"), [(4_096, 4_096), (None, THINKING_TOKENS_MAX)])
def test_thinking_without_a_limit_comes_on_top_and_stays_there_when_clamped(
    max_output: int | None, thinking: int
) -> None:
    config: dict[str, Any] = {"generationConfig": {"maxOutputTokens": 100}, "contents": []}
    came = arrival(GEMINI, body=json.dumps(config).encode())
    known = price("gemini-pro", max_output_tokens=max_output)

    found = quote(routed(budget("a", OUTPUT_TOKENS), came=came), known)

    assert held(found) == {"a": 100 + thinking}
    assert found.quote is not None
    # A clamp is made from the call as it was routed.
    lower = clamped(found.routed.arrival.parsed.demand, found.quote, 40)
    assert lower.bound.output_tokens == 40 + thinking


def test_what_a_dialect_cannot_bound_has_no_price() -> None:
    call = routed(budget("a"))
    parsed = replace(call.arrival.parsed, unpriced="the tool 'x' has no known price")

    found = refused(replace(call, arrival=replace(call.arrival, parsed=parsed)), price())

    assert found.kind is ErrorKind.UNPRICED
    assert "the tool 'x' has no known price" in found.message


def test_the_journal_says_how_a_model_was_spelled_where_it_is_known_by_another_name() -> None:
    call = replace(routed(budget("a")), model="acme/mini-2026")

    data = json.loads(quote(call).data)

    assert (data["model"], data["spelled"]) == ("acme/mini-2026", MODEL)


# What is granted…


ALICE = Caller(key_id="key_1", team="red", user="alice")


def _two_more(budget: Budget, subject: str) -> Budget:
    assert subject == ("alice" if budget.each else "")
    return replace(budget, limit=budget.limit + 2)


@pytest.mark.parametrize("known", [(price(),), ()])
def test_budgets_are_asked_with_what_is_granted(known: tuple[Any, ...]) -> None:
    wallet = budget("wallet.fake.credits", CALLS)
    quoter = Quoter(
        FakePrices(*known),
        Learning(),
        wallets=lambda _: ((wallet, ""),),
        raised=_two_more,
    )
    own = budget("one", when_unpriced_nano_usd=5), budget("each", CALLS, each="user")

    found = quoter.quote(routed(*own, came=arrival(caller=ALICE)))

    assert isinstance(found, Quoted)
    assert [ask.budget.limit - 10**12 for ask in found.asks] == [2, 2, 0]


def test_without_grants_a_budget_is_asked_as_it_is() -> None:
    call = routed(budget("one"))

    (ask,) = quote(call).asks

    assert ask.budget is call.rules.budgets[0][0]
