"""Which endpoint a path names, and that everything else is not forwarded."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.endpoints import (
    METERED,
    PATH_BYTES_MAX,
    Endpoint,
    NotFound,
    Operation,
    find_endpoint,
)

PROVIDERS = frozenset({"agipower", "venice", "anthropic"})
VERTEX = "/api/vertex-ai/v1/publishers/google/models/gemini-2.5-pro"


def found(method: str, target: str) -> Endpoint:
    endpoint = find_endpoint(method, target, PROVIDERS)
    assert isinstance(endpoint, Endpoint), endpoint
    return endpoint


def not_found(method: str, target: str) -> NotFound:
    missing = find_endpoint(method, target, PROVIDERS)
    assert isinstance(missing, NotFound), missing
    return missing


@pytest.mark.parametrize(
    ("method", "path", "operation", "dialect"),
    [
        ("POST", "/v1/chat/completions", Operation.CHAT_COMPLETIONS, "chat_completions"),
        ("POST", "/api/v1/chat/completions", Operation.CHAT_COMPLETIONS, "chat_completions"),
        ("POST", "/v1/responses", Operation.RESPONSES, "responses"),
        ("POST", "/api/v1/responses", Operation.RESPONSES, "responses"),
        ("GET", "/v1/responses/resp_1", Operation.RESPONSE_GET, "responses"),
        ("GET", "/api/v1/responses/resp_1", Operation.RESPONSE_GET, "responses"),
        ("POST", "/v1/responses/resp_1/cancel", Operation.RESPONSE_CANCEL, "responses"),
        ("POST", "/v1/responses/input_tokens", Operation.RESPONSE_INPUT_TOKENS, "responses"),
        ("POST", "/v1/messages", Operation.MESSAGES, "messages"),
        ("POST", "/api/anthropic/v1/messages", Operation.MESSAGES, "messages"),
        ("POST", "/api/v1/messages", Operation.MESSAGES, "messages"),
        ("POST", "/v1/messages/count_tokens", Operation.COUNT_TOKENS, "messages"),
        ("POST", "/v1/embeddings", Operation.EMBEDDINGS, "embeddings"),
        ("GET", "/v1/models", Operation.MODELS, "chat_completions"),
        ("GET", "/api/anthropic/v1/models", Operation.MODELS, "messages"),
        ("GET", "/v1beta/models", Operation.GEMINI_MODELS, "generate_content"),
        (
            "GET",
            "/v1beta1/publishers/google/models",
            Operation.GEMINI_MODELS,
            "generate_content",
        ),
        ("GET", "/v1/budget", Operation.BUDGET, "chat_completions"),
        ("HEAD", "/", Operation.PROBE, "messages"),
    ],
)
def test_a_listed_path_names_its_endpoint(
    method: str, path: str, operation: Operation, dialect: str
) -> None:
    endpoint = found(method, path)

    assert (endpoint.operation, endpoint.dialect) == (operation, dialect)
    assert endpoint.metered is (operation in METERED)
    assert endpoint.provider is None


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/responses/resp_1", "/v1beta/models/m:generateContent"]
)
def test_each_path_also_lies_below_a_provider(path: str) -> None:
    method = "GET" if "resp_1" in path else "POST"

    below = found(method, f"/venice{path}")

    assert below.provider == "venice"
    assert below.operation is found(method, path).operation


def test_a_provider_named_like_a_dialects_prefix_is_meant() -> None:
    named = find_endpoint("POST", "/anthropic/v1/messages", PROVIDERS)
    prefix = find_endpoint("POST", "/anthropic/v1/messages", frozenset({"venice"}))

    assert isinstance(named, Endpoint)
    assert isinstance(prefix, Endpoint)
    assert (named.provider, prefix.provider) == ("anthropic", None)


@pytest.mark.parametrize("path", ["/agipower", "/agipower/"])
def test_a_provider_can_be_probed(path: str) -> None:
    endpoint = found("HEAD", path)

    assert (endpoint.operation, endpoint.provider) == (Operation.PROBE, "agipower")


# generateContent…


@pytest.mark.parametrize(
    ("path", "model", "publisher", "version", "slug"),
    [
        (
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "gemini-2.5-pro",
            None,
            "v1beta",
            "gemini-2.5-pro",
        ),
        (
            "/v1/publishers/google/models/gemini-2.5-pro:generateContent",
            "gemini-2.5-pro",
            "google",
            "v1",
            "gemini-2.5-pro",
        ),
        (
            f"{VERTEX}:generateContent",
            "gemini-2.5-pro",
            "google",
            "v1",
            "google/gemini-2.5-pro",
        ),
        (
            "/v1beta1/publishers/anthropic/models/claude@1:generateContent",
            "claude@1",
            "anthropic",
            "v1beta1",
            "anthropic/claude@1",
        ),
        (
            "/v1beta/models/anthropic/claude-3.7-sonnet:amazon-bedrock:generateContent",
            "anthropic/claude-3.7-sonnet:amazon-bedrock",
            None,
            "v1beta",
            "anthropic/claude-3.7-sonnet:amazon-bedrock",
        ),
        (
            "/v1/models/a%3Ab%40c:generateContent",
            "a:b@c",
            None,
            "v1",
            "a:b@c",
        ),
    ],
)
def test_a_path_names_its_model(
    path: str, model: str, publisher: str | None, version: str, slug: str
) -> None:
    endpoint = found("POST", path)

    assert endpoint.operation is Operation.GENERATE_CONTENT
    assert (endpoint.model, endpoint.publisher, endpoint.version) == (model, publisher, version)
    assert endpoint.slug == slug


def test_the_path_says_whether_an_answer_streams() -> None:
    assert found("POST", f"{VERTEX}:streamGenerateContent?alt=sse").streams
    assert not found("POST", f"{VERTEX}:generateContent").streams


def test_counting_tokens_is_free() -> None:
    endpoint = found("POST", f"{VERTEX}:countTokens")

    assert endpoint.operation is Operation.GEMINI_COUNT_TOKENS
    assert not endpoint.metered


def test_project_and_location_are_kept() -> None:
    endpoint = found(
        "POST",
        "/v1beta1/projects/acme.com:shop/locations/us-central1/publishers/google/models/g:countTokens",
    )

    assert (endpoint.project, endpoint.location) == ("acme.com:shop", "us-central1")


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/gemini-2.5-pro:generateContent",
        "/v1beta/models/google/gemini-2.5-pro:generateContent",
        "/v1/publishers/google/models/gemini-2.5-pro:generateContent",
        f"{VERTEX}:generateContent",
    ],
)
def test_a_model_has_one_name_at_agipower_however_the_path_is_written(path: str) -> None:
    assert found("POST", path).slug_for("agipower") == "google/gemini-2.5-pro"


def test_other_kinds_and_other_dialects_have_the_plain_name() -> None:
    plain = found("POST", "/v1beta/models/gemini-2.5-pro:generateContent")

    assert plain.slug_for("google") == "gemini-2.5-pro"
    assert found("POST", "/v1/chat/completions").slug_for("agipower") is None


# Queries…


@pytest.mark.parametrize(
    ("query", "kept", "key"),
    [
        ("beta=true", "beta=true", None),
        ("key=bsr_1", "", "bsr_1"),
        ("alt=sse&key=bsr_1", "alt=sse", "bsr_1"),
        ("%6bey=bsr%5F1&alt=sse", "alt=sse", "bsr_1"),
        ("key=bsr_1&key=bsr_2", "", "bsr_1"),
        ("monkey=1", "monkey=1", None),
        ("access_token=ya29&x=1", "x=1", None),
        ("fields=candidates&alt=sse", "alt=sse", None),
        ("%24fields=candidates&%24alt=sse", "%24alt=sse", None),
        ("$httpHeaders=a&$req=b", "", None),
        ("callback=f", "", None),
        ("x=a%2Bb", "x=a%2Bb", None),
    ],
)
def test_a_query_goes_on_without_keys_and_without_what_hides_usage(
    query: str, kept: str, key: str | None
) -> None:
    endpoint = found("POST", f"/v1/messages?{query}")

    assert (endpoint.query, endpoint.key_from_query) == (kept, key)


def test_a_stored_response_is_streamed_when_its_query_says_so() -> None:
    assert found("GET", "/v1/responses/resp_1?stream=true&starting_after=4").streams
    assert not found("GET", "/v1/responses/resp_1").streams


@pytest.mark.parametrize("query", ["a=\r\nx", "a=b#c", "a=é", "a=b c"])
def test_a_query_with_characters_that_it_may_not_have_is_refused(query: str) -> None:
    assert not_found("POST", f"/v1/messages?{query}").status == 400


# What is not there…


@pytest.mark.parametrize(
    "path",
    [
        "/v1/completions",
        "/v1/responses/compact",
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/messages/batches",
        "/v1/rerank",
        "/v1/models/gemini:batchEmbedContents",
        "/v1/tunedModels/x:generateContent",
        "/v1/models/a/b/c:generateContent",
        "/v1/publishers/google/models/a/b:generateContent",
        "/v1beta/models/m:generateContent/",
        "/v2/chat/completions",
        "/V1/chat/completions",
        "/unknown/v1/chat/completions",
        "/agipower/venice/v1/chat/completions",
        "/admin/v1/keys",
    ],
)
def test_what_is_not_metered_is_not_forwarded(path: str) -> None:
    missing = not_found("POST", path)

    assert missing.status == 404
    assert "not metered, therefore" in missing.message


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/../messages",
        "/v1/./messages",
        "/v1//messages",
        "//v1/messages",
        "/v1/models/..:generateContent",
        "/v1/responses/..",
        "/v1/responses/%2e%2e/x",
        "/v1/models/a%2Fb:generateContent",
        "/v1/models/a%5Cb:generateContent",
        "/v1/models/a%00b:generateContent",
        "/v1/models/a%252Fb:generateContent",
        "/v1/models/a%ZZ:generateContent",
        "/v1/models/é:generateContent",
        "/v1/models/a\tb:generateContent",
        "/v1/models/a\\b:generateContent",
        "v1/messages",
        "*",
        "/v1/models/" + "a" * PATH_BYTES_MAX + ":generateContent",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    assert not_found("POST", path).status == 400


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", ("POST",)),
        ("POST", "/v1/models", ("GET",)),
        ("GET", "/v1/responses", ("POST",)),
        ("DELETE", "/v1/responses/resp_1", ("GET",)),
        ("GET", "/v1/responses/resp_1/cancel", ("POST",)),
        ("GET", f"{VERTEX}:generateContent", ("POST",)),
        ("GET", "/", ("HEAD",)),
    ],
)
def test_another_method_is_told_which_would_do(
    method: str, path: str, allow: tuple[str, ...]
) -> None:
    missing = not_found(method, path)

    assert (missing.status, missing.allow) == (405, allow)


@pytest.mark.parametrize("path", ["/", "/agipower", "/agipower/"])
def test_google_genai_without_project_and_key_is_told_what_to_set(path: str) -> None:
    missing = not_found("POST", path)

    assert (missing.status, missing.dialect) == (400, "generate_content")
    assert "project" in missing.hint


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/v1/messages", "leave it out"),
        ("/chat/completions", "/v1"),
        ("/messages", "/v1"),
        ("/v1/chat/completions/", "slash"),
        ("/openai/deployments/gpt/chat/completions", "Azure"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict", "/v1/messages"),
        ("/v1/projects/p/locations/l/publishers/google/models/e:predict", "/v1/embeddings"),
    ],
)
def test_usual_mistakes_get_a_hint(path: str, hint: str) -> None:
    assert hint in not_found("POST", path).hint


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/messages/batches", "messages"),
        ("/v1beta/x", "generate_content"),
        ("/v1/responses/resp_1/input_items", "responses"),
        ("/embeddings", "embeddings"),
        ("/v1/completions", "chat_completions"),
    ],
)
def test_a_refusal_is_in_the_dialect_that_the_path_suggests(path: str, dialect: str) -> None:
    assert not_found("POST", path).dialect == dialect


def test_a_message_shows_no_endless_path() -> None:
    assert len(not_found("POST", "/v1/" + "x" * 1_000).message) < 250


# Properties…

_model_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+,=&()~-]{0,40}", fullmatch=True)


@given(model=_model_names, publisher=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True))
def test_any_name_of_a_model_comes_out_as_it_was_encoded(model: str, publisher: str) -> None:
    path = f"/v1/publishers/{publisher}/models/{quote(model, safe='')}:generateContent"

    endpoint = found("POST", path)

    assert (endpoint.publisher, endpoint.model) == (publisher, model)


@given(st.text(alphabet="/.:%2eEfF5cCv1betamodlsgnrCx-\\#? ", max_size=60))
def test_no_path_yields_a_name_that_leaves_its_place(text: str) -> None:
    endpoint = find_endpoint("POST", f"/v1beta/models/{text}:generateContent", PROVIDERS)

    if isinstance(endpoint, Endpoint) and endpoint.model is not None:
        assert not set(endpoint.model) & set("%\\#? ")
        assert ".." not in endpoint.model.split("/")
        assert endpoint.model.count("/") <= 1


@given(st.text(max_size=200))
def test_any_text_is_found_or_not_found(text: str) -> None:
    assert isinstance(find_endpoint("POST", text, PROVIDERS), Endpoint | NotFound)
