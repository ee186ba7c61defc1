"""The way to every page: who is signed in, whether a form is theirs, and errors as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from policies.errors import LedgerUnavailable
from proxy.archive.database import ArchiveUnavailable
from proxy.archive.filters import BadFilter
from proxy.dashboard.pages import HEADERS, NO_STORE, Pages
from proxy.dashboard.sessions import Session, Sessions

COOKIE: Final = "bursar_session"
SIGN_IN: Final = "/sign-in"
#: What browsers say of a request that a page of ours made, or that somebody typed.
_OWN_SITES: Final = frozenset({"same-origin", "none"})
#: The part of a form's fields that says whose form it is, and which one.
CSRF: Final = "csrf"
FORM: Final = "form"

Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler = Callable[["Visit"], Awaitable[web.StreamResponse]]


class Turned(Exception):
    """A page is not shown, or something not done; a page says why."""

    def __init__(self, status: int, title: str, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.title = title


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of somebody who is signed in."""

    request: web.Request
    session: Session
    #: What a form said; empty when nothing was sent.
    fields: Mapping[str, str]

    def field(self, name: str) -> str:
        """Return what was written into a field of a form, without spaces around it."""
        return self.fields.get(name, "").strip()

    def asked(self, name: str) -> str:
        """Return what the address says, without spaces around it."""
        return self.request.query.get(name, "").strip()


class Gate:
    """Lets requests in and answers out."""

    def __init__(self, sessions: Sessions, pages: Pages, log: FilteringBoundLogger) -> None:
        self._sessions = sessions
        self._pages = pages
        self._log = log

    def page(self, handler: Handler, *, of_all_teams: bool = False) -> Plain:
        """Return a page for whoever is signed in.

        Args:
            handler: makes it.
            of_all_teams: it tells what all teams together spend: not for viewers of some.
        """

        async def show(request: web.Request) -> web.StreamResponse:
            session = await self._session(request)
            if session is None:
                return _to_sign_in(request)

            async def work() -> web.StreamResponse:
                if of_all_teams and not session.access.sees(None):
                    raise Turned(
                        403, "Not for this sign-in", "This page tells what other teams spend."
                    )
                return await handler(Visit(request=request, session=session, fields={}))

            return await self._guarded(request, work, session)

        return self._safe(show)

    def act(self, handler: Handler, *, by_viewers: bool = False) -> Plain:
        """Return what a form does.

        Args:
            handler: does it.
            by_viewers: it changes nothing that a viewer may not change.
        """

        async def do(request: web.Request) -> web.StreamResponse:
            session = await self._session(request)
            if session is None:
                return _to_sign_in(request)

            async def work() -> web.StreamResponse:
                fields = await fields_of(request)
                if not is_own_site(request) or not session.owns(fields.get(CSRF, "")):
                    raise Turned(
                        403, "Sent from elsewhere", "This form is not one of this session: go back."
                    )
                if not by_viewers and not session.access.changes:
                    raise Turned(403, "Viewers change nothing", "Sign in with an admin's token.")
                return await handler(Visit(request=request, session=session, fields=fields))

            return await self._guarded(request, work, session)

        return self._safe(do)

    def open(self, handler: Plain) -> Plain:
        """Return a page for anybody."""

        async def show(request: web.Request) -> web.StreamResponse:
            return await self._guarded(request, lambda: handler(request), None)

        return self._safe(show)

    async def first_time(self, visit: Visit) -> None:
        """Check that a form was not sent before. Raises `Turned`."""
        if not await self._sessions.once(visit.session, visit.field(FORM)):
            raise Turned(
                409, "Sent before", "This form was sent already, and was done once: go back."
            )

    async def _session(self, request: web.Request) -> Session | None:
        secret = request.cookies.get(COOKIE, "")
        return await self._sessions.find(secret, request.remote or "")

    def _safe(self, handler: Plain) -> Plain:
        """Return a handler whose answers carry our headers, whatever happens."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = await self._guarded(request, lambda: handler(request), None)
            if not response.prepared:
                for name, value in {**HEADERS, **NO_STORE}.items():
                    response.headers.setdefault(name, value)
            return response

        return answer

    async def _guarded(
        self,
        request: web.Request,
        work: Callable[[], Awaitable[web.StreamResponse]],
        session: Session | None,
    ) -> web.StreamResponse:
        """Return an answer; what goes wrong on the way becomes a page that says so."""

        def failure(status: int, title: str, said: str) -> web.Response:
            return self._pages.failure(status, title, said, session=session)

        try:
            return await work()
        except Turned as turned:
            return failure(turned.status, turned.title, str(turned))
        except BadFilter as bad:
            return failure(400, "This filter makes no sense", str(bad))
        except LedgerUnavailable:
            said = "Nothing can be shown or changed until it does. Try again in a moment."
            return failure(503, "The ledger does not answer", said)
        except ArchiveUnavailable:
            said = "Calls go on, and nothing is lost. Try again in a moment."
            return failure(503, "The archive does not answer", said)
        except web.HTTPException as error:
            if error.status < web.HTTPBadRequest.status_code:
                raise
            return failure(error.status, *_said(error, request))
        except ConnectionResetError:
            # Whoever asked went away; there is nobody to tell.
            raise
        except Exception as error:  # noqa: BLE001 - One page fails, the plane lives.
            self._log.error("dashboard_page_failed", path=request.path, exc_info=error)
            return failure(500, "This failed", "The proxy's log says why.")


async def fields_of(request: web.Request) -> dict[str, str]:
    """Return what a form said; files are nothing that a form of ours sends."""
    posted = await request.post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}


def is_own_site(request: web.Request) -> bool:
    """Tell whether a form was sent by a page of ours, as far as the browser says."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_SITES
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host


def _to_sign_in(request: web.Request) -> web.Response:
    """Send somebody to sign in, and back to where they wanted to go."""
    wanted = request.path_qs if request.method in ("GET", "HEAD") else "/"
    address = SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='')}"
    return web.Response(status=303, headers={"Location": address})


def _said(error: web.HTTPException, request: web.Request) -> tuple[str, str]:
    if error.status == web.HTTPNotFound.status_code:
        return "Nothing here", f"There is no page at {request.path}."
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        return "Too much", "No form of ours says that much."
    return "Not possible", error.reason
