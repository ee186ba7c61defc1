"""Anthropic's paths, key and refusals."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.anthropic import Anthropic
from tests.proxy.providers.configured import Configured, address, headers

BASE = "https://api.anthropic.com"


def anthropic(base_url: str = BASE) -> Anthropic:
    return Anthropic("anthropic", Configured(kind="anthropic", base_url=base_url))


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/v1"])
@pytest.mark.parametrize(
    ("request_line", "sent"),
    [
        ("POST /v1/messages?beta=true", f"POST {BASE}/v1/messages?beta=true"),
        ("POST /anthropic/v1/messages/count_tokens", f"POST {BASE}/v1/messages/count_tokens"),
        ("GET /v1/models", f"GET {BASE}/v1/models"),
        ("POST /v1/chat/completions", None),
    ],
)
def test_each_endpoint_has_its_place(base_url: str, request_line: str, sent: str | None) -> None:
    assert address(anthropic(base_url), *request_line.split(" ")) == sent


def test_its_key_has_a_header_of_its_own() -> None:
    assert headers(anthropic(), "POST", "/v1/messages") == {"x-api-key": "sk-own"}


def test_it_publishes_no_prices() -> None:
    assert anthropic().prices_targets() == ()


def test_its_ids_are_those_of_the_body() -> None:
    assert anthropic().generation_ids(CIMultiDict(), ("msg_1",)) == ("msg_1",)


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (400, b"You have reached your specified API usage limits.", "spend_limit"),
        (400, b"Your credit balance is too low", "credit"),
        (400, b"max_tokens: required", None),
        (402, b'{"error":{"type":"billing_error"}}', "credit"),
        (402, b"linked_organization_spend_limit_reached", "spend_limit"),
        (429, b"enforced_spend_limit_reached", "spend_limit"),
        (429, b'{"error":{"type":"rate_limit_error"}}', "rate_limit"),
        (529, b"overloaded_error", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert anthropic().is_quota_refusal(status, body) == label


def test_usage_need_not_be_asked_for() -> None:
    assert not anthropic().supports_usage_option
