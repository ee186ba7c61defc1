"""Vercel's paths, key, ids and refusals."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.vercel import Vercel
from tests.proxy.providers.configured import Configured, address, headers

BASE = "https://ai-gateway.vercel.sh"


def vercel(base_url: str = BASE) -> Vercel:
    return Vercel("vercel", Configured(kind="vercel", base_url=base_url))


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/v1"])
@pytest.mark.parametrize(
    ("request_line", "sent"),
    [
        ("POST /v1/chat/completions", f"POST {BASE}/v1/chat/completions"),
        ("POST /v1/responses", f"POST {BASE}/v1/responses"),
        ("POST /api/v1/messages?beta=true", f"POST {BASE}/v1/messages?beta=true"),
        ("POST /v1/embeddings", f"POST {BASE}/v1/embeddings"),
        ("GET /v1/models", f"GET {BASE}/v1/models"),
        ("POST /v1beta/models/g:generateContent", None),
    ],
)
def test_each_endpoint_has_its_place(base_url: str, request_line: str, sent: str | None) -> None:
    assert address(vercel(base_url), *request_line.split(" ")) == sent


def test_its_key_is_a_bearer_in_every_dialect() -> None:
    for path in ("/v1/chat/completions", "/v1/messages"):
        assert headers(vercel(), "POST", path) == {"Authorization": "Bearer sk-own"}


def test_its_list_is_not_read_for_prices() -> None:
    assert vercel().prices_targets() == ()


def test_the_headers_id_comes_before_the_bodys() -> None:
    answer = CIMultiDict({"X-Generation-Id": "gen-1"})

    assert vercel().generation_ids(answer, ("gen-1", "chatcmpl-2")) == ("gen-1", "chatcmpl-2")
    assert vercel().generation_ids(CIMultiDict(), ("a",)) == ("a",)


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (402, b'{"metadata":{"limit_source":"credits"}}', "credit"),
        (429, b"", "rate_limit"),
        (404, b"", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert vercel().is_quota_refusal(status, body) == label


def test_whether_usage_must_be_asked_for() -> None:
    assert vercel().supports_usage_option is True
