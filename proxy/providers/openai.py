"""OpenAI, and every server that speaks Chat Completions like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.dialects.endpoints import Endpoint
from proxy.providers.exhaustion import (
    PAYMENT_REQUIRED,
    TOO_MANY_REQUESTS,
    Sign,
    distinct_ids,
    meaning,
)
from proxy.providers.interface import Exhausted, ProviderSettings, Target
from proxy.providers.targets import Targets, bearer

# protocols.md, D2: what the SDK adds to a base URL that ends in /v1, or in whatever a server has.
PATHS: Final = {
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "response_get": "/responses/{response_id}",
    "response_cancel": "/responses/{response_id}/cancel",
    "response_input_tokens": "/responses/input_tokens",
    "embeddings": "/embeddings",
    "models": "/models",
}
# protocols.md, C3. Others that speak this dialect answer 402.
_SIGNS: Final[tuple[Sign, ...]] = (
    (TOO_MANY_REQUESTS, b"spend_limit", Exhausted.SPEND_LIMIT),
    (TOO_MANY_REQUESTS, b"usage_limit", Exhausted.SPEND_LIMIT),
    (TOO_MANY_REQUESTS, b"insufficient_quota", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"credit_balance", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
    (PAYMENT_REQUIRED, b"", Exhausted.CREDIT),
)


class OpenAI:
    """A server whose base URL carries the version."""

    kind: Final = "openai"
    #: Without it, streams have no usage (protocols.md, A0).
    supports_usage_option: Final = True

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        self._targets = Targets(settings.base_url, PATHS, settings)
        self._auth = bearer(settings.api_key)

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is."""
        return self._targets.target(endpoint, self._auth)

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where prices are: nowhere, unless the configuration names a place."""
        target = self._targets.prices(self._auth)
        return () if target is None else (target,)

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the body's ids; its billing knows no single calls."""
        return distinct_ids(*body_ids)

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out, if that is why it refused (protocols.md, C3)."""
        return meaning(_SIGNS, status, body_prefix)
