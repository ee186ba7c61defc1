"""What the gateway knows of a provider: where an endpoint is, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from yarl import URL

from proxy.dialects.endpoints import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one request goes, and what it must carry."""

    method: str
    #: Percent-encoded already; nothing on the way requotes it.
    url: URL
    #: Authentication and what the configuration adds; they replace what a client sent.
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        """Return where it goes; headers hold the provider's key."""
        return f"Target({self.method} {self.url})"


class Exhausted(StrEnum):
    """What of ours a provider says has run out; these are the labels of a metric."""

    QUOTA = "quota"
    CREDIT = "credit"
    SPEND_LIMIT = "spend_limit"
    KEY_LIMIT = "key_limit"
    RATE_LIMIT = "rate_limit"


class Provider(Protocol):
    """One provider as it is configured."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""
        ...

    @property
    def kind(self) -> str:
        """Whose API it has."""
        ...

    @property
    def supports_usage_option(self) -> bool:
        """Whether asking a Chat stream for usage makes a difference and no mistake."""
        ...

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is; None: this provider has none."""
        ...

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where its prices are; empty: it does not publish any."""
        ...

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the ids under which its billing may know a call, the likeliest first.

        Args:
            headers: the answer's.
            body_ids: what its body said, as far as it was read.
        """
        ...

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out (one of `Exhausted`), if that is why it refused."""
        ...


class ProviderSettings(Protocol):
    """What of the configuration a provider is made from."""

    @property
    def kind(self) -> str:
        """Whose API it has."""
        ...

    @property
    def base_url(self) -> str:
        """Scheme, host and the common part of its paths."""
        ...

    @property
    def api_key(self) -> str:
        """Its key for inference; empty for none."""
        ...

    @property
    def management_key(self) -> str:
        """AGIPower, OpenRouter: for subscriptions, balances and totals; empty for none."""
        ...

    @property
    def billing_key(self) -> str:
        """Venice: for the billing history and the balance; empty for none."""
        ...

    @property
    def paths(self) -> Mapping[str, str]:
        """Paths that differ from those of the kind, by operation."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What is sent with every request besides."""
        ...
