"""Errors in each provider's words."""

import json

import pytest

from proxy.simulator.paths import Flavour
from proxy.simulator.refusals import error_event, error_object, refusal_type


@pytest.mark.parametrize(
    ("flavour", "dialect", "document"),
    [
        (
            Flavour.AGIPOWER,
            "messages",
            {"error": {"code": "429", "type": "rate_limit", "message": "no"}},
        ),
        (Flavour.VENICE, "chat_completions", {"error": "no"}),
        (
            Flavour.OPENROUTER,
            "chat_completions",
            {
                "error": {
                    "code": 429,
                    "message": "no",
                    "metadata": {"error_type": "rate_limit_error"},
                }
            },
        ),
        (
            Flavour.ANTHROPIC,
            "messages",
            {
                "type": "error",
                "error": {"type": "rate_limit_error", "message": "no"},
                "request_id": "req_simulated",
            },
        ),
        (
            Flavour.GOOGLE,
            "generate_content",
            {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}},
        ),
        (
            Flavour.OPENAI,
            "responses",
            {"error": {"message": "no", "type": "rate_limit_error", "param": None, "code": None}},
        ),
    ],
)
def test_an_error_has_the_envelope_of_its_provider(
    flavour: Flavour, dialect: str, document: object
) -> None:
    assert error_object(flavour, dialect, 429, "no") == document


@pytest.mark.parametrize(
    ("flavour", "dialect", "status", "type_"),
    [
        (Flavour.AGIPOWER, "chat_completions", 418, "provider_error"),
        (Flavour.OPENAI, "chat_completions", 503, "server_error"),
        (Flavour.OPENAI, "chat_completions", 418, "invalid_request_error"),
        (Flavour.ANTHROPIC, "messages", 502, "api_error"),
        (Flavour.ANTHROPIC, "messages", 418, "invalid_request_error"),
        (Flavour.GOOGLE, "generate_content", 418, "UNKNOWN"),
    ],
)
def test_an_uncommon_status_still_has_a_type(
    flavour: Flavour, dialect: str, status: int, type_: str
) -> None:
    assert refusal_type(flavour, dialect, status) == type_


@pytest.mark.parametrize(
    ("flavour", "dialect", "place"),
    [
        (Flavour.AGIPOWER, "chat_completions", ("error", "type")),
        (Flavour.OPENAI, "chat_completions", ("error", "type")),
        (Flavour.OPENAI, "messages", ("error", "type")),
        (Flavour.OPENAI, "responses", ("code",)),
        (Flavour.GOOGLE, "generate_content", ("error", "status")),
    ],
)
def test_an_error_within_a_stream_names_its_type(
    flavour: Flavour, dialect: str, place: tuple[str, ...]
) -> None:
    value = json.loads(error_event(flavour, dialect, "no", type_="overloaded", code=None))

    for name in place:
        value = value[name]
    assert value == "overloaded"
