"""Which model a name means."""

import pytest

from proxy.simulator.models import MODELS, UNLISTED, find_model


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("openai/gpt-5.6", "openai/gpt-5.6"),
        ("gpt-5.6", "openai/gpt-5.6"),
        ("gpt-4o-2026-06-01", "openai/gpt-4o"),
        ("claude-sonnet-4-6", "anthropic/claude-sonnet-4.6"),
        ("claude-sonnet-4-6@20260101", "anthropic/claude-sonnet-4.6"),
        ("anthropic/claude-sonnet-4.6:amazon-bedrock", "anthropic/claude-sonnet-4.6"),
        ("models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ],
)
def test_a_model_is_known_by_each_of_its_spellings(name: str, model: str) -> None:
    assert find_model(name, venice=False).id == model


def test_venice_has_models_and_suffixes_of_its_own() -> None:
    assert find_model("zai-org-glm-5-1:enable_web_search=on", venice=True).id == "zai-org-glm-5-1"
    assert find_model("venice-uncensored", venice=True).owner == "venice"


def test_a_model_that_nobody_lists_has_the_price_of_the_unlisted() -> None:
    stranger = find_model("acme/never-heard-of", venice=False)

    assert stranger.unpriced
    assert stranger.prices == UNLISTED
    assert stranger.bare == "never-heard-of"


def test_no_id_is_listed_twice() -> None:
    assert len({(model.id, model.venice) for model in MODELS}) == len(MODELS)
