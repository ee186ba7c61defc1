"""Which headers pass, in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy.providers.headers import (
    ANSWER_STRIPPED,
    REQUEST_STRIPPED,
    answer_headers,
    request_headers,
)
from proxy.providers.interface import Target

OWN = (("Authorization", "Bearer sk-own"),)
IDENTITY = ("Accept-Encoding", "identity")
UNBUFFERED = ("x-accel-buffering", "no")

Raw = list[tuple[bytes, bytes]]


def sent(
    *raw: tuple[str, str],
    own: tuple[tuple[str, str], ...] = OWN,
    body_changed: bool = False,
) -> list[tuple[str, str]]:
    target = Target(method="POST", url=URL("https://provider.example/"), headers=own)
    return request_headers(encoded(raw), target, body_changed=body_changed)


def relayed(*raw: tuple[str, str], body_changed: bool = False) -> list[tuple[str, str]]:
    return answer_headers(encoded(raw), body_changed=body_changed)


def encoded(raw: tuple[tuple[str, str], ...]) -> Raw:
    return [(name.encode(), value.encode()) for name, value in raw]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "a,b"),
        ("OpenAI-Organization", "org"),
        ("Idempotency-Key", "1"),
        ("x-goog-user-project", "p"),
        ("X-Stainless-Retry-Count", "0"),
        ("X-Claude-Code-Session-Id", "s"),
        ("traceparent", "00-a-b-01"),
        ("User-Agent", "OpenAI/Python"),
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream"),
        ("x-own", "grüß dich"),
    ],
)
def test_what_sdks_send_passes_unchanged(name: str, value: str) -> None:
    assert sent((name, value)) == [(name, value), IDENTITY, *OWN]


@pytest.mark.parametrize("name", sorted(name.decode() for name in REQUEST_STRIPPED))
def test_what_is_not_for_the_provider_does_not_pass(name: str) -> None:
    assert sent((name.title(), "x"), (name, "x"), own=()) == [IDENTITY]


@pytest.mark.parametrize("name", ["x-bursar-user", "X-Bursar-Tags", "X-Forwarded-For"])
def test_what_is_meant_for_the_proxy_does_not_pass(name: str) -> None:
    assert sent((name, "x")) == [IDENTITY, *OWN]


def test_a_clients_own_key_is_replaced_wherever_it_was() -> None:
    headers = sent(
        ("Authorization", "Bearer bsr_1"),
        ("x-api-key", "bsr_1"),
        ("x-goog-api-key", "bsr_1"),
        ("api-key", "bsr_1"),
    )

    assert headers == [IDENTITY, *OWN]


def test_a_header_of_the_configuration_replaces_the_clients() -> None:
    headers = sent(("HTTP-Referer", "theirs"), own=(("http-referer", "ours"),))

    assert headers == [IDENTITY, ("http-referer", "ours")]


def test_headers_named_by_connection_end_here() -> None:
    headers = sent(
        ("Connection", "keep-alive, X-Hop"),
        ("connection", "x-other"),
        ("x-hop", "1"),
        ("X-Other", "2"),
    )

    assert headers == [IDENTITY, *OWN]


def test_a_plain_connection_header_takes_nothing_along() -> None:
    assert sent(("Connection", "keep-alive"), ("x-a", "1")) == [("x-a", "1"), IDENTITY, *OWN]


def test_the_length_is_kept_while_the_body_is_the_clients() -> None:
    raw = (("Content-Length", "5"), ("Content-Encoding", "gzip"))

    assert sent(*raw) == [*raw, IDENTITY, *OWN]
    assert sent(*raw, body_changed=True) == [IDENTITY, *OWN]


def test_a_header_that_comes_twice_passes_twice() -> None:
    raw = (("anthropic-beta", "a"), ("anthropic-beta", "b"))

    assert sent(*raw) == [*raw, IDENTITY, *OWN]


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "x-request-id",
        "request-id",
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-reset",
        "retry-after-ms",
        "x-should-retry",
        "openai-processing-ms",
        "etag",
        "cf-ray",
        "server-timing",
        "x-generation-id",
        "Content-Length",
        "Content-Encoding",
    ],
)
def test_what_sdks_read_of_an_answer_passes(name: str) -> None:
    assert relayed((name, "1")) == [(name, "1"), UNBUFFERED]


@pytest.mark.parametrize("name", sorted(name.decode() for name in ANSWER_STRIPPED))
def test_what_is_the_providers_alone_does_not_pass(name: str) -> None:
    assert relayed((name.title(), "x")) == [UNBUFFERED]


def test_a_provider_cannot_speak_for_the_proxy() -> None:
    assert relayed(("X-Bursar-Call-Id", "call_1")) == [UNBUFFERED]


def test_an_answer_that_is_changed_has_no_length_any_more() -> None:
    assert relayed(("Content-Length", "5"), body_changed=True) == [UNBUFFERED]


def test_names_that_are_made_up_are_not_remembered_for_ever() -> None:
    headers = sent(*((f"x-made-up-{number}", "1") for number in range(2_000)))

    assert len(headers) == 2_002
    assert sent(("x-made-up-1999", "1"), ("y" * 100, "2"))[:2] == [
        ("x-made-up-1999", "1"),
        ("y" * 100, "2"),
    ]


_tokens = st.text(
    alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-",
    min_size=1,
    max_size=20,
)


@given(
    st.lists(
        st.tuples(
            st.one_of(_tokens, st.sampled_from(sorted(n.decode() for n in REQUEST_STRIPPED))),
            st.binary(max_size=30),
        )
    )
)
def test_no_header_that_is_stripped_ever_passes(raw: list[tuple[str, bytes]]) -> None:
    pairs = [(name.encode(), value) for name, value in raw]
    target = Target(method="POST", url=URL("https://provider.example/"), headers=())

    names = [name.lower().encode() for name, _ in request_headers(pairs, target, body_changed=True)]

    assert names.count(b"accept-encoding") == 1
    assert not set(names) & (REQUEST_STRIPPED - {b"accept-encoding"})


@given(st.binary(max_size=50))
def test_any_bytes_of_a_value_come_out_as_they_went_in(value: bytes) -> None:
    target = Target(method="POST", url=URL("https://provider.example/"), headers=())

    (_, text), *_ = request_headers([(b"x-any", value)], target, body_changed=False)

    assert text.encode("utf-8", "surrogateescape") == value
