"""The way of one call through the simulated provider."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web

from proxy.simulator import (
    chat_completions,
    delivery,
    embeddings,
    generate_content,
    messages,
    responses,
)
from proxy.simulator.answers import Answer, Asked, Malformed, data_only, encode, sse
from proxy.simulator.arrivals import Arrival
from proxy.simulator.identifiers import Ids, digest, ids_of
from proxy.simulator.keys import KeyKind
from proxy.simulator.paths import Flavour, Operation
from proxy.simulator.planning import charge, plan, resolve
from proxy.simulator.provider import Provider
from proxy.simulator.refusals import error_event, error_object
from proxy.simulator.scenario import ErrorDocument, Scenario, UnusableScenario, decode_scenarios
from proxy.simulator.truth import Call

#: Configurable in one place, because AGIPower's own name for it is not known.
REQUEST_ID_HEADER: Final = "X-ZenMux-RequestId"
GENERATION_ID_HEADER: Final = "x-generation-id"
_JSON: Final = "application/json"
_SSE: Final = "text/event-stream; charset=utf-8"
_OK: Final = 200


class Dialect(Protocol):
    """What a dialect whose body names the model has to offer."""

    def parse(self, body: bytes, flavour: Flavour, /) -> Asked:
        """Read a request."""
        ...

    def body(self, answer: Answer, /) -> bytes:
        """Write a whole answer."""
        ...


_DIALECTS: Final[dict[Operation, Dialect]] = {
    Operation.CHAT_COMPLETIONS: chat_completions,
    Operation.RESPONSES: responses,
    Operation.MESSAGES: messages,
    Operation.EMBEDDINGS: embeddings,
}
_STREAMS: Final[dict[Operation, Callable[[Answer], list[bytes]]]] = {
    Operation.CHAT_COMPLETIONS: chat_completions.events,
    Operation.RESPONSES: responses.events,
    Operation.MESSAGES: messages.events,
    Operation.GENERATE_CONTENT: generate_content.events,
}


async def answer_call(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """Answer one inference request and write down what it was."""
    call = record(provider, arrival)
    try:
        return await _answer(provider, arrival, call)
    except (asyncio.CancelledError, ConnectionError):
        call.client_left = True
        raise
    finally:
        provider.truth.finish(call)


async def _answer(provider: Provider, arrival: Arrival, call: Call) -> web.StreamResponse:
    if wrong_key := _refuse_key(arrival, call):
        return wrong_key
    try:
        asked = _parse(arrival)
    except Malformed as error:
        return refuse(call, 400, str(error))
    call.model, call.streamed = asked.model, asked.streamed
    call.choices, call.background = asked.choices, asked.background
    try:
        call.scenario = _own_scenario(arrival) or provider.script.take(
            asked.model, call.dialect, arrival.flavour, streamed=asked.streamed
        )
    except UnusableScenario as error:
        return refuse(call, 400, f"x-simulator-scenario: {error}")
    if refusal := await _refuse_call(provider, arrival, call):
        return refusal
    model = resolve(asked, call.scenario, arrival.flavour)
    if model is None:
        return refuse(call, 404, f"The model '{asked.model}' does not exist.")
    call.status = _OK
    ids = _name(provider, call, arrival.flavour)
    answer = plan(provider, call, asked, model, ids.gateway)
    provider.truth.index_ids(call)
    if call.scenario.hang:
        await delivery.wait_until_left(provider, arrival.request)
        call.client_left = delivery.has_left(arrival.request)
        return web.Response(status=504)
    return await _deliver(provider, arrival, call, answer, _headers(call, arrival.flavour, ids))


def record(provider: Provider, arrival: Arrival) -> Call:
    """Write down a call that has just arrived."""
    request = arrival.request
    truth = provider.truth
    index = truth.next_index()
    call = Call(
        id=f"call_{index}",
        index=index,
        at=provider.clock(),
        method=request.method,
        path=request.path,
        dialect=arrival.target.operation.value,
        flavour=arrival.flavour.value,
        key_kind=arrival.key_kind,
        key=arrival.key,
        headers=tuple((name.lower(), value) for name, value in request.headers.items()),
        body_bytes=len(arrival.body),
        body_sha256=hashlib.sha256(arrival.body).hexdigest(),
        leaked_client_key=arrival.leaks_client_key,
    )
    truth.add(call)
    return call


def note_leak(provider: Provider, arrival: Arrival) -> web.StreamResponse:
    """Write down that a key of the proxy came along with a request that costs nothing."""
    call = record(provider, arrival)
    provider.truth.finish(call)
    return refuse(call, 403, "A key of the proxy reached its provider.", type_="leaked_client_key")


def refuse(
    call: Call, status: int, message: str, *, type_: str | None = None, code: str | None = None
) -> web.Response:
    """An error in the manners of the flavour and the dialect; it costs nothing."""
    flavour = Flavour(call.flavour)
    call.status = status
    document = error_object(flavour, call.dialect, status, message, type_=type_, code=code)
    call.error_type = type_ or _type_of(document)
    headers = {"content-type": _JSON, **call.scenario.headers}
    if call.scenario.retry_after is not None:
        headers["retry-after"] = call.scenario.retry_after
    return web.Response(status=status, body=encode(document), headers=headers)


def _type_of(document: object) -> str:
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        return str(error.get("type") or error.get("status") or "")
    return ""


def _refuse_key(arrival: Arrival, call: Call) -> web.Response | None:
    """What a wrong key gets."""
    if arrival.leaks_client_key:
        return refuse(
            call, 403, "A key of the proxy reached its provider.", type_="leaked_client_key"
        )
    if arrival.key_kind == KeyKind.MANAGEMENT:
        return refuse(
            call,
            403,
            "Access denied: management key (api_key_source: payg).",
            type_="access_denied",
        )
    if arrival.key_kind != KeyKind.NONE:
        return None
    match arrival.flavour:
        case Flavour.AGIPOWER | Flavour.GOOGLE:
            return refuse(call, 403, "You have no permission: an API key is required.")
        case Flavour.VENICE:
            return refuse(call, 402, "Payment required: no Authorization header (x402Version 2).")
        case _:
            return refuse(call, 401, "You didn't provide an API key.", code="invalid_api_key")


def _parse(arrival: Arrival) -> Asked:
    target = arrival.target
    if target.operation == Operation.GENERATE_CONTENT:
        return generate_content.parse(arrival.body, target.model, streamed=target.streamed)
    return _DIALECTS[target.operation].parse(arrival.body, arrival.flavour)


async def _refuse_call(
    provider: Provider, arrival: Arrival, call: Call
) -> web.StreamResponse | None:
    """What the scenario or the account refuses."""
    scenario = call.scenario
    if scenario.status is not None or scenario.body_error_200:
        await delivery.pause(provider, arrival.request, scenario.first_byte_delay_ms / 1_000)
        return _fail(provider, call, scenario)
    if provider.account.inference_is_limited():
        return refuse(call, 429, "Rate limit exceeded. Please slow down.")
    if arrival.flavour == Flavour.AGIPOWER and (no := provider.account.refuses(call.key_kind)):
        return refuse(call, no.status, no.message, type_=no.type)
    return None


def _fail(provider: Provider, call: Call, scenario: Scenario) -> web.Response:
    """The failure that a scenario asks for, billed only if it says so."""
    error = scenario.error
    status = scenario.status or 502
    response = refuse(call, status, error.message, type_=error.type, code=error.code)
    if scenario.body_error_200:
        call.status = _OK
        response.set_status(_OK)
    if scenario.error_body is not None:
        response.body = scenario.error_body.encode()
    if scenario.billed_nano_usd:
        ids = _name(provider, call, Flavour(call.flavour))
        response.headers.update(_headers(call, Flavour(call.flavour), ids))
        charge(provider, call, scenario.billed_nano_usd)
        provider.truth.index_ids(call)
    return response


def _name(provider: Provider, call: Call, flavour: Flavour) -> Ids:
    """Give the answer its ids."""
    ids = ids_of(digest(provider.random_seed, call.index), flavour, call.dialect)
    call.body_id = ids.body
    places = []
    if flavour in {Flavour.OPENROUTER, Flavour.VERCEL} or call.scenario.generation_header:
        places.append((ids.gateway or f"gen_{ids.request}", "generation_header"))
    if ids.body and ids.body != ids.gateway:
        places.append((ids.body, "body"))
    if ids.body.startswith("resp_chatcmpl-"):
        # The ledger knows the id of the chat completion that the response is made of.
        places.append((ids.body.removeprefix("resp_"), "body"))
    places.append((ids.request, "request_header"))
    call.generation_ids = tuple(name for name, _ in places)
    call.id_places = tuple(place for _, place in places)
    return ids


def _headers(call: Call, flavour: Flavour, ids: Ids) -> dict[str, str]:
    """The headers of an answer in the manner of its flavour."""
    headers = {"content-type": _JSON}
    match flavour:
        case Flavour.AGIPOWER:
            headers[REQUEST_ID_HEADER] = ids.request
        case Flavour.OPENROUTER:
            headers["X-Generation-Id"] = ids.gateway
        case Flavour.ANTHROPIC:
            headers["request-id"] = ids.request
        case Flavour.VENICE:
            headers |= {"x-venice-balance-usd": "25.0", "x-venice-balance-diem": "90.5"}
            headers["x-venice-model-id"] = call.answered_model
        case _:
            headers["x-request-id"] = ids.request
    if call.scenario.generation_header and flavour != Flavour.OPENROUTER:
        headers[GENERATION_ID_HEADER] = call.generation_ids[0]
    return headers | call.scenario.headers


def _own_scenario(arrival: Arrival) -> Scenario | None:
    """The scenario that the request brings along."""
    own = arrival.request.headers.get("x-simulator-scenario")
    return None if own is None else decode_scenarios(own.encode())[0]


async def _deliver(
    provider: Provider, arrival: Arrival, call: Call, answer: Answer, headers: dict[str, str]
) -> web.StreamResponse:
    """Render the answer in its dialect and send it off."""
    request = arrival.request
    operation = arrival.target.operation
    if operation == Operation.RESPONSES and arrival.flavour != Flavour.VENICE:
        provider.stored.add(answer)
    if not call.streamed:
        body = _body(operation, answer)
        return await delivery.send_body(provider, request, call, body, headers)
    if operation == Operation.GENERATE_CONTENT and request.query.get("alt") != "sse":
        return await _send_array(provider, arrival, call, answer, headers)
    error = _error_frames(arrival.flavour, call.dialect, call.scenario.error)
    comment = delivery.comment_of(arrival.flavour)
    parcel = delivery.wrap(_STREAMS[operation](answer), call.scenario, error=error, comment=comment)
    headers["content-type"] = call.scenario.headers.get("content-type", _SSE)
    headers.setdefault("cache-control", "no-cache")
    return await delivery.send_stream(provider, request, call, parcel, headers)


def _body(operation: Operation, answer: Answer) -> bytes:
    if operation == Operation.RESPONSES and answer.asked.background:
        return encode(responses.document(answer, "queued"))
    if operation == Operation.GENERATE_CONTENT:
        return generate_content.body(answer)
    return _DIALECTS[operation].body(answer)


async def _send_array(
    provider: Provider, arrival: Arrival, call: Call, answer: Answer, headers: dict[str, str]
) -> web.StreamResponse:
    error = error_event(
        arrival.flavour, call.dialect, call.scenario.error.message,
        type_=call.scenario.error.type, code=call.scenario.error.code,
    )  # fmt: skip
    comma = b",\r\n" if call.scenario.error_after_events else b"["
    parcel = delivery.wrap(
        generate_content.array(answer),
        call.scenario,
        error=[comma + error + generate_content.ARRAY_END],
        comment=b"",
    )
    return await delivery.send_stream(provider, arrival.request, call, parcel, headers)


def _error_frames(flavour: Flavour, dialect: str, error: ErrorDocument) -> list[bytes]:
    """An error in the middle of a stream, in the dialect's own form."""
    data = error_event(flavour, dialect, error.message, type_=error.type, code=error.code)
    match dialect:
        case "messages" | "responses":
            return [sse("error", data)]
        case "generate_content":
            return [b"data: " + data + b"\r\n\r\n"]
        case _:
            return [data_only(data), chat_completions.DONE]
