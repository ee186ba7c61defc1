"""The data plane's door: which requests are calls, which are free, and that nothing else passes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from policies.call_ids import new_call_id
from policies.clock import Clock
from policies.errors import LedgerUnavailable
from proxy.dialects.endpoints import Endpoint, NotFound, Operation, find_endpoint
from proxy.dialects.interface import Dialect, DialectName, ErrorKind
from proxy.gateway.authenticate import authenticate
from proxy.gateway.budget_view import own_budgets
from proxy.gateway.call import Refusal
from proxy.gateway.free import FreeRequests
from proxy.gateway.inference import Inference, Stations
from proxy.gateway.refuse import CALL_ID_HEADER, Refuser
from proxy.tasks import Tasks


class DataPlane:
    """Answers every request that comes in on the gateway's port."""

    def __init__(
        self,
        *,
        stations: Stations,
        free: FreeRequests,
        refuser: Refuser,
        dialects: Mapping[DialectName, Dialect],
        providers: frozenset[str],
        calls: Tasks,
        calls_max: int,
        clock: Clock,
    ) -> None:
        self._s = stations
        self._inference = Inference(stations)
        self._free = free
        self._refuser = refuser
        self._dialects = dialects
        self._providers = providers
        self._calls = calls
        self._calls_max = calls_max
        self._clock = clock
        #: No new calls: the process is about to end.
        self.closing = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        call_id = new_call_id(self._clock.now_ms())
        endpoint = find_endpoint(request.method, request.raw_path, self._providers)
        dialect = self._dialects[endpoint.dialect]
        began_s = self._clock.monotonic_s()
        # A task of our own: a call that was admitted is carried to its settlement, whatever becomes
        # of this connection and its handler.
        work = self._calls.run(self._answer(request, endpoint, dialect, call_id))
        answer = await asyncio.shield(work)
        self._s.watch.took(endpoint.dialect, self._clock.monotonic_s() - began_s)
        if not isinstance(answer, Refusal):
            return answer
        self._s.watch.refused(answer, dialect.name, call_id)
        response = self._refuser.answer(answer, dialect, call_id)
        if self.closing:
            response.force_close()
        return response

    async def _answer(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint | NotFound,
        dialect: Dialect,
        call_id: str,
    ) -> web.StreamResponse | Refusal:
        try:
            return await self._dispatch(request, endpoint, dialect, call_id)
        except LedgerUnavailable as fault:
            return Refusal(
                status=503,
                kind=ErrorKind.LEDGER_UNAVAILABLE,
                message=f"the ledger cannot be reached: try again later ({fault})",
            )
        except ConnectionError:
            # The client left before its request was whole: no fault of ours, and nobody to tell.
            self._s.watch.client_left()
            return Refusal(
                status=400,
                kind=ErrorKind.MALFORMED,
                message="the connection ended before the request did: send all of it",
            )
        except Exception as fault:  # noqa: BLE001 - The last resort: one call fails, the proxy lives.
            self._s.watch.failed(call_id, fault)
            return Refusal(
                status=500,
                kind=ErrorKind.INTERNAL,
                message=f"the proxy failed in a way that it should not; its log names {call_id}",
            )

    async def _dispatch(
        self,
        request: web.BaseRequest,
        endpoint: Endpoint | NotFound,
        dialect: Dialect,
        call_id: str,
    ) -> web.StreamResponse | Refusal:
        if self.closing:
            return Refusal(
                status=503,
                kind=ErrorKind.OVERLOADED,
                message="this proxy is about to stop: send the request again",
            )
        if len(self._calls) > self._calls_max:
            return Refusal(
                status=503,
                kind=ErrorKind.OVERLOADED,
                message=f"{self._calls_max} requests are in flight in this worker: send it again",
            )
        if "websocket" in request.headers.get("upgrade", "").lower():
            return _upgrade_required()
        if isinstance(endpoint, NotFound):
            return _nowhere(endpoint)
        if endpoint.metered:
            return await self._inference.handle(request, endpoint, dialect, call_id)
        if endpoint.operation is Operation.PROBE:
            return _json({}, call_id)
        rulebook = self._s.rulebook()
        caller = await authenticate(request.headers, endpoint, self._s.keys, rulebook)
        if isinstance(caller, Refusal):
            return caller
        if endpoint.operation is Operation.BUDGET:
            raised = self._s.quoter.raised
            return _json(await own_budgets(caller, rulebook, self._s.ledger, raised), call_id)
        return await self._free.handle(request, endpoint, caller, rulebook, call_id)

    def malformed(self, status: int, message: str) -> web.Response:
        """Return the answer to bytes that are not HTTP; which dialect they meant cannot be known."""
        call_id = new_call_id(self._clock.now_ms())
        refusal = Refusal(status=status, kind=ErrorKind.MALFORMED, message=message)
        dialect = self._dialects["chat_completions"]
        self._s.watch.refused(refusal, "none", call_id)
        return self._refuser.answer(refusal, dialect, call_id)


_KINDS: Final = {400: ErrorKind.MALFORMED, 405: ErrorKind.METHOD_NOT_ALLOWED}


def _nowhere(found: NotFound) -> Refusal:
    return Refusal(
        status=found.status,
        kind=_KINDS.get(found.status, ErrorKind.NOT_FOUND),
        message=f"{found.message}: {found.hint}" if found.hint else found.message,
        headers=(("allow", ", ".join(found.allow)),) if found.allow else (),
    )


def _upgrade_required() -> Refusal:
    # Codex falls back to POST at once on 426, and only on 426 (protocols.md, E).
    return Refusal(
        status=426,
        kind=ErrorKind.UPGRADE_REQUIRED,
        message="WebSockets are not metered, therefore not forwarded: send the call as an HTTP POST",
        headers=(("upgrade", "HTTP/1.1"), ("connection", "close")),
    )


def _json(document: dict[str, Any], call_id: str) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        headers={"content-type": "application/json", CALL_ID_HEADER: call_id},
    )
