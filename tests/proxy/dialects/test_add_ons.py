"""Whatever a name or a gateway's own field switches on is quoted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.demand import ToolDemand
from proxy.dialects.add_ons import AddOns, add_ons
from proxy.dialects.interface import DialectName
from proxy.dialects.json_text import members
from proxy.dialects.registry import DIALECTS

ONCE = ToolDemand(kind="web_search", calls_max=1)
SEARCH = ToolDemand(kind="web_search")
SCRAPING = ToolDemand(kind="web_scraping")
X_SEARCH = ToolDemand(kind="x_search")


def found(model: str = "m", **fields: object) -> AddOns:
    return add_ons(model, members(json.dumps(fields).encode()))


@pytest.mark.parametrize(
    ("model", "tools"),
    [
        ("m", ()),
        ("a/b:free", ()),
        ("llama3:8b", ()),
        ("a/b:amazon-bedrock", ()),
        ("a/b:online", (ONCE,)),
        ("a/b:free:Online", (ONCE,)),
        ("a:enable_web_search=on", (ONCE,)),
        ("a:enable_web_search=auto&include_venice_system_prompt=false", (ONCE,)),
        ("a:enable_web_search", (ONCE,)),
        ("a:enable_web_search=off", ()),
        ("a:enable_web_search=on&enable_web_search=off", (ONCE,)),
        ("a:enable_web_search=on:enable_web_search=off", (ONCE,)),
        ("a:enable_web_scraping=true&enable_x_search=true", (SCRAPING, X_SEARCH)),
        ("a:enable_web_search=off:enable_x_search=1", (X_SEARCH,)),
        ("gpt-4o-search-preview", (SEARCH,)),
        ("openai/gpt-4o-mini-search-preview-2025-03-11", (SEARCH,)),
        ("gpt-5-search-api", (SEARCH,)),
        ("gpt-5-search-apish", ()),
    ],
)
def test_a_name_switches_on(model: str, tools: tuple[ToolDemand, ...]) -> None:
    assert found(model) == AddOns(tools=tools)


@pytest.mark.parametrize("suffix", ["gold=1", "enable_web_search=on&Gold=", "free:gold=1"])
def test_what_a_name_sets_that_nobody_knows_has_no_price(suffix: str) -> None:
    assert "'gold'" in (found(f"a:{suffix}").unpriced or "")


@pytest.mark.parametrize(
    ("fields", "tools"),
    [
        ({"venice_parameters": {"enable_web_search": "auto"}}, (ONCE,)),
        ({"venice_parameters": {"enable_web_search": True}}, (ONCE,)),
        ({"venice_parameters": {"enable_web_search": "x" * 99}}, (ONCE,)),
        ({"venice_parameters": {"enable_web_search": "off"}}, ()),
        ({"venice_parameters": {"enable_web_scraping": True}}, (SCRAPING,)),
        ({"venice_parameters": {"enable_x_search": False}}, ()),
        ({"venice_parameters": 3}, ()),
        ({"web_search_options": {}}, (SEARCH,)),
        ({"web_search_options": None}, ()),
        ({"search_parameters": {}}, (SEARCH,)),
        ({"search_parameters": {"mode": "off"}}, ()),
        ({"enable_search": True}, (SEARCH,)),
        ({"enable_search": False}, ()),
        ({"plugins": [{"id": "web"}, {"max": 1}, {"id": 3}]}, (ToolDemand(kind="web"),)),
        ({"plugins": 3}, ()),
        ({"enable_search": True, "web_search_options": {}}, (SEARCH,)),
    ],
)
def test_a_field_switches_on(fields: dict[str, Any], tools: tuple[ToolDemand, ...]) -> None:
    assert found(**fields) == AddOns(tools=tools)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("m:enable_web_search=on", {}),
        ("m:online", {}),
        ("m-search-preview", {}),
        ("m", {"venice_parameters": {"enable_web_search": "on"}}),
    ],
)
def test_every_dialect_looks(name: DialectName, model: str, fields: dict[str, Any]) -> None:
    body = json.dumps({"model": model, "max_tokens": 1} | fields).encode()

    parsed = DIALECTS[name].parse(body, path_model=model, path_streams=False)

    assert [tool.kind for tool in parsed.demand.server_tools] == ["web_search"]


switches = st.sampled_from(["on", "off", "auto", "true", "false", "", "0", "1"])


@given(st.lists(switches, min_size=1), st.sampled_from([":", "&"]))
def test_what_was_switched_on_stays_on(values: list[str], between: str) -> None:
    model = "m:" + between.join(f"enable_web_search={value}" for value in values)
    on = any(value in {"on", "auto", "true", "1"} for value in values)

    assert found(model).tools == ((ONCE,) if on else ())
