"""Pages as text: templates that escape whatever they print, and the headers that every page carries."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from proxy.admin.access import Access
from proxy.dashboard import wording
from proxy.dashboard.assets import Assets
from proxy.dashboard.sessions import Session
from proxy.dashboard.svg import element

#: Nothing but what this server ships is loaded, run, asked or sent to; texts cannot become markup.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
#: Pages name spending and keys: no cache may keep them.
NO_STORE: Final = {"Cache-Control": "no-store"}
_FORM_BYTES: Final = 16
_FORMS: Final = {"stamp": wording.stamp, "second": wording.second, "minute": wording.minute}
#: In the order in which they are shown: address, name, and whether it tells of all teams together.
_PLACES: Final = (
    ("/", "Overview", False),
    ("/calls", "Calls", False),
    ("/receipts", "Receipts", True),
    ("/wallets", "Wallets", True),
    ("/keys", "Keys", False),
    ("/audit", "Audit", False),
)


class Pages:
    """Prints pages."""

    def __init__(self, assets: Assets, organization: str) -> None:
        self._organization = organization
        self._templates = Environment(
            loader=PackageLoader("proxy.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "exact": lambda amount, unit: wording.exact(unit, amount),
            "short": lambda amount, unit: wording.short(unit, amount),
            "bare": lambda amount, unit: wording.bare(unit, amount),
            "span": wording.span,
            "stamp": wording.stamp,
            "cost": wording.cost,
            "counted": _counted,
            "minute": wording.minute,
            "time": time_element,
        }
        self._templates.globals |= {
            "asset": assets.address,
            "percent": wording.percent,
            "form_id": lambda: secrets.token_urlsafe(_FORM_BYTES),
        }

    def show(
        self,
        template: str,
        *,
        title: str,
        place: str = "",
        session: Session | None = None,
        status: int = 200,
        values: Mapping[str, Any] | None = None,
    ) -> web.Response:
        """Return a page.

        Args:
            template: the file's name.
            title: what the window and the heading say.
            place: which entry of the navigation is the present one.
            session: of whoever looks; None: nobody is signed in.
            status: the answer's.
            values: what the template prints.
        """
        text = self._templates.get_template(template).render(
            title=title,
            organization=self._organization,
            place=place,
            places=_places(session.access) if session is not None else [],
            access=session.access if session is not None else None,
            csrf=session.csrf if session is not None else "",
            **(values or {}),
        )
        return web.Response(
            status=status, text=text, content_type="text/html", headers={**HEADERS, **NO_STORE}
        )

    def failure(
        self, status: int, title: str, said: str, *, session: Session | None = None
    ) -> web.Response:
        """Return a page that says why something was not done."""
        values = {"said": said, "status": status}
        return self.show("failure.html", title=title, session=session, status=status, values=values)


def time_element(at: int | str | None, form: str = "stamp") -> Markup | str:
    """Return a time for people, with the same for machines around it.

    Args:
        at: milliseconds since the epoch, or RFC 3339.
        form: `stamp`, `second` or `minute`.
    """
    at_ms = int(datetime.fromisoformat(at).timestamp() * 1000) if isinstance(at, str) else at
    if not at_ms:
        return wording.NOTHING
    text = _FORMS[form](at_ms)
    return element("time", text, datetime=wording.iso(at_ms), title=f"{wording.stamp(at_ms)} UTC")


def _counted(count: int, one: str, more: str = "") -> str:
    """Return a number of things: `1 call`, `1,204 calls`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _places(access: Access) -> list[tuple[str, str]]:
    return [(address, name) for address, name, of_all in _PLACES if not of_all or access.sees(None)]
