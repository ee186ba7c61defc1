"""Whatever lets another model answer is found, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.interface import DialectName, MalformedRequest
from proxy.dialects.json_text import members
from proxy.dialects.other_models import other_models
from proxy.dialects.registry import DIALECTS


def found(**fields: object) -> tuple[str, ...]:
    return other_models(members(json.dumps(fields).encode()))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"models": ["a"]}, ("models",)),
        ({"fallbacks": "default"}, ("fallbacks",)),
        ({"route": "fallback"}, ("route",)),
        ({"model_routing_config": {"available_models": ["a"]}}, ("model_routing_config",)),
        ({"provider": {"fallback": "true"}}, ("provider.fallback",)),
        ({"provider": {"fallback": True}}, ("provider.fallback",)),
        ({"provider": {"fallback": "a/b"}}, ("provider.fallback",)),
        ({"provider": {"models": ["a"]}}, ("provider.models",)),
        (
            {"providerOptions": {"gateway": {"models": ["a"]}}},
            ("providerOptions.gateway.models",),
        ),
        (
            {"provider_options": {"gateway": {"models": ["a"]}}},
            ("provider_options.gateway.models",),
        ),
        ({"extra_body": {"provider": {"fallback": "a"}}}, ("extra_body.provider.fallback",)),
        ({"plugins": [{"id": "auto-router"}]}, ("plugins",)),
        ({"plugins": [{"id": "web"}, {}]}, ("plugins",)),
        ({"plugins": "all"}, ("plugins",)),
        ({"tools": [{"type": "advisor_20260301", "model": "a"}]}, ("tools.model",)),
        ({"tools": [{"type": "x:fusion", "parameters": {"models": ["a"]}}]}, ("tools.model",)),
        ({"models": ["a"], "route": "fallback", "x": 1}, ("models", "route")),
    ],
)
def test_another_model_may_answer(fields: dict[str, Any], names: tuple[str, ...]) -> None:
    assert found(**fields) == names


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"models": None, "fallbacks": [], "route": "", "model_routing_config": {}},
        {"provider": {"fallback": "false", "order": ["a"], "allow_fallbacks": True}},
        {"provider": {"fallback": False}},
        {"provider": {"fallback": "False"}},
        {"provider": "openai"},
        {"providerOptions": {"gateway": {"order": ["a"]}, "openai": {"models": ["a"]}}},
        {"extra_body": {"x": 1}},
        {"plugins": [{"id": "web"}, {"id": "file-parser"}]},
        {"plugins": []},
        {"tools": [{"type": "function", "parameters": {"model": {"type": "string"}}}]},
        {"tools": [{"name": "f", "input_schema": {"properties": {"model": {}}}}]},
        {"tools": [{"type": "image_generation", "model": "draws-1"}]},
        {"tools": [{"type": "web_search", "models": None, "parameters": 3}]},
        {"tools": {"model": "m"}},
    ],
)
def test_only_the_named_model_answers(fields: dict[str, Any]) -> None:
    assert found(**fields) == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","max_tokens":1,"models":["a"],"models":null}',
        b'{"model":"m","max_tokens":1,"provider":{"fallback":"a","fallback":"false"}}',
        b'{"model":"m","max_tokens":1,"tools":[{"type":"advisor","type":"function","model":"a"}]}',
    ],
)
@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_second_value_does_not_hide_the_first(name: DialectName, body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="more than once"):
        DIALECTS[name].parse(body, path_model="m", path_streams=False)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    "fields", [{"models": ["a"]}, {"provider": {"fallback": "a"}}, {"fallbacks": ["a"]}]
)
def test_every_dialect_looks(name: DialectName, fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "max_tokens": 1} | fields).encode()

    parsed = DIALECTS[name].parse(body, path_model="m", path_streams=False)

    assert len(parsed.other_models) == 1
    assert parsed.notes in {(), ("thinkingBudget",)}
