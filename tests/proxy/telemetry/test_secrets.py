"""Taking secrets out of what is logged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.key_store import new_secret
from proxy.telemetry.secrets import REDACTED, TEXT_CHARACTERS_MAX, cleaned, is_dropped, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bsr_0123456789abcdef", f"bsr_{REDACTED}"),
        ("key sk-ai-v1-0123456789 refused", f"key sk-{REDACTED} refused"),
        ("VENICE_INFERENCE_KEY_abcdefgh1", f"VENICE_INFERENCE_KEY_{REDACTED}"),
        ("AIzaSyA1234567890", f"AIza{REDACTED}"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REDACTED}"),
        ("basic dXNlcjpwYXNzd29yZA==", f"basic {REDACTED}"),
        ("/v1beta/models?key=abc&alt=sse", f"/v1beta/models?key={REDACTED}&alt=sse"),
        ("redis://user:pass@host:6379/0", f"redis://user:{REDACTED}@host:6379/0"),
        ("redis://:pass@host", f"redis://:{REDACTED}@host"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", f"eyJ{REDACTED}"),
    ],
)
def test_whatever_looks_like_a_key_is_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    ["bsr_abc123", "call_01jd8x", "claude-sonnet-4.6", "a task-oriented text", "http://host:80/x"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_a_text_has_an_end() -> None:
    shown = redacted("x" * (TEXT_CHARACTERS_MAX + 1))

    assert shown.endswith(f"({TEXT_CHARACTERS_MAX + 1} characters)")


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "plain text"])
def test_plain_values_stay_as_they_are(value: object) -> None:
    assert cleaned(value) == value


def test_bytes_are_never_shown() -> None:
    assert cleaned(b"prompt") == "[6 bytes]"
    assert cleaned(memoryview(b"prompt")) == "[6 bytes]"


def test_values_inside_of_values_are_searched() -> None:
    secret = new_secret()

    shown = cleaned({"a": [secret, (secret,)], "X-API-Key": 1, "api-key": "x", secret: 1})

    assert shown == {
        "a": [f"bsr_{REDACTED}", [f"bsr_{REDACTED}"]],
        "X-API-Key": 1,
        "api-key": REDACTED,
        f"bsr_{REDACTED}": 1,
    }


def test_what_nests_too_deep_is_not_shown() -> None:
    assert cleaned([[[[["deep"]]]]]) == [[[[REDACTED]]]]


def test_other_objects_are_shown_as_text() -> None:
    assert cleaned(ValueError("sk-0123456789ab")) == f"sk-{REDACTED}"


@pytest.mark.parametrize("name", ["body", "Authorization", "API-Key", "headers", "prompt"])
def test_some_fields_are_never_shown(name: str) -> None:
    assert is_dropped(name)
    assert not is_dropped(f"{name}_bytes")
    assert not is_dropped(7)


@given(st.text(), st.text())
def test_no_callers_key_is_ever_shown(before: str, after: str) -> None:
    secret = new_secret()

    assert secret not in redacted(f"{before} {secret}{after}")
