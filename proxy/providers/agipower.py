"""AGIPower: four dialects below one host (facts: providers.md, 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.dialects.endpoints import Endpoint, Operation
from proxy.providers.exhaustion import (
    PAYMENT_REQUIRED,
    TOO_MANY_REQUESTS,
    Sign,
    distinct_ids,
    meaning,
)
from proxy.providers.interface import Exhausted, ProviderSettings, Target
from proxy.providers.targets import Targets, bearer, x_api_key

_MODEL: Final = "/api/vertex-ai/{version}/publishers/{publisher}/models/{model}"
# providers.md, 1.1. Free requests are not in its pages: they are where the dialects have them.
PATHS: Final = {
    "chat_completions": "/api/v1/chat/completions",
    "responses": "/api/v1/responses",
    "response_get": "/api/v1/responses/{response_id}",
    "response_cancel": "/api/v1/responses/{response_id}/cancel",
    "response_input_tokens": "/api/v1/responses/input_tokens",
    "messages": "/api/anthropic/v1/messages",
    "count_tokens": "/api/anthropic/v1/messages/count_tokens",
    "generate_content": _MODEL + ":generateContent",
    "stream_generate_content": _MODEL + ":streamGenerateContent",
    "gemini_count_tokens": _MODEL + ":countTokens",
    "embeddings": "/api/v1/embeddings",
    "models": "/api/v1/models",
    "anthropic_models": "/api/anthropic/v1/models",
    "gemini_models": "/api/vertex-ai/v1beta/models",
    "prices": "/api/v1/models",
    "vertex_prices": "/api/vertex-ai/v1beta/models",
}
# google-genai's own default in Vertex mode is v1beta1, which AGIPower is not known to have.
_VERSIONS: Final = {"v1beta1": "v1beta"}
_SUBSCRIPTION_PREFIX: Final = "sk-ss-v1-"
# providers.md, 1.9 and trap 14: the type is spelt `quote_exceeded`, and the code is a string.
_SIGNS: Final[tuple[Sign, ...]] = (
    (PAYMENT_REQUIRED, b"quote_exceeded", Exhausted.QUOTA),
    (PAYMENT_REQUIRED, b"quota_exceeded", Exhausted.QUOTA),
    (PAYMENT_REQUIRED, b"", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
)
_MODEL_OPERATIONS: Final = frozenset(
    {
        Operation.GENERATE_CONTENT,
        Operation.STREAM_GENERATE_CONTENT,
        Operation.GEMINI_COUNT_TOKENS,
    }
)
_LIST: Final = Endpoint(operation=Operation.MODELS, dialect="chat_completions", metered=False)


def by_subscription(settings: ProviderSettings) -> bool:
    """Tell whether calls are paid for in Flows, and never billed one by one (facts: providers.md, 1.2)."""
    return settings.kind == "agipower" and settings.api_key.startswith(_SUBSCRIPTION_PREFIX)


class AgiPower:
    """A host that carries `/api/v1`, `/api/anthropic` and `/api/vertex-ai`."""

    kind: Final = "agipower"
    #: Without it, streams have no usage (1.4).
    supports_usage_option: Final = True

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        self._targets = Targets(settings.base_url, PATHS, settings)
        # Its pages use x-api-key for Messages and Bearer elsewhere; more is not known (1.2).
        self._bearer = bearer(settings.api_key)
        self._x_api_key = x_api_key(settings.api_key)

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is."""
        if endpoint.dialect == "messages":
            name = "anthropic_models" if endpoint.operation is Operation.MODELS else ""
            return self._targets.target(endpoint, self._x_api_key, name=name)
        if endpoint.operation in _MODEL_OPERATIONS:
            owner, _, model = (endpoint.model or "").rpartition("/")
            return self._targets.target(
                endpoint,
                self._bearer,
                version=_VERSIONS.get(endpoint.version, endpoint.version),
                publisher=endpoint.publisher or owner or "google",
                model=model,
            )
        return self._targets.target(endpoint, self._bearer)

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where the lists with `pricings` are (1.8); they are public.

        Some models for generateContent are on the second one alone.
        """
        lists = self._targets.prices(()), self._targets.target(_LIST, (), name="vertex_prices")
        return tuple(target for target in lists if target is not None)

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the header's id, the body's, and the request's, in the order of 1.3."""
        named = headers.get("x-generation-id")
        return distinct_ids(named, *body_ids, headers.get("x-zenmux-requestid"))

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out, if that is why it refused (1.9)."""
        return meaning(_SIGNS, status, body_prefix)
