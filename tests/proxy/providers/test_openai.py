"""Paths, key and refusals of OpenAI and of what is like it."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.openai import OpenAI
from tests.proxy.providers.configured import Configured, address, headers

BASE = "http://localhost:11434/v1"


def openai(**changes: object) -> OpenAI:
    fields: dict[str, object] = {"base_url": BASE, **changes}
    return OpenAI("local", Configured(**fields))  # type: ignore[arg-type]  # Any field.


@pytest.mark.parametrize(
    ("request_line", "sent"),
    [
        ("POST /v1/chat/completions", f"POST {BASE}/chat/completions"),
        ("POST /api/v1/responses", f"POST {BASE}/responses"),
        ("GET /v1/responses/resp_1", f"GET {BASE}/responses/resp_1"),
        ("POST /v1/responses/resp_1/cancel", f"POST {BASE}/responses/resp_1/cancel"),
        ("POST /v1/responses/input_tokens", f"POST {BASE}/responses/input_tokens"),
        ("POST /v1/embeddings", f"POST {BASE}/embeddings"),
        ("GET /v1/models", f"GET {BASE}/models"),
        ("POST /v1/messages", None),
        ("POST /v1beta/models/g:generateContent", None),
    ],
)
def test_each_endpoint_has_its_place(request_line: str, sent: str | None) -> None:
    assert address(openai(), *request_line.split(" ")) == sent


def test_a_server_that_speaks_more_is_told_where() -> None:
    provider = openai(paths={"messages": "/messages", "prices": "/prices"})

    assert address(provider, "POST", "/v1/messages") == f"POST {BASE}/messages"
    (prices,) = provider.prices_targets()
    assert prices is not None
    assert str(prices.url) == f"{BASE}/prices"


def test_a_key_is_a_bearer_and_none_is_none() -> None:
    path = "/v1/chat/completions"

    assert headers(openai(), "POST", path) == {"Authorization": "Bearer sk-own"}
    assert headers(openai(api_key=""), "POST", path) == {}


def test_headers_of_the_configuration_go_along() -> None:
    provider = openai(headers={"OpenAI-Organization": "org"})

    sent = headers(provider, "POST", "/v1/chat/completions")

    assert sent == {"Authorization": "Bearer sk-own", "OpenAI-Organization": "org"}


def test_it_publishes_no_prices() -> None:
    assert openai().prices_targets() == ()


def test_its_ids_are_those_of_the_body() -> None:
    assert openai().generation_ids(CIMultiDict({"x-request-id": "r"}), ("a", "a")) == ("a",)


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (429, b'{"error":{"type":"insufficient_quota"}}', "credit"),
        (429, b'{"error":{"code":"credit_balance_exhausted"}}', "credit"),
        (
            429,
            b'{"error":{"type":"insufficient_quota","code":"project_spend_limit_exceeded"}}',
            "spend_limit",
        ),
        (429, b'{"error":{"code":"organization_usage_limit_exceeded"}}', "spend_limit"),
        (429, b'{"error":{"code":"rate_limit_exceeded"}}', "rate_limit"),
        (402, b"", "credit"),
        (500, b"insufficient_quota", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert openai().is_quota_refusal(status, body) == label


def test_usage_must_be_asked_for() -> None:
    assert openai().supports_usage_option
