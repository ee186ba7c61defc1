"""The simulator's own endpoints: scenarios in, ground truth out."""

from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.simulator.answers import encode
from proxy.simulator.provider import Provider
from proxy.simulator.scenario import Scenario, UnusableScenario, decode_scenarios
from proxy.simulator.truth import describe

PREFIX: Final = "/simulator/"
_SCENARIO: Final = "/simulator/scenario"
_CALLS: Final = "/simulator/calls"


def scenarios_of(document: object) -> list[Scenario]:
    """The scenarios in a document that is already Python."""
    return decode_scenarios(msgspec.json.encode(document))


async def answer(provider: Provider, request: BaseRequest) -> web.Response:
    """Answer a request below `/simulator/`."""
    match request.method, request.path:
        case "POST", "/simulator/scenario":
            return _add_scenarios(provider, await request.content.read())
        case "GET", "/simulator/scenario":
            return _json({"items": [_shown(item) for item in provider.script.waiting]})
        case "DELETE", "/simulator/scenario":
            provider.reset_scenarios()
            return _json({"items": []})
        case "GET", "/simulator/calls":
            return _calls(provider, request)
        case "DELETE", "/simulator/calls":
            provider.truth.clear()
            return _json({"items": []})
        case _:
            return _refuse(request)


def _refuse(request: BaseRequest) -> web.Response:
    if request.path in {_SCENARIO, _CALLS}:
        return _json({"error": f"{request.method} is not understood here"}, status=405)
    return _json({"error": f"there are {_SCENARIO} and {_CALLS} here"}, status=404)


def _json(document: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=encode(document), status=status, headers={"content-type": "application/json"}
    )


def _shown(scenario: Scenario) -> dict[str, Any]:
    """A scenario without the fields it leaves at their defaults."""
    plain = Scenario()
    return {
        name: getattr(scenario, name)
        for name in scenario.__struct_fields__
        if getattr(scenario, name) != getattr(plain, name)
    }


def _add_scenarios(provider: Provider, body: bytes) -> web.Response:
    """All documents of a request, or none of them."""
    try:
        scenarios = decode_scenarios(body)
    except UnusableScenario as error:
        return _json({"error": str(error)}, status=400)
    for scenario in scenarios:
        provider.adopt(scenario)
    return _json({"added": len(scenarios), "waiting": len(provider.script.waiting)})


def _calls(provider: Provider, request: BaseRequest) -> web.Response:
    """The ground truth, from an index on if one is given."""
    query = request.query
    totals = {**msgspec.structs.asdict(provider.truth.totals())}
    totals["free_requests"] = provider.truth.free_requests
    if query.get("summary") in {"1", "true"}:
        return _json({"totals": totals})
    since = query.get("since", "0")
    if not since.isdigit():
        return _json({"error": "since is an index"}, status=400)
    items = [describe(call) for call in provider.truth.since(int(since))]
    return _json({"items": items, "totals": totals})
