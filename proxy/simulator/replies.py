"""JSON answers to requests that are not calls."""

from typing import Any, Final

from aiohttp import web

from proxy.simulator.answers import encode
from proxy.simulator.arrivals import Arrival
from proxy.simulator.refusals import error_object

JSON_HEADERS: Final = {"content-type": "application/json"}


def reply(
    document: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=encode(document), status=status, headers=JSON_HEADERS | (headers or {})
    )


def success(data: dict[str, Any]) -> web.Response:
    """The envelope of AGIPower's management endpoints."""
    return reply({"success": True, "data": data})


def refusal(
    arrival: Arrival,
    status: int,
    message: str,
    *,
    type_: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """A JSON error in the manners of the flavour."""
    document = error_object(arrival.flavour, arrival.target.dialect, status, message, type_=type_)
    return reply(document, status=status, headers=headers)
