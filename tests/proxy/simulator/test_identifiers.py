"""Ids as the providers form them."""

import re

import pytest

from proxy.simulator.identifiers import digest, ids_of
from proxy.simulator.paths import Flavour

_ONE = digest(0, 1)


@pytest.mark.parametrize(
    ("flavour", "dialect", "form"),
    [
        (Flavour.AGIPOWER, "chat_completions", r"[0-9a-f]{32}"),
        (Flavour.AGIPOWER, "messages", r"[0-9a-f]{32}"),
        (Flavour.AGIPOWER, "responses", r"resp_[0-9a-f]{50}"),
        (Flavour.AGIPOWER, "generate_content", r"\w{22}"),
        (Flavour.AGIPOWER, "embeddings", ""),
        (Flavour.VENICE, "chat_completions", r"chatcmpl-[0-9a-f]{32}"),
        (Flavour.VENICE, "responses", r"resp_chatcmpl-[0-9a-f]{32}"),
        (Flavour.OPENAI, "chat_completions", r"chatcmpl-[0-9a-f]{32}"),
        (Flavour.ANTHROPIC, "messages", r"msg_01[0-9a-f]{32}"),
        (Flavour.OPENROUTER, "messages", r"gen-[0-9a-f-]+"),
        (Flavour.VERCEL, "chat_completions", r"chatcmpl-[0-9a-f]{32}"),
    ],
)
def test_an_id_has_the_form_of_its_provider(flavour: Flavour, dialect: str, form: str) -> None:
    assert re.fullmatch(form, ids_of(_ONE, flavour, dialect).body)


def test_vercel_has_a_generation_id_beside_the_body() -> None:
    assert re.fullmatch(r"gen_[0-9A-Z]{26}", ids_of(_ONE, Flavour.VERCEL, "messages").gateway)


def test_ids_follow_from_seed_and_number() -> None:
    assert digest(0, 1) == digest(0, 1)
    assert len({digest(0, 1), digest(0, 2), digest(1, 1)}) == 3
