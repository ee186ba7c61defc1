"""AGIPower's paths, keys, ids and refusals."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.agipower import AgiPower
from tests.proxy.providers.configured import Configured, address, endpoint, headers

HOST = "https://agipower.example"
MODELS = f"{HOST}/api/vertex-ai"


def agipower(**changes: object) -> AgiPower:
    fields: dict[str, object] = {"kind": "agipower", "base_url": HOST, **changes}
    return AgiPower("agipower", Configured(**fields))  # type: ignore[arg-type]  # Any field.


@pytest.mark.parametrize(
    ("request_line", "sent"),
    [
        ("POST /v1/chat/completions", f"POST {HOST}/api/v1/chat/completions"),
        ("POST /v1/responses", f"POST {HOST}/api/v1/responses"),
        ("GET /v1/responses/resp_1?stream=true", f"GET {HOST}/api/v1/responses/resp_1?stream=true"),
        ("POST /v1/responses/resp_1/cancel", f"POST {HOST}/api/v1/responses/resp_1/cancel"),
        ("POST /v1/responses/input_tokens", f"POST {HOST}/api/v1/responses/input_tokens"),
        ("POST /v1/messages?beta=true", f"POST {HOST}/api/anthropic/v1/messages?beta=true"),
        ("POST /v1/messages/count_tokens", f"POST {HOST}/api/anthropic/v1/messages/count_tokens"),
        ("POST /v1/embeddings", f"POST {HOST}/api/v1/embeddings"),
        ("GET /v1/models", f"GET {HOST}/api/v1/models"),
        ("GET /anthropic/v1/models", f"GET {HOST}/api/anthropic/v1/models"),
        ("GET /v1beta/models", f"GET {MODELS}/v1beta/models"),
        (
            "POST /v1/publishers/google/models/g:generateContent",
            f"POST {MODELS}/v1/publishers/google/models/g:generateContent",
        ),
        (
            "POST /v1beta/models/g:streamGenerateContent?alt=sse",
            f"POST {MODELS}/v1beta/publishers/google/models/g:streamGenerateContent?alt=sse",
        ),
        (
            "POST /v1beta/models/anthropic/c:amazon:countTokens",
            f"POST {MODELS}/v1beta/publishers/anthropic/models/c:amazon:countTokens",
        ),
        (
            "POST /v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent",
            f"POST {MODELS}/v1beta/publishers/google/models/g:generateContent",
        ),
    ],
)
def test_each_endpoint_has_its_place(request_line: str, sent: str) -> None:
    assert address(agipower(), *request_line.split(" ")) == sent


@pytest.mark.parametrize("request_line", ["HEAD /", "GET /v1/budget"])
def test_what_the_proxy_answers_itself_has_no_place(request_line: str) -> None:
    assert address(agipower(), *request_line.split(" ")) is None


def test_messages_carry_the_key_as_anthropic_has_it_and_others_as_bearer() -> None:
    assert headers(agipower(), "POST", "/v1/messages") == {"x-api-key": "sk-own"}
    for path in ("/v1/chat/completions", "/v1beta/models/g:generateContent"):
        assert headers(agipower(), "POST", path) == {"Authorization": "Bearer sk-own"}


def test_every_path_can_be_another_one() -> None:
    paths = {"messages": "/v2/messages", "generate_content": "/g/{publisher}/{model}"}
    provider = agipower(paths=paths)

    assert address(provider, "POST", "/v1/messages") == f"POST {HOST}/v2/messages"
    model = "/v1beta/models/g:generateContent"
    assert address(provider, "POST", model) == f"POST {HOST}/g/google/g"


def test_prices_are_on_two_public_lists() -> None:
    first, second = agipower().prices_targets()

    assert first is not None
    assert second is not None
    assert f"{first.method} {first.url}" == f"GET {HOST}/api/v1/models"
    assert f"{second.method} {second.url}" == f"GET {MODELS}/v1beta/models"
    assert first.headers == second.headers == ()


def test_ids_come_in_the_order_in_which_they_are_likely() -> None:
    answer = CIMultiDict({"X-ZenMux-RequestId": "req_1", "x-generation-id": "gen_1"})

    assert agipower().generation_ids(answer, ("body",)) == ("gen_1", "body", "req_1")
    assert agipower().generation_ids(CIMultiDict()) == ()


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (402, b'{"error":{"code":"402","type":"quote_exceeded"}}', "quota"),
        (402, b'{"error":{"type":"quota_exceeded"}}', "quota"),
        (402, b'{"error":{"type":"insufficient_credit"}}', "credit"),
        (402, b'{"error":{"type":"reject_no_credit"}}', "credit"),
        (429, b'{"error":{"type":"rate_limit"}}', "rate_limit"),
        (400, b'{"error":{"type":"invalid_params"}}', None),
        (403, b"quote_exceeded", None),
        (200, b"", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert agipower().is_quota_refusal(status, body) == label


def test_usage_must_be_asked_for() -> None:
    assert agipower().supports_usage_option
    assert (agipower().name, agipower().kind) == ("agipower", "agipower")


def test_a_target_shows_no_key() -> None:
    target = agipower().target(endpoint("POST", "/v1/messages"))

    assert "sk-own" not in repr(target)
    assert "/api/anthropic/v1/messages" in repr(target)
