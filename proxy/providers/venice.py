"""Venice: Chat Completions, Responses and embeddings (facts: providers.md, 2)."""

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
from proxy.providers.targets import Targets, bearer, without_version

# 2.1. Responses are stateless there: none can be fetched or cancelled. No Messages, no Gemini.
PATHS: Final = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "models": "/v1/models",
    "prices": "/v1/models",
}
# 2.4: plain text, mostly.
_SIGNS: Final[tuple[Sign, ...]] = (
    (PAYMENT_REQUIRED, b"api key", Exhausted.KEY_LIMIT),
    (PAYMENT_REQUIRED, b"", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
)
_RESPONSE_PREFIX: Final = "resp_"


class Venice:
    """Venice, by one inference key."""

    kind: Final = "venice"
    #: Streams have their usage in any case (2.1), and its schema is strict: nothing is added.
    supports_usage_option: Final = False

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        self._targets = Targets(without_version(settings.base_url), PATHS, settings)
        self._auth = bearer(settings.api_key)

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is."""
        return self._targets.target(endpoint, self._auth)

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where the list with `model_spec.pricing` is (2.4)."""
        target = self._targets.prices(self._auth)
        return () if target is None else (target,)

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the body's ids, and the chat id inside of `resp_chatcmpl-…` (trap 7)."""
        inner = [text.removeprefix(_RESPONSE_PREFIX) for text in body_ids]
        return distinct_ids(*body_ids, *inner)

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out, if that is why it refused (2.4)."""
        return meaning(_SIGNS, status, body_prefix)
