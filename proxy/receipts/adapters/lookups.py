"""Where a provider tells what it billed for one id."""

from __future__ import annotations

from typing import Final

from proxy.providers.exhaustion import distinct_ids
from proxy.providers.interface import ProviderSettings, Target
from proxy.providers.targets import Headers, billing_target

#: The name of the path in the configuration, for a host that differs.
GENERATION: Final = "generation"
#: Where in a path the id goes.
PLACE: Final = "{generation_id}"


class Lookups:
    """The places to ask of one provider, the likeliest first."""

    def __init__(
        self, base_url: str, settings: ProviderSettings, paths: tuple[str, ...], auth: Headers
    ) -> None:
        """Take the paths of a kind, instead of which the configuration may have one.

        Raises:
            ValueError: that path has no place for the id.
        """
        own = settings.paths.get(GENERATION)
        if own is not None and PLACE not in own:
            raise ValueError(f"path '{GENERATION}' has no {PLACE}: each call would get one receipt")
        self._base_url = base_url
        self._settings = settings
        self._paths = paths if own is None else (own,)
        self._auth = auth

    def of(self, generation_id: str) -> tuple[Target, ...]:
        """Return where an id is looked up; empty: it is nothing that can be sent as an id."""
        if not distinct_ids(generation_id):
            return ()
        return tuple(self._target(path, generation_id) for path in self._paths)

    def _target(self, path: str, generation_id: str) -> Target:
        return billing_target(
            self._base_url,
            self._settings,
            GENERATION,
            path,
            self._auth,
            generation_id=generation_id,
        )
