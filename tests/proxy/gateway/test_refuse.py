"""Telling callers no: in their dialect, with the status and the headers that make their SDK stop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from proxy.dialects.interface import DialectName, ErrorKind
from proxy.dialects.registry import DIALECTS
from proxy.gateway.call import Refusal
from proxy.gateway.refuse import Refuser

NAMES: tuple[DialectName, ...] = tuple(DIALECTS)
dialects = pytest.mark.parametrize("dialect", NAMES)


def answer(
    kind: ErrorKind,
    status: int = 402,
    *,
    dialect: DialectName = "chat_completions",
    statuses: dict[str, int] | None = None,
    **more: Any,
) -> web.Response:
    refusal = Refusal(status=status, kind=kind, message="There is no room.", **more)
    return Refuser(statuses or {}).answer(refusal, DIALECTS[dialect], "call_a")


def document(response: web.Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    found: dict[str, Any] = json.loads(response.body)
    return found


@dialects
@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_refusal_is_an_error_in_every_dialect(dialect: DialectName, kind: ErrorKind) -> None:
    found = answer(kind, 418, dialect=dialect)

    assert found.status == 418
    assert found.content_type == "application/json"
    assert "There is no room." in json.dumps(document(found))
    for name in ("x-bursar-call-id", "x-request-id", "request-id"):
        assert found.headers[name] == "call_a"


@dialects
@pytest.mark.parametrize("kind", [ErrorKind.BUDGET_EXCEEDED, ErrorKind.WALLET_EXHAUSTED])
def test_the_status_of_a_refusal_for_money_can_be_set_for_each_dialect(
    dialect: DialectName, kind: ErrorKind
) -> None:
    assert answer(kind, dialect=dialect, statuses={dialect: 429}).status == 429
    assert answer(kind, dialect=dialect, statuses={"another": 429}).status == 402


def test_other_statuses_cannot_be_set() -> None:
    statuses = {"chat_completions": 400}

    assert answer(ErrorKind.NOT_FOUND, 404, statuses=statuses).status == 404


def test_a_rate_keeps_its_status_and_says_when_to_try_again() -> None:
    found = answer(
        ErrorKind.BUDGET_EXCEEDED, 429, retry_after_s=7, statuses={"chat_completions": 400}
    )

    assert found.status == 429
    assert found.headers["retry-after"] == "7"
    assert "x-should-retry" not in found.headers


TRANSIENT = {
    ErrorKind.LEDGER_UNAVAILABLE,
    ErrorKind.OVERLOADED,
    ErrorKind.UPSTREAM_UNREACHABLE,
    ErrorKind.UPSTREAM_TIMEOUT,
    ErrorKind.UPSTREAM_CUT,
}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_sdks_try_again_only_what_may_be_gone_in_a_moment(kind: ErrorKind) -> None:
    found = answer(kind, 500)

    assert found.headers.get("x-should-retry") == (None if kind in TRANSIENT else "false")
    assert "retry-after" not in found.headers


def test_the_dialects_words_for_a_budget_are_those_of_the_contract() -> None:
    chat, responses, messages, gemini = (
        document(answer(ErrorKind.BUDGET_EXCEEDED, dialect=name))["error"]
        for name in ("chat_completions", "responses", "messages", "generate_content")
    )

    for error in (chat, responses):
        assert (error["type"], error["code"]) == ("insufficient_quota", "budget_exceeded")
    assert messages["type"] == "billing_error"
    assert gemini["status"] == "RESOURCE_EXHAUSTED"
    assert "BUDGET_EXCEEDED" in json.dumps(gemini["details"])


def test_the_field_that_is_wrong_is_passed_on() -> None:
    found = answer(ErrorKind.MALFORMED, 400, param="max_tokens")

    assert document(found)["error"]["param"] == "max_tokens"


def test_headers_are_passed_on_and_can_be_carried() -> None:
    found = answer(
        ErrorKind.BUDGET_EXCEEDED,
        headers=(("x-bursar-budget", "Mönat – 1"), ("x-bursar-limit", "1 USD")),
    )

    assert found.headers["x-bursar-budget"] == "M\\xf6nat \\u2013 1"
    assert found.headers["x-bursar-limit"] == "1 USD"
