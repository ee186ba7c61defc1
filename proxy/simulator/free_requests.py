"""Requests that cost nothing: model lists, token counts, stored responses, greetings."""

import msgspec
from aiohttp import web

from proxy.simulator.arrivals import Arrival
from proxy.simulator.keys import KeyKind
from proxy.simulator.model_lists import model_list
from proxy.simulator.planning import tokens_in
from proxy.simulator.provider import Provider
from proxy.simulator.replies import JSON_HEADERS, refusal, reply


async def answer_unknown(_provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """No such path."""
    request = arrival.request
    return refusal(arrival, 404, f"Not found: {request.method} {request.path}")


async def greet(_provider: Provider, _arrival: Arrival) -> web.StreamResponse:
    """`HEAD /`, as a client's first sign of life."""
    return reply({})


async def list_models(_provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """Public: no key is needed, and a wrong one does no harm."""
    body = model_list(arrival.flavour, arrival.target.dialect)
    return web.Response(body=body, headers=JSON_HEADERS)


async def count_tokens(_provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """The free counters of three dialects."""
    if arrival.key_kind == KeyKind.NONE:
        return refusal(arrival, 403, "An API key is required.")
    try:
        msgspec.json.decode(arrival.body)
    except msgspec.MsgspecError as error:
        return refusal(arrival, 400, str(error))
    tokens = tokens_in(len(arrival.body))
    match arrival.target.dialect:
        case "messages":
            return reply({"input_tokens": tokens})
        case "responses":
            return reply({"object": "response.input_tokens", "input_tokens": tokens})
        case _:
            return reply({"totalTokens": tokens, "promptTokensDetails": []})


async def look_up_response(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """A stored response, or the one that grows in the background."""
    request, response_id = arrival.request, arrival.target.resource
    if request.query.get("stream") == "true":
        after = request.query.get("starting_after", "-1")
        number = int(after) if after.removeprefix("-").isdigit() else -1
        events = provider.stored.events(response_id, number)
        if events is not None:
            headers = {"content-type": "text/event-stream; charset=utf-8"}
            return web.Response(body=b"".join(events), headers=headers)
    body = provider.stored.poll(response_id)
    if body is None:
        return refusal(arrival, 404, f"Response with id '{response_id}' not found.")
    return web.Response(body=body, headers=JSON_HEADERS)


async def cancel_response(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """End a background response early; it is billed all the same."""
    body = provider.stored.cancel(arrival.target.resource)
    if body is None:
        return refusal(arrival, 404, f"Response with id '{arrival.target.resource}' not found.")
    return web.Response(body=body, headers=JSON_HEADERS)
