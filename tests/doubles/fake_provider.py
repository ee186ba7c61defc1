"""A provider with an address for everything, whose ids are those of its headers and bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yarl import URL

from proxy.dialects.endpoints import Endpoint
from proxy.providers.interface import Target


class FakeProvider:
    """A `Provider`."""

    def __init__(
        self,
        name: str = "fake",
        kind: str = "openai",
        *,
        base_url: str = "http://fake.test",
        supports_usage_option: bool = True,
        lacks: frozenset[str] = frozenset(),
        price_lists: int = 1,
    ) -> None:
        self.name = name
        self.kind = kind
        self.supports_usage_option = supports_usage_option
        self._base_url = base_url
        self._lacks = lacks
        self._price_lists = price_lists

    def target(self, endpoint: Endpoint) -> Target | None:
        if endpoint.dialect in self._lacks:
            return None
        name = endpoint.response_id or endpoint.operation.value
        url = URL(f"{self._base_url}/{name}", encoded=True)
        return Target(method="POST", url=url, headers=(("authorization", "Bearer sk-fake"),))

    def prices_targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(method="GET", url=URL(f"{self._base_url}/prices/{number}"), headers=())
            for number in range(self._price_lists)
        )

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        named = headers.get("x-generation-id")
        return (*([named] if named else []), *body_ids)

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        return "credit" if status == 402 else None
