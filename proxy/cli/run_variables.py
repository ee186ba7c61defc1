"""What `bursar run` takes from the environment, and what it gives to the program: pure functions.

Every SDK reads its base URL and its key from variables of its own. They are pointed at the private
gateway, and no provider's key is left: a program that finds another way fails, and spends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.settings import BASE_URLS, ProviderSettings, RouteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """The variables by which programs know a provider; the first of each that is set counts."""

    kind: str
    keys: tuple[str, ...]
    urls: tuple[str, ...] = ()
    #: Pointed at the gateway too, but never where the provider is.
    more_urls: tuple[str, ...] = ()
    #: What SDKs expect at the end of such a URL, below the gateway.
    path: str = ""
    #: Keys that open more than inference; programs under a budget have no use for them.
    withheld: tuple[str, ...] = ()
    #: For the provider's settings: the field, and the variable that it is taken from.
    extra: tuple[tuple[str, str], ...] = ()
    #: Given to every program, whether the variables were there before or not.
    always: bool = False


VENDORS: Final = (
    Vendor(
        kind="openai",
        keys=("OPENAI_API_KEY",),
        # The second is what LangChain and older programs read.
        urls=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        path="/v1",
        withheld=("OPENAI_ADMIN_KEY",),
        always=True,
    ),
    Vendor(
        kind="anthropic",
        keys=("ANTHROPIC_API_KEY",),
        # The SDK puts /v1 behind it itself. The others are what LangChain and LiteLLM read.
        urls=("ANTHROPIC_BASE_URL",),
        more_urls=("ANTHROPIC_API_URL", "ANTHROPIC_API_BASE"),
        # Claude Code would prefer it to the key.
        withheld=("ANTHROPIC_AUTH_TOKEN",),
        always=True,
    ),
    Vendor(
        kind="google",
        # In the order in which google-genai prefers them.
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        urls=("GOOGLE_GEMINI_BASE_URL",),
        more_urls=("GOOGLE_VERTEX_BASE_URL",),
        # With these google-genai takes Google Cloud's own credentials, which no gateway can check.
        withheld=("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"),
        always=True,
    ),
    Vendor(
        kind="agipower",
        keys=("AGIPOWER_API_KEY",),
        urls=("AGIPOWER_BASE_URL",),
        withheld=("AGIPOWER_MANAGEMENT_KEY",),
        extra=(("management_key", "AGIPOWER_MANAGEMENT_KEY"),),
    ),
    Vendor(
        kind="openrouter",
        keys=("OPENROUTER_API_KEY",),
        urls=("OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"),
        path="/api/v1",
        always=True,
    ),
    Vendor(kind="vercel", keys=("AI_GATEWAY_API_KEY",), urls=("AI_GATEWAY_BASE_URL",), path="/v1"),
    Vendor(
        kind="venice",
        keys=("VENICE_API_KEY",),
        urls=("VENICE_BASE_URL",),
        path="/api/v1",
        withheld=("VENICE_ADMIN_KEY",),
        extra=(("billing_key", "VENICE_ADMIN_KEY"),),
    ),
)
#: Who serves a dialect where several can: its own vendor, then those who speak for many.
_PREFERRED: Final = {
    "chat_completions": ("openai", "agipower", "openrouter", "vercel", "venice"),
    "responses": ("openai", "agipower", "openrouter", "vercel", "venice"),
    "embeddings": ("openai", "agipower", "openrouter", "vercel", "venice"),
    "messages": ("anthropic", "agipower", "openrouter", "vercel"),
    "generate_content": ("google", "agipower"),
}
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_LOCAL: Final = "127.0.0.1"
# A shorter value may stand in other variables by chance.
_SECRET_CHARACTERS_MIN: Final = 8


def providers_from(environ: Mapping[str, str]) -> dict[str, ProviderSettings]:
    """Return the providers whose keys are in the environment, by their kinds."""
    found: dict[str, ProviderSettings] = {}
    for vendor in VENDORS:
        url = _first(environ, vendor.urls) or BASE_URLS.get(vendor.kind)
        key = _first(environ, vendor.keys)
        token = environ.get("ANTHROPIC_AUTH_TOKEN") if vendor.kind == "anthropic" else None
        if url is None or not (key or token):
            continue
        fields: dict[str, object] = {
            name: environ[variable] for name, variable in vendor.extra if variable in environ
        }
        if not key:
            fields["headers"] = {"authorization": f"Bearer {token}"}
        found[vendor.kind] = ProviderSettings.model_validate(
            {"kind": vendor.kind, "base_url": url, "api_key": key or "", **fields}
        )
    return found


def routes_between(providers: Mapping[str, ProviderSettings]) -> tuple[RouteSettings, ...]:
    """Return which of the environment's providers serves which dialect."""
    routes = []
    for dialect, kinds in _PREFERRED.items():
        chosen = next((kind for kind in kinds if kind in providers), None)
        if chosen is not None:
            routes.append(RouteSettings.model_validate({"dialects": [dialect], "provider": chosen}))
    return tuple(routes)


def program_environ(
    environ: Mapping[str, str],
    *,
    gateway: str,
    key: str,
    providers: Mapping[str, ProviderSettings],
) -> dict[str, str]:
    """Return the environment of a program whose calls are to go through the gateway."""
    given = _without_secrets(environ, key, providers)
    for vendor in VENDORS:
        for name in vendor.withheld:
            given.pop(name, None)
        named = {*vendor.keys, *vendor.urls}
        if not (vendor.always or named & environ.keys()):
            continue
        base = gateway + _prefix(vendor, providers) + vendor.path
        given |= dict.fromkeys(vendor.keys, key)
        given |= dict.fromkeys((*vendor.urls, *vendor.more_urls), base)
    if any(name.lower() in _PROXIES for name in environ):
        # The gateway is on this machine, where no proxy between machines can reach it.
        for name in ("NO_PROXY", "no_proxy"):
            given[name] = ",".join(part for part in (environ.get(name), _LOCAL) if part)
    return given


def _without_secrets(
    environ: Mapping[str, str], key: str, providers: Mapping[str, ProviderSettings]
) -> dict[str, str]:
    """Return the environment with a provider's keys replaced, whatever their variables are called."""
    calls = {provider.api_key for provider in providers.values()}
    more = {provider.management_key for provider in providers.values()}
    more |= {provider.billing_key for provider in providers.values()}
    given = {}
    for name, value in environ.items():
        if len(value) < _SECRET_CHARACTERS_MIN or value not in calls | more:
            given[name] = value
        elif value in calls:
            given[name] = key
    return given


def _prefix(vendor: Vendor, providers: Mapping[str, ProviderSettings]) -> str:
    """Return what names the provider in a path, where the variable means this one and no other."""
    if vendor.kind in ("openai", "anthropic", "google"):
        return ""
    named = next((name for name, each in providers.items() if each.kind == vendor.kind), None)
    return f"/{named}" if named is not None else ""


def _first(environ: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)
