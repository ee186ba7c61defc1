"""What is free and therefore passes without a quote: model lists, token counts, answers by their id."""

from __future__ import annotations

from typing import Protocol

import msgspec
from aiohttp import web

from policies.budgets import Caller
from policies.rulebook import Rulebook
from proxy.dialects.endpoints import Endpoint, Operation
from proxy.dialects.interface import ErrorKind
from proxy.gateway.call import REDIRECTS, Refusal, redirected
from proxy.gateway.client import Client
from proxy.gateway.parse import decompressed, read_body
from proxy.gateway.refuse import CALL_ID_HEADER
from proxy.gateway.route import Router
from proxy.gateway.upstream_errors import ERROR_STATUS_MIN, pass_on_error, read_error
from proxy.providers.connection import MaybeSent, NeverSent, Upstream, read_chunk
from proxy.providers.headers import answer_headers, request_headers
from proxy.providers.interface import Provider, Target

_BY_ID = frozenset({Operation.RESPONSE_GET, Operation.RESPONSE_CANCEL})


class Owners(Protocol):
    """Whoever remembers which team an answer belongs to, and which provider has it."""

    async def find(self, response_id: str) -> tuple[str, str] | None:
        """Return team and provider of an answer; None: it was not made here, or long ago."""
        ...


class _ModelOnly(msgspec.Struct):
    model: str | None = None


_model_decoder = msgspec.json.Decoder(_ModelOnly)


class FreeRequests:
    """Forwards what costs nothing."""

    def __init__(
        self, *, upstream: Upstream, router: Router, owners: Owners, body_bytes_max: int
    ) -> None:
        self._upstream = upstream
        self._router = router
        self._owners = owners
        self._body_bytes_max = body_bytes_max

    async def handle(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint,
        caller: Caller,
        rulebook: Rulebook,
        call_id: str,
    ) -> web.StreamResponse | Refusal:
        """Forward one free request and relay its answer."""
        body = await read_body(request, self._body_bytes_max)
        if isinstance(body, Refusal):
            return body
        found = await self._find(request, endpoint, caller, rulebook, body)
        if isinstance(found, Refusal):
            return found
        provider, target = found
        headers = request_headers(request.raw_headers, target, body_changed=False)
        try:
            answer = await self._upstream.send(target, headers, body or None)
        except (NeverSent, MaybeSent) as fault:
            return Refusal(
                status=502,
                kind=ErrorKind.UPSTREAM_UNREACHABLE,
                message=f"provider '{provider.name}' did not answer: {fault}",
            )
        if answer.status in REDIRECTS:
            answer.release()
            return redirected(provider.name, answer.status)
        client = Client(request)
        own = [(CALL_ID_HEADER, call_id)]
        try:
            if answer.status >= ERROR_STATUS_MIN:
                error, _ = await read_error(answer, target)
                return await pass_on_error(answer, error, client, own)
            await client.begin(
                answer.status, answer.reason, answer_headers(answer.raw_headers) + own
            )
            while not client.left and (piece := await read_chunk(answer)):
                await client.write(piece)
        except MaybeSent:
            client.abort()
        finally:
            answer.close() if client.left else answer.release()
        return await client.end()

    async def _find(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint,
        caller: Caller,
        rulebook: Rulebook,
        body: bytes,
    ) -> tuple[Provider, Target] | Refusal:
        if endpoint.operation in _BY_ID:
            return await self._owner_of(endpoint, caller)
        model = endpoint.slug or self._model_of(request, body)
        found = self._router.find(endpoint, model)
        if isinstance(found, Refusal) or model is None:
            return found
        # As for a call: a model that stands in the path has the name that its provider knows it by.
        model = endpoint.slug_for(found[0].kind) or model
        team = rulebook.teams.get(caller.team)
        if team is None or not team.allows(model):
            return Refusal(
                status=403,
                kind=ErrorKind.MODEL_NOT_ALLOWED,
                message=f"team '{caller.team}' may not use model '{model}'",
            )
        return found

    async def _owner_of(
        self, endpoint: Endpoint, caller: Caller
    ) -> tuple[Provider, Target] | Refusal:
        """Find the provider that has an answer; another team's answer is as if it were not there."""
        response_id = endpoint.response_id or ""
        owner = await self._owners.find(response_id)
        if owner is None or owner[0] != caller.team:
            return Refusal(
                status=404,
                kind=ErrorKind.NOT_FOUND,
                message=f"no answer '{response_id}' of team '{caller.team}' went through this proxy",
            )
        return self._router.by_name(owner[1], endpoint)

    def _model_of(self, request: web.BaseRequest, body: bytes) -> str | None:
        plain = decompressed(
            body, request.headers.get("content-encoding", ""), self._body_bytes_max
        )
        if isinstance(plain, Refusal) or not plain:
            return None
        try:
            return _model_decoder.decode(plain).model
        except (msgspec.DecodeError, RecursionError):
            return None
