"""What a request asks, and who asks it: read in one place, by what its operation declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from policies.clock import Clock
from policies.lined_yaml import place_text
from policies.schema_faults import fault_text
from proxy.admin.access import Access
from proxy.admin.operations import Operation
from proxy.admin.queries import Query, invalid, read_query
from proxy.admin.replies import Refused
from proxy.admin.schemas import Body, Fault

AskedBody = TypeVar("AskedBody", bound=Body)
AskedQuery = TypeVar("AskedQuery", bound=Query)

#: Ids and names in a path; none is longer.
_PATH_CHARACTERS_MAX: Final = 256
_ACCESS: Final = web.RequestKey("access", Access)
_OPERATION: Final = web.RequestKey("operation", Operation)
_QUERY: Final = web.RequestKey("query", Query)


def routes(operations: Sequence[Operation], clock: Clock) -> list[web.RouteDef]:
    """Return operations as paths of a server."""
    return [_route(operation, clock) for operation in operations]


def _route(operation: Operation, clock: Clock) -> web.RouteDef:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[_OPERATION] = operation
        if not operation.open:
            # The door has seen them, whatever the path looked like; else this is a fault.
            access = access_of(request)
            if operation.for_all_teams:
                check_sees_all(access)
        for value in request.match_info.values():
            if len(value) > _PATH_CHARACTERS_MAX or not value.isprintable():
                raise Refused(404, "not_found", "nothing has such a name")
        if operation.query is not None:
            request[_QUERY] = read_query(request, operation.query, clock.now_ms())
        return await operation.handler(request)

    if operation.method == "GET":
        # The headers alone of what is streamed are not worth reading all of it.
        streamed = not isinstance(operation.answer, type)
        return web.get(operation.path, handle, allow_head=not streamed)
    return web.route(operation.method, operation.path, handle)


def admit(request: web.Request, access: Access) -> None:
    """Note who is asking; for the door alone."""
    request[_ACCESS] = access


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


def query_of(request: web.Request, model: type[AskedQuery]) -> AskedQuery:
    """Return what stands in the address."""
    query = request[_QUERY]
    if not isinstance(query, model):
        raise TypeError(f"the operation declares another query than {model.__name__}")
    return query


async def body_of(request: web.Request, model: type[AskedBody]) -> AskedBody:
    """Return what a client sent; nothing at all is an empty object.

    Raises:
        Refused: it is not what was expected; each mistake is named.
    """
    operation = request.get(_OPERATION)
    if operation is not None and operation.body is not model:
        raise TypeError(f"the operation declares another body than {model.__name__}")
    raw = await request.read() or b"{}"
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        known = list(model.model_fields)
        mistakes = [
            Fault(field=place_text(fault["loc"]), message=fault_text(fault, known))
            for fault in error.errors(include_url=False)
        ]
        raise invalid(mistakes) from error
