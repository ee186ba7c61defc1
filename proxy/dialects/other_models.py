"""Fields of a body by which another model than the one it names may answer, or be billed as well.

They are looked for in every dialect: gateways convert one into another, and take their own fields
along (providers.md, 1.1).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.dialects.counts import ABSENT, decoded
from proxy.dialects.json_text import Members, object_of, setting

# Alternatives and routers: Anthropic's and Venice's fallbacks, OpenRouter's models and route,
# ZenMux' routing, each also in the spelling that its SDK has.
_ALTERNATIVES: Final = (
    "models",
    "fallbacks",
    "fallback_models",
    "fallbackModels",
    "fallback",
    "route",
    "model_routing_config",
    "modelRoutingConfig",
)
# Vercel's options by provider; only its gateway's own choose a model.
_OPTIONS: Final = ("providerOptions", "provider_options")
# OpenRouter's plugins that leave the model alone; others choose one, or ask several.
_HARMLESS_PLUGINS: Final = frozenset({"web", "file-parser", "moderation", "response-healing"})
# Priced by a fee or not at all (`policies.quotes.TOOLS_WITHOUT_FEE`): its model need not be known.
_PICTURES: Final = "image_generation"
_CLIENT_TOOLS: Final = frozenset({None, "custom", "function"})
_NO: Final = frozenset({b"null", b"false", b'""', b'"false"', b"[]", b"{}"})
# Of a value that says no, blanks included.
_NO_BYTES_MAX: Final = 32


class _Plugin(msgspec.Struct):
    id: Any = None


class _Parameters(msgspec.Struct):
    model: msgspec.Raw = ABSENT
    models: msgspec.Raw = ABSENT


class _Tool(_Parameters):
    type: Any = None
    parameters: msgspec.Raw = ABSENT


_PLUGINS: Final = msgspec.json.Decoder(list[_Plugin])
_PARAMETERS: Final = msgspec.json.Decoder(_Parameters)
_TOOLS: Final = msgspec.json.Decoder(list[_Tool])


# Most requests have none of them.
_LOOKED_AT: Final = frozenset(
    {"extra_body", "provider", "plugins", "tools", *_OPTIONS, *_ALTERNATIVES}
)


def other_models(members: Members) -> tuple[str, ...]:
    """Return the names of such fields among a body's members.

    Raises:
        MalformedRequest: one of them is too long, or gives a name twice.
    """
    if members.keys().isdisjoint(_LOOKED_AT):
        return ()
    extra = object_of(members, "extra_body")
    return (*_found(members), *(f"extra_body.{name}" for name in _found(extra)))


def _found(members: Members) -> list[str]:
    names = _alternatives(members)
    provider = object_of(members, "provider")
    names += [f"provider.{name}" for name in _alternatives(provider)]
    for field in _OPTIONS:
        gateway = object_of(object_of(members, field), "gateway")
        names += [f"{field}.gateway.{name}" for name in _alternatives(gateway)]
    if _chooses(setting(members, "plugins")):
        names.append("plugins")
    # Most tools name no model; then they need not be looked through once more.
    named = b'"model' in bytes(members.get("tools", ABSENT))
    if named and _brings_a_model(setting(members, "tools")):
        names.append("tools.model")
    return names


def _alternatives(members: Members) -> list[str]:
    return [name for name in _ALTERNATIVES if name in members and _is_given(members[name])]


def _is_given(value: msgspec.Raw) -> bool:
    """Say whether a value is more than one of the ways to say no."""
    if len(memoryview(value)) > _NO_BYTES_MAX:
        return True
    return b"".join(bytes(value).lower().split()) not in _NO


def _chooses(raw: msgspec.Raw) -> bool:
    if not _is_given(raw):
        return False
    plugins = decoded(_PLUGINS, raw)
    return plugins is None or any(
        not isinstance(plugin.id, str) or plugin.id not in _HARMLESS_PLUGINS for plugin in plugins
    )


def _brings_a_model(raw: msgspec.Raw) -> bool:
    """Say whether a tool that the provider runs names a model: an advisor has one of its own."""
    for tool in decoded(_TOOLS, raw) or ():
        if tool.type in {*_CLIENT_TOOLS, _PICTURES}:
            continue
        inner = decoded(_PARAMETERS, tool.parameters) or _Parameters()
        given = (tool.model, tool.models, inner.model, inner.models)
        if any(_is_given(value) for value in given):
            return True
    return False
