"""Which provider a call goes to: the one that its path names, else the first route that matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final, Protocol, assert_never

from policies.rulebook import ModelNotAllowed, NotAMember, Rulebook, Rules, UnknownTeam
from proxy.dialects.endpoints import Endpoint
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import Arrival, Refusal, Routed
from proxy.providers.interface import Provider, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of `routes`; an empty part matches everything."""

    provider: str
    models: tuple[str, ...] = ()
    dialects: frozenset[str] = frozenset()

    def matches(self, model: str | None, dialect: str) -> bool:
        """Tell whether a call goes this way; one without a model takes no route for certain models."""
        if self.dialects and dialect not in self.dialects:
            return False
        if not self.models:
            return True
        return model is not None and any(fnmatchcase(model, glob) for glob in self.models)


class Names(Protocol):
    """Whatever knows by which name a model is priced."""

    def name_of(self, provider: str, model: str) -> str:
        """Return the one name that all spellings of a model have."""
        ...


class _AsWritten:
    def name_of(self, provider: str, model: str) -> str:
        del provider
        return model


#: For whoever has no price list: each spelling is a model of its own.
AS_WRITTEN: Final = _AsWritten()


class Router:
    """Knows the providers and the routes to them."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        routes: Sequence[Route],
        names: Names = AS_WRITTEN,
        same_model: Callable[[str, str], bool] = str.__eq__,
    ) -> None:
        self._providers = providers
        self._names = names
        self._same_model = same_model
        # Without any route the only provider takes everything.
        only = [Route(provider=name) for name in providers] if len(providers) == 1 else []
        self._routes = tuple(routes) or tuple(only)

    def route(self, arrival: Arrival, rulebook: Rulebook) -> Routed | Refusal:
        """Return where a call goes and which rules apply to it."""
        found = self.find(arrival.endpoint, arrival.parsed.model)
        if isinstance(found, Refusal):
            return found
        provider, target = found
        # A model that stands in the path has the name that its provider knows it by.
        model = arrival.endpoint.slug_for(provider.kind) or arrival.parsed.model
        if model != arrival.parsed.model:
            demand = replace(arrival.parsed.demand, model=model)
            arrival = replace(arrival, parsed=replace(arrival.parsed, model=model, demand=demand))
        name = self._names.name_of(provider.name, model)
        spelling = model if model != name and self._same_model(name, model) else None
        rules = rulebook.rules_for(arrival.caller, name, provider.name, spelling=spelling)
        if not isinstance(rules, Rules):
            return _barred(rules, arrival.endpoint.dialect)
        return Routed(arrival=arrival, provider=provider, target=target, model=name, rules=rules)

    def find(self, endpoint: Endpoint, model: str | None) -> tuple[Provider, Target] | Refusal:
        """Return the provider for an endpoint, and how its own endpoint is reached."""
        provider = self._provider(endpoint, model)
        if provider is None:
            named = f"model '{model}'" if model else "a call without a model"
            return _not_found(
                f"no route leads {named} in the dialect {endpoint.dialect} to a provider: add one to "
                f"`routes`, or put a provider's name in front of the path, such as "
                f"/{next(iter(self._providers), 'provider')}/v1/…"
            )
        target = provider.target(endpoint)
        if target is None:
            return _not_found(
                f"provider '{provider.name}' (kind {provider.kind}) does not speak {endpoint.dialect}"
            )
        return provider, target

    def by_name(self, name: str, endpoint: Endpoint) -> tuple[Provider, Target] | Refusal:
        """Return a provider that is known by name, and how its endpoint is reached."""
        provider = self._providers.get(name)
        target = provider.target(endpoint) if provider is not None else None
        if provider is None or target is None:
            return _not_found(f"provider '{name}' is not configured any more")
        return provider, target

    def _provider(self, endpoint: Endpoint, model: str | None) -> Provider | None:
        if endpoint.provider is not None:
            return self._providers.get(endpoint.provider)
        for route in self._routes:
            if route.matches(model, endpoint.dialect):
                return self._providers.get(route.provider)
        return None


def _barred(barred: UnknownTeam | NotAMember | ModelNotAllowed, dialect: str) -> Refusal:
    # Claude Code takes 403 for a failed log-in and Codex retries it five times (protocols.md, C1).
    status = 400 if dialect in ("responses", "messages") else 403
    match barred:
        case UnknownTeam(team):
            message = f"the key's team '{team}' is in no policy file: add it, or use another key"
        case NotAMember(team, user):
            message = f"user '{user}' is no member of team '{team}': add the user to its `members`"
        case ModelNotAllowed(team, model):
            message = (
                f"team '{team}' may not use model '{model}': ask for it in the team's `models`"
            )
        case unreachable:
            assert_never(unreachable)
    return Refusal(status=status, kind=ErrorKind.MODEL_NOT_ALLOWED, message=message)


def _not_found(message: str) -> Refusal:
    return Refusal(status=404, kind=ErrorKind.NOT_FOUND, message=message)
