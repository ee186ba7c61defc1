"""Anthropic: Messages."""

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
from proxy.providers.targets import Targets, without_version, x_api_key

_BAD_REQUEST: Final = 400
# protocols.md, D2.
PATHS: Final = {
    "messages": "/v1/messages",
    "count_tokens": "/v1/messages/count_tokens",
    "models": "/v1/models",
}
# protocols.md, C3: three statuses for money that is used up, one of them 400.
_SIGNS: Final[tuple[Sign, ...]] = (
    (_BAD_REQUEST, b"specified api usage limits", Exhausted.SPEND_LIMIT),
    (_BAD_REQUEST, b"credit balance", Exhausted.CREDIT),
    (PAYMENT_REQUIRED, b"spend_limit", Exhausted.SPEND_LIMIT),
    (PAYMENT_REQUIRED, b"", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"spend_limit", Exhausted.SPEND_LIMIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
)


class Anthropic:
    """Anthropic's own API; its base URL may end in /v1 or not."""

    kind: Final = "anthropic"
    #: Messages always have usage.
    supports_usage_option: Final = False

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        self._targets = Targets(without_version(settings.base_url), PATHS, settings)
        self._auth = x_api_key(settings.api_key)

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
