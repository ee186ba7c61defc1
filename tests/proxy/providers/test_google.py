"""Google's hosts, paths, key and refusals."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.providers.google import Google
from tests.proxy.providers.configured import Configured, address, headers

GEMINI = "https://generativelanguage.googleapis.com"
VERTEX = "https://aiplatform.googleapis.com"
REGIONS = "https://{location}-aiplatform.googleapis.com"
ELSEWHERE = "http://localhost:9090/google"
IN_PROJECT = "projects/p/locations/us-central1/publishers/google/models/g"


def google(base_url: str) -> Google:
    return Google("google", Configured(kind="google", base_url=base_url))


@pytest.mark.parametrize(
    ("base_url", "path", "sent"),
    [
        (GEMINI, "/v1beta/models/g:generateContent", "/v1beta/models/g:generateContent"),
        (f"{GEMINI}/v1beta", "/v1beta/models/g:countTokens", "/v1beta/models/g:countTokens"),
        (
            GEMINI,
            "/v1beta1/publishers/google/models/g:streamGenerateContent?alt=sse",
            "/v1beta/models/g:streamGenerateContent?alt=sse",
        ),
        (
            VERTEX,
            "/v1beta/models/g:generateContent",
            "/v1beta1/publishers/google/models/g:generateContent",
        ),
        (
            VERTEX,
            "/v1/publishers/meta/models/l:generateContent",
            "/v1/publishers/meta/models/l:generateContent",
        ),
        (
            VERTEX,
            "/v1/projects/p/locations/global/models/g:generateContent",
            "/v1/projects/p/locations/global/publishers/google/models/g:generateContent",
        ),
        (
            ELSEWHERE,
            f"/v1beta1/{IN_PROJECT}:generateContent",
            f"/v1beta1/{IN_PROJECT}:generateContent",
        ),
        (
            ELSEWHERE,
            "/v1beta1/publishers/google/models/g:generateContent",
            "/v1beta1/publishers/google/models/g:generateContent",
        ),
        (ELSEWHERE, "/v1beta/models/g:generateContent", "/v1beta/models/g:generateContent"),
    ],
)
def test_the_clients_path_is_kept_as_far_as_the_host_knows_it(
    base_url: str, path: str, sent: str
) -> None:
    assert address(google(base_url), "POST", path) == (
        f"POST {base_url.removesuffix('/v1beta')}{sent}"
    )


@pytest.mark.parametrize(
    ("path", "host"),
    [
        (f"/v1/{IN_PROJECT}:generateContent", "https://us-central1-aiplatform.googleapis.com"),
        (f"/v1/{IN_PROJECT}:generateContent".replace("us-central1", "global"), VERTEX),
        ("/v1/publishers/google/models/g:generateContent", VERTEX),
    ],
)
def test_a_region_is_part_of_the_host_where_the_configuration_says_so(path: str, host: str) -> None:
    sent = address(google(REGIONS), "POST", path)

    assert sent is not None
    assert sent.removeprefix("POST ").startswith(f"{host}/")


@pytest.mark.parametrize(
    ("base_url", "sent"),
    [
        (GEMINI, "/v1beta/models"),
        (VERTEX, "/v1beta1/publishers/google/models"),
    ],
)
def test_models_are_listed_where_the_host_has_them(base_url: str, sent: str) -> None:
    assert address(google(base_url), "GET", "/v1beta/models") == f"GET {base_url}{sent}"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/embeddings"])
def test_it_speaks_no_other_dialect(path: str) -> None:
    assert address(google(GEMINI), "POST", path) is None


def test_its_key_has_a_header_of_its_own() -> None:
    sent = headers(google(GEMINI), "POST", "/v1beta/models/g:generateContent")

    assert sent == {"x-goog-api-key": "sk-own"}


def test_it_publishes_no_prices() -> None:
    assert google(GEMINI).prices_targets() == ()


def test_its_ids_are_those_of_the_body() -> None:
    assert google(GEMINI).generation_ids(CIMultiDict(), ("r",)) == ("r",)


@pytest.mark.parametrize(
    ("status", "body", "label"),
    [
        (429, b'{"error":{"status":"RESOURCE_EXHAUSTED"}}', "rate_limit"),
        (429, b"Your prepaid balance is depleted", "credit"),
        (429, b"spend-based limit", "spend_limit"),
        (400, b"", None),
    ],
)
def test_a_refusal_says_what_has_run_out(status: int, body: bytes, label: str | None) -> None:
    assert google(GEMINI).is_quota_refusal(status, body) == label


def test_usage_need_not_be_asked_for() -> None:
    assert not google(GEMINI).supports_usage_option
