"""Google: generateContent at the Gemini API or at Vertex AI (facts: protocols.md, D1 and D2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from proxy.dialects.endpoints import Endpoint, Operation
from proxy.providers.exhaustion import TOO_MANY_REQUESTS, Sign, distinct_ids, meaning
from proxy.providers.interface import Exhausted, ProviderSettings, Target
from proxy.providers.targets import Targets, without_version, x_goog_api_key

_REGION: Final = "{location}-"
_PROJECT: Final = "/{version}/projects/{project}/locations/{location}/publishers/{publisher}"
_ACTIONS: Final = {
    Operation.GENERATE_CONTENT: ":generateContent",
    Operation.STREAM_GENERATE_CONTENT: ":streamGenerateContent",
    Operation.GEMINI_COUNT_TOKENS: ":countTokens",
}
# The client's path: for each action with a publisher, below a project, or with the model alone.
_SHAPES: Final = {
    "": "/{version}/models/{model}",
    "published_": "/{version}/publishers/{publisher}/models/{model}",
    "project_": _PROJECT + "/models/{model}",
}
PATHS: Final = {
    **{
        shape + operation.value: template + action
        for shape, template in _SHAPES.items()
        for operation, action in _ACTIONS.items()
    },
    "gemini_models": "/{version}/models",
    "published_gemini_models": "/{version}/publishers/google/models",
}
# What the one host has under another name (D2): each knows its own beta.
_GEMINI_HOST: Final = "generativelanguage.googleapis.com"
_VERTEX_HOST: Final = "aiplatform.googleapis.com"
_VERSIONS: Final = {_GEMINI_HOST: {"v1beta1": "v1beta"}, _VERTEX_HOST: {"v1beta": "v1beta1"}}
# C3: one status for rates and for money alike; the body does not tell them apart for certain.
_SIGNS: Final[tuple[Sign, ...]] = (
    (TOO_MANY_REQUESTS, b"prepa", Exhausted.CREDIT),
    (TOO_MANY_REQUESTS, b"spend", Exhausted.SPEND_LIMIT),
    (TOO_MANY_REQUESTS, b"", Exhausted.RATE_LIMIT),
)


class Google:
    """A host of Google's. `{location}-` in its base URL stands for the region that a path names."""

    kind: Final = "google"
    #: generateContent always has usage.
    supports_usage_option: Final = False

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        self.name: Final = name
        base_url = without_version(settings.base_url)
        self._host = next((host for host in _VERSIONS if base_url.endswith(host)), "")
        self._targets = Targets(base_url, PATHS, settings)
        # `global` has the host without a region, as have paths without a location.
        self._global = Targets(base_url.replace(_REGION, ""), PATHS, settings)
        self._auth = x_goog_api_key(settings.api_key)

    def target(self, endpoint: Endpoint) -> Target | None:
        """Return where an endpoint is."""
        if endpoint.dialect != "generate_content":
            return None
        versions = _VERSIONS.get(self._host, {})
        version = versions.get(endpoint.version, endpoint.version)
        published = replace(endpoint, version=version, publisher=self._publisher(endpoint))
        regional = endpoint.location not in (None, "global")
        targets = self._targets if regional else self._global
        return targets.target(published, self._auth, name=_name(published))

    def prices_targets(self) -> tuple[Target, ...]:
        """Return where prices are: nowhere, unless the configuration names a place."""
        target = self._global.prices(self._auth)
        return () if target is None else (target,)

    def generation_ids(
        self, headers: Mapping[str, str], body_ids: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the body's ids; its billing knows no single calls."""
        return distinct_ids(*body_ids)

    def is_quota_refusal(self, status: int, body_prefix: bytes) -> str | None:
        """Return what has run out, if that is why it refused (protocols.md, C3)."""
        return meaning(_SIGNS, status, body_prefix)

    def _publisher(self, endpoint: Endpoint) -> str | None:
        """Return whose model the path names: Vertex wants it, the Gemini API does not know it."""
        if self._host == _GEMINI_HOST:
            return None
        if self._host == _VERTEX_HOST or endpoint.project is not None:
            return endpoint.publisher or "google"
        return endpoint.publisher


def _name(endpoint: Endpoint) -> str:
    if endpoint.operation is Operation.GEMINI_MODELS:
        shape = "published_" if endpoint.publisher else ""
    elif endpoint.project is not None and endpoint.publisher is not None:
        shape = "project_"
    else:
        shape = "published_" if endpoint.publisher else ""
    return shape + endpoint.operation.value
