"""The admin API's door: who may pass, and how every error leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger

from policies.errors import LedgerUnavailable
from policies.lined_yaml import place_text
from policies.schema_faults import fault_text
from proxy.admin.access import Access, Tokens, bearer_token
from proxy.admin.replies import Refused, failure
from proxy.admin.schemas import Body, Fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Model = TypeVar("Model", bound=Body)

API: Final = "/admin/v1/"
LEDGER_AWAY: Final = "the ledger does not answer: try again later"
_ACCESS: Final = web.RequestKey("access", Access)
_READING: Final = frozenset({"GET", "HEAD"})


class Door:
    """Lets requests in and answers out."""

    def __init__(self, tokens: Tokens, log: FilteringBoundLogger) -> None:
        self._tokens = tokens
        self._log = log

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def pass_door(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if request.path.startswith(API):
                    request[_ACCESS] = self._admit(request)
                return await handler(request)
            except Refused as refused:
                return failure(refused)
            except LedgerUnavailable:
                return failure(Refused(503, "ledger_unavailable", LEDGER_AWAY))
            except web.HTTPException as error:
                return failure(_as_refused(error, request))
            except Exception as error:  # noqa: BLE001 - One request fails, the plane lives.
                self._log.error("admin_request_failed", path=request.path, exc_info=error)
                return failure(Refused(500, "internal", "this failed; the proxy's log says why"))

        return pass_door

    def _admit(self, request: web.Request) -> Access:
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
        access = self._tokens.access(token)
        if access is None:
            raise Refused(401, "unknown_token", "this token is not one of `admin: {tokens: …}`")
        if request.method not in _READING and not access.changes:
            raise Refused(403, "read_only", "a viewer changes nothing: use a token with role admin")
        return access


def _as_refused(error: web.HTTPException, request: web.Request) -> Refused:
    """Return aiohttp's own refusals in our form."""
    if error.status == web.HTTPNotFound.status_code:
        return Refused(404, "not_found", f"there is nothing at {request.path}")
    if error.status == web.HTTPMethodNotAllowed.status_code:
        return Refused(405, "method_not_allowed", f"{request.method} is not possible here")
    return Refused(error.status, "refused", error.reason)


def access_of(request: web.Request) -> Access:
    """Return who is asking; the door has let them in."""
    return request[_ACCESS]


def check_sees_all(access: Access) -> None:
    """Check that somebody sees the data of all teams together.

    Raises:
        Refused: they see some teams alone, and what they ask for tells what others spend.
    """
    if not access.sees(None):
        said = "this tells what other teams spend: use a token that is for all teams"
        raise Refused(403, "other_teams", said)


async def body_of(request: web.Request, model: type[Model]) -> Model:
    """Return what a client sent; nothing at all is an empty object.

    Raises:
        Refused: it is not what was expected; each mistake is named.
    """
    raw = await request.read() or b"{}"
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        known = list(model.model_fields)
        mistakes = [
            Fault(field=place_text(fault["loc"]), message=fault_text(fault, known))
            for fault in error.errors(include_url=False)
        ]
        said = "; ".join(f"{each.field or 'the body'} {each.message}" for each in mistakes)
        raise Refused(400, "invalid", said, mistakes) from error
