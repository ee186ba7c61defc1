"""Providers as a configuration makes them, and endpoints as paths name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.dialects.endpoints import Endpoint, find_endpoint
from proxy.providers.interface import Provider


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What of the configuration a provider is made from."""

    kind: str = "openai"
    base_url: str = "https://provider.example"
    api_key: str = "sk-own"
    management_key: str = ""
    billing_key: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def endpoint(method: str, target: str) -> Endpoint:
    found = find_endpoint(method, target, frozenset())
    assert isinstance(found, Endpoint), found
    return found


def address(provider: Provider, method: str, path: str) -> str | None:
    """Return method and URL of what a request becomes."""
    target = provider.target(endpoint(method, path))
    return f"{target.method} {target.url}" if target is not None else None


def headers(provider: Provider, method: str, path: str) -> dict[str, str]:
    target = provider.target(endpoint(method, path))
    assert target is not None
    return dict(target.headers)
