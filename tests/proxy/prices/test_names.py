"""One model, many spellings."""

from __future__ import annotations

import pytest

from proxy.prices.names import bare, canonical, spellings


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


def test_dots_underscores_and_capitals_say_nothing() -> None:
    assert canonical("Anthropic/Claude_Sonnet-4.6") == canonical("anthropic/claude-sonnet-4-6")


def test_a_bare_name_has_no_owner() -> None:
    assert bare("anthropic/claude-opus-5.5") == "claude-opus-5.5"
    assert bare("gpt-4o") == "gpt-4o"
