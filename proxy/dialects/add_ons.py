"""What a request switches on beside the model: by the model's name, or by a gateway's own fields.

Searches, above all, which providers bill by the piece and whose results come back as input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from policies.demand import ToolDemand
from proxy.dialects.counts import ABSENT, decoded, is_absent
from proxy.dialects.json_text import Members, object_of, setting

# Venice searches once in front of the model and bills the request; it bills each address that it
# reads, however many there are (providers.md, 2.1).
_SEARCH_ONCE: Final = ToolDemand(kind="web_search", calls_max=1)
_SEARCH: Final = ToolDemand(kind="web_search")
_SWITCHES: Final = {
    "enable_web_search": _SEARCH_ONCE,
    "enable_web_scraping": ToolDemand(kind="web_scraping"),
    "enable_x_search": ToolDemand(kind="x_search"),
}
# Venice's parameters that cost nothing, beside the switches.
_FREE: Final = frozenset(
    {
        "character_slug",
        "disable_thinking",
        "enable_web_citations",
        "include_search_results_in_stream",
        "include_venice_system_prompt",
        "return_search_results_as_documents",
        "strip_thinking_response",
    }
)
_OFF: Final = frozenset({"", "0", "false", "no", "none", "null", "off"})
# OpenAI's models that search on every call, whatever the request says.
_SEARCHES_ALWAYS: Final = re.compile(r"-search-(?:preview|api)(?![a-z])")
# A switch is a word: what is longer is none.
_SWITCH_BYTES_MAX: Final = 64

_PLUGIN_IDS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT: Final = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOns:
    """What is switched on."""

    tools: tuple[ToolDemand, ...] = ()
    #: Why no price can bound the request; None: one can.
    unpriced: str | None = None


# Most requests have none of them.
_LOOKED_AT: Final = frozenset(
    {"venice_parameters", "search_parameters", "enable_search", "web_search_options", "plugins"}
)


def add_ons(model: str, members: Members) -> AddOns:
    """Return what a model's name and a body's members switch on, each once.

    Raises:
        MalformedRequest: one of the members is too long, or gives a name twice.
    """
    named, unpriced = _by_name(model)
    if members.keys().isdisjoint(_LOOKED_AT):
        return AddOns(tools=tuple(dict.fromkeys(named)), unpriced=unpriced)
    tools = [*named, *_by_parameters(members)]
    if not is_absent(members.get("web_search_options", ABSENT)):
        tools.append(_SEARCH)
    plugins = decoded(_PLUGIN_IDS, setting(members, "plugins")) or ()
    kinds = [decoded(_TEXT, plugin.get("id", ABSENT)) for plugin in plugins]
    tools += [ToolDemand(kind=kind) for kind in kinds if kind]
    return AddOns(tools=tuple(dict.fromkeys(tools)), unpriced=unpriced)


def _by_name(model: str) -> tuple[list[ToolDemand], str | None]:
    """Return what a name's suffixes switch on, and why they may cost what nobody knows.

    A suffix is a word (OpenRouter's `:online`, a variant, ZenMux' provider) or Venice's parameters,
    `name=value` with `&` between them. What was switched on once stays on: which of two counts, the
    provider decides.
    """
    base, *suffixes = model.lower().split(":")
    tools = [_SEARCH] if _SEARCHES_ALWAYS.search(base) else []
    for suffix in suffixes:
        if suffix == "online":
            tools.append(_SEARCH_ONCE)
        for parameter in suffix.split("&"):
            name, assigned, value = (part.strip() for part in parameter.partition("="))
            if name in _SWITCHES:
                tools += [] if assigned and value in _OFF else [_SWITCHES[name]]
            elif assigned and name not in _FREE:
                return tools, f"the model's name sets '{name}', and what that costs is not known"
    return tools, None


def _by_parameters(members: Members) -> list[ToolDemand]:
    """Return what the fields of single providers switch on."""
    venice = object_of(members, "venice_parameters")
    tools = [tool for name, tool in _SWITCHES.items() if _is_on(venice.get(name, ABSENT))]
    # xAI's live search, which is on unless its mode says otherwise; DashScope's.
    live = members.get("search_parameters", ABSENT)
    mode = object_of(members, "search_parameters").get("mode", live)
    if _is_on(mode):
        tools.append(_SEARCH)
    if _is_on(members.get("enable_search", ABSENT)):
        tools.append(_SEARCH)
    return tools


def _is_on(value: msgspec.Raw) -> bool:
    if len(memoryview(value)) > _SWITCH_BYTES_MAX:
        return True
    return bytes(value).decode().strip('"').strip().lower() not in _OFF
