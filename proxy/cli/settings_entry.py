"""What the journal says of the configuration: all that decides about money, and nothing secret."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from proxy.grant_store import Who
from proxy.settings import ProviderSettings, Settings

KIND = "settings_loaded"
_VERSION_CHARACTERS = 12


def settings_document(settings: Settings) -> dict[str, Any]:
    """Return the configuration for people who ask later what was in force."""
    sections = ("gateway", "routes", "prices", "receipts", "wallets")
    shown = settings.model_dump(mode="json", include=set(sections), exclude_defaults=True)
    return shown | {
        "providers": {name: _provider(each) for name, each in settings.providers.items()},
        "tokens": [
            {
                "name": each.name,
                "role": each.role,
                "teams": list(each.teams),
                "expires_ms": each.expires_ms,
            }
            for each in settings.admin.tokens
        ],
        "ledger": _place(settings.ledger.url) or "embedded",
        "archive": settings.archive.model_dump(mode="json", exclude={"url"}, exclude_defaults=True)
        | {"place": _place(settings.archive.url) or "sqlite"},
        "alerts": settings.alerts.model_dump(
            mode="json", exclude={"webhooks"}, exclude_defaults=True
        )
        | {"webhooks": [_place(each.url) for each in settings.alerts.webhooks]},
    }


def settings_entry(settings: Settings, who: Who) -> tuple[str, str]:
    """Return the version of a configuration, and the data of its entry (JSON)."""
    document = settings_document(settings)
    canonical = json.dumps(document, sort_keys=True)
    version = sha256(canonical.encode()).hexdigest()[:_VERSION_CHARACTERS]
    data = {"version": version, "actor": who.actor, "from": who.origin, "document": document}
    return version, json.dumps(data)


def _provider(settings: ProviderSettings) -> dict[str, Any]:
    keys = ("api_key", "management_key", "billing_key")
    return {
        "kind": settings.kind,
        "place": _place(settings.base_url),
        "keys": [name for name in keys if getattr(settings, name)],
        "billing": settings.billing,
        "paths": settings.paths,
        # Their values may be secrets.
        "headers": sorted(settings.headers),
    }


def _place(url: str | None) -> str:
    """Return scheme, host and port of an address: a path or a password in it may be secret."""
    if url is None:
        return ""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{hosts}" if hosts else parts.scheme
