"""Which class serves which kind of provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.providers.agipower import AgiPower
from proxy.providers.anthropic import Anthropic
from proxy.providers.google import Google
from proxy.providers.interface import Provider, ProviderSettings
from proxy.providers.openai import OpenAI
from proxy.providers.openrouter import OpenRouter
from proxy.providers.venice import Venice
from proxy.providers.vercel import Vercel

KINDS: Final[dict[str, Callable[[str, ProviderSettings], Provider]]] = {
    "agipower": AgiPower,
    "venice": Venice,
    "openai": OpenAI,
    "anthropic": Anthropic,
    "google": Google,
    "openrouter": OpenRouter,
    "vercel": Vercel,
}


def build_provider(name: str, settings: ProviderSettings) -> Provider:
    """Return a provider as it is configured.

    Raises:
        ValueError: there is no such kind, or a path of its configuration cannot be used.
    """
    build = KINDS.get(settings.kind)
    if build is None:
        raise ValueError(f"'{settings.kind}' is no kind of provider: use {', '.join(KINDS)}")
    return build(name, settings)
