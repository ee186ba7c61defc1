"""Venice's paths, key, ids and refusals."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.venice import Venice
from tests.proxy.providers.configured import Configured, address, headers

BASE = "https://api.venice.ai/api"


def venice(base_url: str = BASE) -> Venice:
    return Venice("venice", Configured(kind="venice", base_url=base_url))


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/", f"{BASE}/v1", f"{BASE}/v1/"])
@pytest.mark.parametrize(
    ("request_line", "path"),
    [
        ("POST /v1/chat/completions", "/v1/chat/completions"),
        ("POST /api/v1/chat/completions", "/v1/chat/completions"),
        ("POST /v1/responses", "/v1/responses"),
        ("POST /v1/embeddings", "/v1/embeddings"),
        ("GET /v1/models", "/v1/models"),
    ],
)
def test_each_endpoint_has_its_place(base_url: str, request_line: str, path: str) -> None:
    method, asked = request_line.split(" ")

    assert address(venice(base_url), method, asked) == f"{method} {BASE}{path}"


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /v1/messages",
        "POST /v1beta/models/g:generateContent",
        "GET /v1/responses/resp_1",
        "POST /v1/responses/resp_1/cancel",
        "POST /v1/responses/input_tokens",
    ],
)
def test_what_it_does_not_speak_has_no_place(request_line: str) -> None:
    assert address(venice(), *request_line.split(" ")) is None


def test_its_key_is_a_bearer() -> None:
    assert headers(venice(), "POST", "/v1/chat/completions") == {"Authorization": "Bearer sk-own"}


def test_prices_are_on_its_list() -> None:
    (target,) = venice().prices_targets()

    assert target is not None
    assert f"{target.method} {target.url}" == f"GET {BASE}/v1/models"


def test_the_chat_id_inside_of_a_responses_id_is_tried_too() -> None:
    ids = venice().generation_ids(CIMultiDict(), ("resp_chatcmpl-1",))

    assert ids == ("resp_chatcmpl-1", "chatcmpl-1")
    assert venice().generation_ids(CIMultiDict(), ("chatcmpl-1",)) == ("chatcmpl-1",)


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (402, b"Insufficient USD or Diem balance to complete request", "credit"),
        (402, b"API key USD spend limit exceeded", "key_limit"),
        (429, b'{"error":"Rate limit exceeded"}', "rate_limit"),
        (503, b"", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert venice().is_quota_refusal(status, body) == label


def test_nothing_is_added_to_its_strict_requests() -> None:
    assert not venice().supports_usage_option
