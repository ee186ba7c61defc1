"""OpenAI's envelope, with the words that make its SDKs stop."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.interface import ErrorKind
from proxy.dialects.openai_errors import error, error_body


def test_a_budget_s_refusal_is_an_insufficient_quota() -> None:
    assert json.loads(error_body(ErrorKind.BUDGET_EXCEEDED, "No.")) == {
        "error": {
            "message": "No.",
            "type": "insufficient_quota",
            "param": None,
            "code": "budget_exceeded",
        }
    }


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_its_words(kind: ErrorKind) -> None:
    words = error(kind, "Why.", "n")

    assert words.type
    assert words.code
    assert words.param == "n"
