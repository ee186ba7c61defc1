"""From an endpoint to a URL: a template for each operation, filled with what the path named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from yarl import URL

from proxy.dialects.endpoints import Endpoint, Operation
from proxy.providers.interface import ProviderSettings, Target

#: How operations are asked for that are not asked for by POST.
_METHODS: Final = {
    Operation.RESPONSE_GET: "GET",
    Operation.MODELS: "GET",
    Operation.GEMINI_MODELS: "GET",
}
#: The name of the path under which prices are found.
PRICES: Final = "prices"
#: What RFC 3986 lets stand in a part of a path, and names of models have.
_MAY_STAND: Final = ":@+,=&()~"
_VERSION: Final = re.compile(r"/v1(?:beta1?)?$")
_PLACE: Final = re.compile(r"\{(\w+)\}")
_PLACES: Final = frozenset(
    {
        "version",
        "publisher",
        "model",
        "project",
        "location",
        "response_id",
        "generation_id",
        "hour",
        "bill_types",
    }
)

Headers = tuple[tuple[str, str], ...]


def bearer(api_key: str) -> Headers:
    """Return how most providers take a key."""
    return (("Authorization", f"Bearer {api_key}"),) if api_key else ()


def x_api_key(api_key: str) -> Headers:
    """Return how Anthropic takes a key."""
    return (("x-api-key", api_key),) if api_key else ()


def x_goog_api_key(api_key: str) -> Headers:
    """Return how Google takes a key."""
    return (("x-goog-api-key", api_key),) if api_key else ()


def without_version(base_url: str) -> str:
    """Return a base URL without the version at its end, which people write or leave out."""
    return _VERSION.sub("", base_url.rstrip("/"))


def billing_target(
    base_url: str, settings: ProviderSettings, name: str, path: str, auth: Headers, **places: str
) -> Target:
    """Return where a provider tells something about money: to be asked by GET.

    Args:
        base_url: what comes before the path.
        settings: may name another path, under the same name.
        name: what is asked for.
        path: where it is by default; a query may be a part of it.
        auth: the headers with the key that may ask.
        places: what the path's places are filled with.
    """
    text = base_url.rstrip("/") + settings.paths.get(name, path)
    for place, value in places.items():
        text = text.replace("{" + place + "}", quote(value, safe=""))
    headers = (*auth, ("Accept", "application/json"), *settings.headers.items())
    return Target(method="GET", url=URL(text, encoded=True), headers=headers)


class Targets:
    """The endpoints of one provider."""

    def __init__(
        self, base_url: str, templates: Mapping[str, str], settings: ProviderSettings
    ) -> None:
        """Take the templates of a kind, and the paths that the configuration has instead.

        Raises:
            ValueError: a path has a place that nothing fills.
        """
        self._base_url = base_url.rstrip("/")
        self._templates = {**templates, **settings.paths}
        for name, template in self._templates.items():
            if unknown := set(_PLACE.findall(template)) - _PLACES:
                raise ValueError(
                    f"path '{name}' has {{{min(unknown)}}}, which nothing fills: "
                    f"use {', '.join(sorted(_PLACES))}"
                )
        self._extra = tuple(settings.headers.items())
        # Most calls go to the same few addresses.
        self._plain = {
            name: URL(self._base_url + path, encoded=True)
            for name, path in self._templates.items()
            if "{" not in self._base_url + path
        }

    def target(
        self, endpoint: Endpoint, auth: Headers, *, name: str = "", **places: str
    ) -> Target | None:
        """Return where an endpoint is; None: there is no template for it.

        Args:
            endpoint: what was asked for.
            auth: the headers with the key.
            name: the template, if it is not named like the operation.
            places: what the template's places are filled with besides the endpoint's own parts.
        """
        name = name or endpoint.operation.value
        url = self._plain.get(name)
        if url is None or endpoint.query:
            text = self._text(name, endpoint, places)
            if text is None:
                return None
            url = URL(f"{text}?{endpoint.query}" if endpoint.query else text, encoded=True)
        method = _METHODS.get(endpoint.operation, "POST")
        return Target(method=method, url=url, headers=auth + self._extra)

    def prices(self, auth: Headers) -> Target | None:
        """Return where prices are."""
        url = self._plain.get(PRICES)
        if url is None:
            return None
        return Target(method="GET", url=url, headers=auth + self._extra)

    def _text(self, name: str, endpoint: Endpoint, places: Mapping[str, str]) -> str | None:
        template = self._templates.get(name)
        if template is None:
            return None
        known = {
            "version": endpoint.version,
            "publisher": endpoint.publisher,
            "model": endpoint.model,
            "project": endpoint.project,
            "location": endpoint.location,
            "response_id": endpoint.response_id,
            **places,
        }
        return _PLACE.sub(
            lambda place: quote(known[place[1]] or "", safe=_MAY_STAND), self._base_url + template
        )
