"""Vercel's AI Gateway: three dialects (facts: providers.md, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.dialects.endpoints import Endpoint
from proxy.providers.exhaustion import (
    PAYMENT_REQUIRED,
    TOO_MANY_REQUESTS,
    Sign,
    header_first,
    meaning,
)
from proxy.providers.interface import Exhausted, ProviderSettings, Target
from proxy.providers.targets import Targets, bearer, without_version

PATHS: Final = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "embeddings": "/v1/embeddings",
    "models": "/v1/models",
}
_SIGNS: Final[tuple[Sign, ...]] = (
    (PAYMENT_REQUIRED, b"", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
)


class Vercel:
    """The gateway; its base URL may end in /v1 or not."""

    kind: Final = "vercel"
    #: As in OpenAI's dialect; the facts do not say that usage comes without being asked for.
    supports_usage_option: Final = True

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        self._targets = Targets(without_version(settings.base_url), PATHS, settings)
        self._auth = bearer(settings.api_key)

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is."""
        return self._targets.target(endpoint, self._auth)

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where prices are, if the configuration names a place."""
        target = self._targets.prices(self._auth)
        return () if target is None else (target,)

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the header's id, if there is one, and the body's (3.2)."""
        return header_first("x-generation-id", headers, body_ids)

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out, if that is why it refused."""
        return meaning(_SIGNS, status, body_prefix)
