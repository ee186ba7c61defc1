"""Signing in with a token of the admin plane, and signing out."""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Final

from aiohttp import web

from proxy.admin.access import Access, Expired
from proxy.dashboard.gate import COOKIE, CSRF, Gate, Turned, Visit, fields_of, is_own_site
from proxy.dashboard.pages import Pages
from proxy.dashboard.sessions import WHOLE_MS, Sessions
from proxy.dashboard.sources import Sources

#: As the journal names what happens here.
SIGNED_IN: Final = "signed_in"
SIGN_IN_FAILED: Final = "sign_in_failed"
SIGNED_OUT: Final = "signed_out"
# Nobody is signed in yet, so the form and a cookie of its own carry the same random text.
FORM_COOKIE: Final = "bursar_form"
_FORM_S: Final = 3_600
_BYTES: Final = 32


class SignIn:
    """`/sign-in` and `/sign-out`."""

    def __init__(self, sources: Sources, sessions: Sessions, gate: Gate, pages: Pages) -> None:
        self._sources = sources
        self._sessions = sessions
        self._gate = gate
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/sign-in", self._gate.open(self.ask)),
            web.post("/sign-in", self._gate.open(self.enter)),
            web.post("/sign-out", self._gate.act(self.leave, by_viewers=True)),
        ]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Ask for a token."""
        if not len(self._sources.tokens):
            raise Turned(
                403,
                "The dashboard is closed",
                "No token is configured: add one under `admin: {tokens: …}` in bursar.yaml.",
            )
        return self._form(request, wanted=_own_address(request.query.get("next", "/")))

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Open a session, if the token is one."""
        fields = await fields_of(request)
        wanted = _own_address(fields.get("next", "/"))
        if not is_own_site(request) or not _is_own_form(request, fields.get(CSRF, "")):
            said = "This page was open for too long: please try once more."
            return self._form(request, wanted=wanted, said=said, status=403)
        address = request.remote or ""
        wait_s = self._sources.attempts.allowed(address)
        if wait_s is not None:
            said = f"Too many wrong tokens: wait {wait_s} s, then try again."
            response = self._form(request, wanted=wanted, said=said, status=429)
            response.headers["Retry-After"] = str(wait_s)
            return response
        now_ms = self._sources.services.clock.now_ms()
        found = self._sources.tokens.access(fields.get("token", "").strip(), now_ms)
        if not isinstance(found, Access):
            self._sources.attempts.failed(address)
            why = "expired" if isinstance(found, Expired) else "unknown"
            await self._note(SIGN_IN_FAILED, actor=None, origin=address, why=why)
            said = "This token has expired." if why == "expired" else "This token is not known."
            return self._form(request, wanted=wanted, said=said, status=401)
        self._sources.attempts.succeeded(address)
        session = await self._sessions.open(found)
        await self._note(SIGNED_IN, actor=found.actor, origin=address)
        response = web.Response(status=303, headers={"Location": wanted})
        _keep(response, request, COOKIE, session.secret, WHOLE_MS // 1000)
        response.del_cookie(FORM_COOKIE, path="/sign-in", httponly=True, samesite="Strict")
        return response

    async def leave(self, visit: Visit) -> web.StreamResponse:
        """End a session."""
        access = visit.session.access
        await self._sessions.end(visit.session)
        await self._note(SIGNED_OUT, actor=access.actor, origin=access.address)
        response = web.Response(status=303, headers={"Location": "/sign-in"})
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    def _form(
        self, request: web.Request, *, wanted: str, said: str = "", status: int = 200
    ) -> web.Response:
        own = secrets.token_urlsafe(_BYTES)
        values = {"said": said, "next": wanted, "form_csrf": own}
        response = self._pages.show("sign_in.html", title="Sign in", status=status, values=values)
        _keep(response, request, FORM_COOKIE, own, _FORM_S, path="/sign-in")
        return response

    async def _note(self, kind: str, *, actor: str | None, origin: str, **more: str) -> None:
        data = {"actor": actor, "from": origin, "by": "dashboard", **more}
        await self._sources.services.ledger.note(kind, json.dumps(data))


def _is_own_form(request: web.Request, given: str) -> bool:
    own = request.cookies.get(FORM_COOKIE, "")
    return own != "" and hmac.compare_digest(own.encode(), given.encode("utf-8", "replace"))


def _own_address(wanted: str) -> str:
    """Return where to go after signing in: a page of ours, and never another site's."""
    # Browsers take `//host` and `/\host` for another site's address.
    if wanted.startswith("/") and wanted[1:2] not in ("/", "\\") and wanted.isprintable():
        return wanted
    return "/"


def _keep(
    response: web.Response,
    request: web.Request,
    name: str,
    value: str,
    age_s: int,
    path: str = "/",
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send."""
    response.set_cookie(
        name,
        value,
        max_age=age_s,
        path=path,
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
