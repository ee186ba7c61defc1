"""What `bursar run` takes from the environment, and what it gives to the program."""

from __future__ import annotations

import pytest

from proxy.cli.run_variables import VENDORS, program_environ, providers_from, routes_between
from proxy.settings import ProviderSettings

GATEWAY = "http://127.0.0.1:1234"
KEY = "bsr_private"


def given(environ: dict[str, str]) -> dict[str, str]:
    return program_environ(environ, gateway=GATEWAY, key=KEY, providers=providers_from(environ))


def test_every_sdk_finds_the_gateway_where_nothing_was_set() -> None:
    found = given({"HOME": "/home/me"})

    assert found["HOME"] == "/home/me"
    assert found["OPENAI_BASE_URL"] == found["OPENAI_API_BASE"] == f"{GATEWAY}/v1"
    assert found["ANTHROPIC_BASE_URL"] == GATEWAY
    assert found["GOOGLE_GEMINI_BASE_URL"] == found["GOOGLE_VERTEX_BASE_URL"] == GATEWAY
    assert found["OPENROUTER_BASE_URL"] == f"{GATEWAY}/api/v1"
    keys = ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "OPENROUTER")
    assert {found[f"{vendor}_API_KEY"] for vendor in keys} == {KEY}


def test_no_key_of_a_provider_reaches_the_program() -> None:
    secrets = {
        "OPENAI_API_KEY": "sk-openai-1",
        "OPENAI_ADMIN_KEY": "sk-openai-admin",
        "ANTHROPIC_API_KEY": "sk-ant-1234",
        "ANTHROPIC_AUTH_TOKEN": "sk-ant-token",
        "GOOGLE_API_KEY": "AIza-google",
        "GEMINI_API_KEY": "AIza-gemini",
        "OPENROUTER_API_KEY": "sk-or-1234",
        "AGIPOWER_API_KEY": "sk-ai-v1-1",
        "AGIPOWER_MANAGEMENT_KEY": "sk-mg-v1-1",
        "AGIPOWER_BASE_URL": "https://agipower.example",
        "VENICE_API_KEY": "VENICE_INFERENCE_KEY_1",
        "VENICE_ADMIN_KEY": "VENICE_ADMIN_KEY_1",
        "AI_GATEWAY_API_KEY": "vck_123456",
        "MY_COPY_OF_IT": "sk-openai-1",
        "MY_COPY_OF_THE_OTHER": "sk-mg-v1-1",
    }

    found = given(secrets)

    left = {value for name, value in secrets.items() if name != "AGIPOWER_BASE_URL"}
    assert not left & set(found.values())
    assert found["MY_COPY_OF_IT"] == KEY
    assert "MY_COPY_OF_THE_OTHER" not in found
    assert "ANTHROPIC_AUTH_TOKEN" not in found


def test_a_variable_that_means_one_provider_leads_to_it() -> None:
    found = given(
        {
            "AGIPOWER_API_KEY": "sk-ai-v1-1",
            "AGIPOWER_BASE_URL": "https://agipower.example",
            "OPENROUTER_API_KEY": "sk-or-1234",
            "VENICE_API_KEY": "VENICE_INFERENCE_KEY_1",
        }
    )

    assert found["AGIPOWER_BASE_URL"] == f"{GATEWAY}/agipower"
    assert found["OPENROUTER_BASE_URL"] == f"{GATEWAY}/openrouter/api/v1"
    assert found["VENICE_BASE_URL"] == f"{GATEWAY}/venice/api/v1"


def test_variables_of_providers_that_nobody_uses_stay_unset() -> None:
    assert not {"AGIPOWER_API_KEY", "VENICE_API_KEY", "AI_GATEWAY_API_KEY"} & given({}).keys()


def test_google_genai_is_kept_from_credentials_that_no_gateway_can_check() -> None:
    found = given({"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_CLOUD_PROJECT": "mine"})

    assert "GOOGLE_GENAI_USE_VERTEXAI" not in found
    assert found["GOOGLE_CLOUD_PROJECT"] == "mine"


def test_a_proxy_between_machines_is_not_asked_for_this_one() -> None:
    found = given({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "internal"})

    assert found["NO_PROXY"] == "internal,127.0.0.1"
    assert found["no_proxy"] == "127.0.0.1"
    assert "NO_PROXY" not in given({})


def test_providers_are_those_whose_keys_are_set() -> None:
    found = providers_from(
        {
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_API_BASE": "http://mine/v1",
            "GEMINI_API_KEY": "AIza",
            "GOOGLE_VERTEX_BASE_URL": "http://not-for-this-key",
            "AGIPOWER_API_KEY": "sk-ai-v1-1",
            "VENICE_API_KEY": "VENICE_INFERENCE_KEY_1",
            "VENICE_ADMIN_KEY": "VENICE_ADMIN_KEY_1",
        }
    )

    assert set(found) == {"openai", "google", "venice"}, "AGIPower's address is not known"
    assert (found["openai"].base_url, found["openai"].api_key) == ("http://mine/v1", "sk-1")
    assert found["google"].base_url == "https://generativelanguage.googleapis.com"
    assert found["venice"].billing_key == "VENICE_ADMIN_KEY_1"


def test_a_token_of_anthropic_serves_as_a_key() -> None:
    provider = providers_from({"ANTHROPIC_AUTH_TOKEN": "token"})["anthropic"]

    assert provider.headers == {"authorization": "Bearer token"}
    assert provider.api_key == ""


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            ("openai", "anthropic", "google", "openrouter"),
            {
                "chat_completions": "openai",
                "responses": "openai",
                "embeddings": "openai",
                "messages": "anthropic",
                "generate_content": "google",
            },
        ),
        (
            ("openrouter", "google"),
            {
                "chat_completions": "openrouter",
                "responses": "openrouter",
                "embeddings": "openrouter",
                "messages": "openrouter",
                "generate_content": "google",
            },
        ),
        (("anthropic",), {"messages": "anthropic"}),
    ],
)
def test_a_dialect_goes_to_its_own_vendor_or_to_one_who_speaks_for_many(
    kinds: tuple[str, ...], expected: dict[str, str]
) -> None:
    providers = {
        kind: ProviderSettings.model_validate({"kind": kind, "api_key": "k"}) for kind in kinds
    }

    routes = routes_between(providers)

    assert {route.dialects[0]: route.provider for route in routes} == expected


def test_no_two_vendors_share_a_variable() -> None:
    names = [name for vendor in VENDORS for name in (*vendor.keys, *vendor.urls, *vendor.more_urls)]

    assert len(names) == len(set(names))
