"""One model, many spellings."""

from __future__ import annotations

import pytest

from proxy.prices.names import bare, canonical, plain, same_model, spellings


@pytest.mark.parametrize(
    ("kind", "written", "names"),
    [
        ("openai", "gpt-4o", ("gpt-4o",)),
        ("openai", "ft:gpt-4o:acme", ("ft:gpt-4o:acme",)),
        ("openrouter", "qwen/qwen3:free", ("qwen/qwen3:free",)),
        ("google", "models/gemini-3.8-flash", ("models/gemini-3.8-flash", "gemini-3.8-flash")),
        ("agipower", "acme/mini:upstream", ("acme/mini:upstream", "acme/mini")),
        (
            "venice",
            "glm-5:enable_web_search=on&x=1",
            ("glm-5:enable_web_search=on&x=1", "glm-5"),
        ),
        ("venice", "venice-glm-5", ("venice-glm-5", "glm-5")),
        ("venice", "venice-uncensored", ("venice-uncensored", "uncensored")),
    ],
)
def test_a_model_is_looked_up_by_the_most_exact_name_first(
    kind: str, written: str, names: tuple[str, ...]
) -> None:
    assert spellings(kind, written) == names


@pytest.mark.parametrize(
    ("kind", "name"), [("google", "gemini-2.5-pro"), ("agipower", "google/gemini-2.5-pro")]
)
def test_a_path_of_vertex_names_owner_and_model(kind: str, name: str) -> None:
    path = "projects/p/locations/eu/publishers/google/models/gemini-2.5-pro"

    assert spellings(kind, path) == (path, name)
    assert spellings(kind, "publishers/google/models/gemini-2.5-pro")[1] == name


@pytest.mark.parametrize(
    ("kind", "written", "name"),
    [
        ("agipower", "anthropic/claude-opus-4.6:amazon-bedrock", "anthropic/claude-opus-4.6"),
        ("agipower", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("venice", "venice-uncensored:enable_web_search=on", "venice-uncensored"),
        ("openrouter", "qwen/qwen3:free", "qwen/qwen3:free"),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_what_only_a_provider_takes_is_no_part_of_a_name(
    kind: str, written: str, name: str
) -> None:
    assert plain(kind, written) == name


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o", "openai/GPT-4o"),
        ("gpt-4", "gpt-4-0613"),
        ("mistral-small", "mistral-small-latest"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-sonnet-4.5", "Claude_Sonnet-4-5@20250929"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-opus-4@20250514", "claude-opus-4-20250514"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ],
)
def test_an_answer_may_name_the_same_model_otherwise(asked: str, answered: str) -> None:
    assert same_model(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-2024-05-13", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "azure/gpt-4o"),
        ("gpt-4", "gpt-4-1306"),
        ("gpt-4", "gpt-4-20261301"),
        ("gpt-4", "gpt-4-2026-0101"),
        ("gpt-4", "gpt-4-01-01"),
        ("qwen3-235b-a22b", "qwen3-235b-a22b-2507"),
        ("gpt-4", "gpt-40613"),
        ("gpt-4", "gpt-4-0613-latest"),
        ("qwen3", "qwen3:free"),
        ("claude-opus-4", "claude-opus-4-6"),
        ("gemini-1.5-pro", "gemini-1.5-pro-002"),
    ],
)
def test_an_answer_may_name_another_model(asked: str, answered: str) -> None:
    assert not same_model(asked, answered)


def test_dots_underscores_and_capitals_say_nothing() -> None:
    assert canonical("Anthropic/Claude_Sonnet-4.6") == canonical("anthropic/claude-sonnet-4-6")


def test_a_bare_name_has_no_owner() -> None:
    assert bare("anthropic/claude-opus-5.5") == "claude-opus-5.5"
    assert bare("gpt-4o") == "gpt-4o"
