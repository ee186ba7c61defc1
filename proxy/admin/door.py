"""The admin API's door: who may pass, and how every error leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from structlog.typing import FilteringBoundLogger

from policies.clock import Clock, rfc3339
from policies.errors import LedgerUnavailable
from policies.ledger.interface import Ledger
from proxy.admin.access import Access, Expired, Tokens, bearer_token
from proxy.admin.acts import SIGN_IN_FAILED, note_act
from proxy.admin.asked import access_of, admit, body_of, check_sees_all
from proxy.admin.attempts import Attempts
from proxy.admin.queries import invalid
from proxy.admin.replies import Refused, failure
from proxy.admin.schemas import Fault
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.filters import BadFilter

__all__ = ["Door", "access_of", "body_of", "check_sees_all"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API: Final = "/admin/v1/"
#: Tells nothing of this installation, and programs read it before they have a token.
DOCUMENT_PATH: Final = "/admin/v1/openapi.json"
LEDGER_AWAY: Final = "the ledger does not answer: try again later"
ARCHIVE_AWAY: Final = "the archive does not answer: try again later; calls go on meanwhile"
_READING: Final = frozenset({"GET", "HEAD"})
#: As requests name what filters of the archive call otherwise.
_ASKED_AS: Final = {"key_id": "key", "call_id": "call"}


class Door:
    """Lets requests in and answers out."""

    def __init__(
        self,
        tokens: Tokens,
        attempts: Attempts,
        *,
        ledger: Ledger,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        """Take what it judges by; the ledger journals who was turned away."""
        self._tokens = tokens
        self._attempts = attempts
        self._ledger = ledger
        self._clock = clock
        self._log = log

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def pass_door(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if request.path.startswith(API) and request.path != DOCUMENT_PATH:
                    admit(request, await self._access(request))
                return await handler(request)
            except Refused as refused:
                return failure(refused)
            except BadFilter as fault:
                field = _ASKED_AS.get(fault.field, fault.field)
                return failure(invalid([Fault(field=field, message=fault.text)]))
            except LedgerUnavailable:
                return failure(Refused(503, "ledger_unavailable", LEDGER_AWAY))
            except ArchiveUnavailable as fault:
                self._log.warning("archive_unavailable", path=request.path, reason=str(fault))
                return failure(Refused(503, "archive_unavailable", ARCHIVE_AWAY))
            except web.HTTPException as error:
                if error.status < web.HTTPBadRequest.status_code:
                    raise
                return failure(_as_refused(error, request))
            except Exception as error:  # noqa: BLE001 - One request fails, the plane lives.
                self._log.error("admin_request_failed", path=request.path, exc_info=error)
                return failure(Refused(500, "internal", "this failed; the proxy's log says why"))

        return pass_door

    async def _access(self, request: web.Request) -> Access:
        if not self._tokens:
            raise Refused(
                403,
                "no_tokens",
                "the admin API is closed, for no token is configured: "
                "add one under `admin: {tokens: …}`",
            )
        token = bearer_token(request.headers.get("Authorization", ""))
        if token is None:
            raise Refused(401, "no_token", "send a token as 'Authorization: Bearer …'")
        address = request.remote or ""
        wait_s = self._attempts.allowed(address)
        if wait_s is not None:
            said = f"too many wrong tokens came from here: try again in {wait_s} s"
            raise Refused(429, "too_many_attempts", said, retry_after_s=wait_s)
        access = self._tokens.access(token, self._clock.now_ms())
        if access is None:
            self._attempts.failed(address)
            await self._note_failed(address)
            raise Refused(401, "unknown_token", "this token is not one of `admin: {tokens: …}`")
        if isinstance(access, Expired):
            said = f"this token was good until {rfc3339(access.at_ms)}: use another one"
            raise Refused(401, "expired_token", said)
        self._attempts.succeeded(address)
        if request.method not in _READING and not access.changes:
            raise Refused(403, "read_only", "a viewer changes nothing: use a token with role admin")
        return replace(access, address=address)

    async def _note_failed(self, address: str) -> None:
        """Journal a wrong token; how many there can be, the attempts limit."""
        self._log.warning("admin_token_refused", address=address)
        nobody = Access(role="viewer", teams=frozenset(), actor="", address=address)
        # Whoever guesses learns nothing from whether the ledger is there.
        with suppress(LedgerUnavailable):
            await note_act(self._ledger, SIGN_IN_FAILED, nobody, door="api")


def _as_refused(error: web.HTTPException, request: web.Request) -> Refused:
    """Return aiohttp's own refusals in our form."""
    if error.status == web.HTTPNotFound.status_code:
        return Refused(404, "not_found", f"there is nothing at {request.path}")
    if isinstance(error, web.HTTPMethodNotAllowed):
        said = f"{request.method} is not possible here"
        return Refused(405, "method_not_allowed", said, allowed=sorted(error.allowed_methods))
    return Refused(error.status, "refused", error.reason)
