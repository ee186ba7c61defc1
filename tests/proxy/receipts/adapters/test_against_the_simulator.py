"""The adapters against the simulated providers: what they read is what was really billed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from policies.usage import Exact, Usage
from proxy.dialects.chat_completions import ChatCompletions
from proxy.receipts.adapters.catalog import build_receipts
from proxy.receipts.receipt import (
    Final,
    Never,
    Pending,
    ReceiptAdapter,
    Result,
    SetAside,
    SlowDown,
    UnknownId,
)
from proxy.simulator.server import Simulator
from proxy.simulator.truth import Call
from tests.proxy.receipts.adapters.configured import Configured
from tests.proxy.simulator.conversation import (
    CONTENTS,
    MANAGEMENT,
    MESSAGES,
    PAYG,
    SUBSCRIPTION,
    Conversation,
    HandClock,
)

BODY: dict[str, Any] = {"model": "acme/mini", "messages": MESSAGES}
PREFIXES = {"agipower": "/api", "openrouter": "/openrouter", "vercel": "/vercel"}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def simulator(clock: HandClock) -> AsyncIterator[Simulator]:
    simulator = Simulator(clock=clock)
    yield simulator
    await simulator.stop()


@pytest.fixture
async def talk(simulator: Simulator) -> AsyncIterator[Conversation]:
    port = await simulator.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        yield Conversation(session, f"http://127.0.0.1:{port}")


def adapter(talk: Conversation, kind: str = "agipower", **fields: Any) -> ReceiptAdapter:
    base = "" if kind == "agipower" else PREFIXES[kind]
    settings = Configured(kind=kind, base_url=talk.url + base, **({"api_key": PAYG} | fields))
    found = build_receipts(settings)
    assert found is not None
    return found


async def look_up(
    talk: Conversation, reader: ReceiptAdapter, *known: str, place: int = 0
) -> Result:
    """Ask for the first id, at one of its places."""
    target = reader.targets(known[0])[place]
    async with talk.session.request(
        target.method, target.url, headers=dict(target.headers)
    ) as answer:
        return reader.read(known, answer.status, answer.headers, await answer.read())


def truth_of(call: Call) -> Usage:
    used = call.usage
    return Usage(
        input_tokens=used.input,
        cache_read_tokens=used.cache_read,
        cache_write_5m_tokens=used.cache_write_5m,
        cache_write_1h_tokens=used.cache_write_1h,
        output_tokens=used.completion,
        reasoning_tokens=used.reasoning,
    )


@pytest.mark.parametrize("quirks", [[], ["wrapped_receipt"], ["old_receipt", "wrapped_receipt"]])
@pytest.mark.parametrize("unbilled", ["absent", "null", "zero", "refused"])
@pytest.mark.parametrize("place", [0, 1])
async def test_a_receipt_comes_in_stages(
    talk: Conversation,
    simulator: Simulator,
    clock: HandClock,
    quirks: list[str],
    unbilled: str,
    place: int,
) -> None:
    simulator.add_scenario(
        not_found_first=1,
        unbilled_receipt=unbilled,
        billed_factor="1.44",
        usage={"input": 7, "cache_read": 3, "cache_write_5m": 2, "cache_write_1h": 1, "output": 9},
        quirks=quirks,
    )
    await talk.chat("anthropic/claude-opus-5.5")
    call = simulator.calls[-1]
    ids, reader = call.generation_ids, adapter(talk)

    first = await look_up(talk, reader, *ids, place=place)
    second = await look_up(talk, reader, *ids, place=place)
    clock.advance(180)
    third = await look_up(talk, reader, *ids, place=place)

    assert first == UnknownId()
    assert isinstance(second, Pending)
    assert isinstance(third, Final)
    assert third.nano_usd == sum(nano_usd for _, nano_usd in third.breakdown)
    assert third.nano_usd == call.billed_nano_usd > call.listed_nano_usd > 0
    assert (third.usage, third.generation_id) == (truth_of(call), ids[0])


@pytest.mark.parametrize("kind", ["openrouter", "vercel"])
async def test_the_neighbours_know_nothing_until_they_know_all(
    talk: Conversation, simulator: Simulator, clock: HandClock, kind: str
) -> None:
    usage = {"input": 1_000, "cache_read": 20, "output": 100, "reasoning": 20}
    simulator.add_scenario(billed_factor="1.44", usage=usage)
    await talk.chat(path=f"/{kind}/v1/chat/completions")
    call = simulator.calls[-1]
    reader = adapter(talk, kind)

    early = await look_up(talk, reader, *call.generation_ids)
    clock.advance(2)
    late = await look_up(talk, reader, *call.generation_ids)

    assert early == UnknownId()
    assert isinstance(late, Final)
    assert (late.nano_usd, late.usage) == (call.billed_nano_usd, truth_of(call))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/chat/completions", BODY),
        ("/api/v1/chat/completions", {**BODY, "stream": True}),
        ("/api/v1/responses", {"model": "acme/mini", "input": "Hi"}),
        ("/api/anthropic/v1/messages", {**BODY, "max_tokens": 9}),
        (
            "/api/vertex-ai/v1/publishers/google/models/gemini-3-pro:generateContent",
            {"contents": CONTENTS},
        ),
        ("/api/v1/embeddings", {"model": "acme/mini", "input": "Hi"}),
        ("/openrouter/v1/chat/completions", BODY),
        ("/openrouter/v1/messages", {**BODY, "max_tokens": 9}),
        ("/vercel/v1/chat/completions", BODY),
        ("/vercel/v1/responses", {"model": "acme/mini", "input": "Hi"}),
    ],
)
@pytest.mark.parametrize("generation_header", [False, True])
async def test_every_id_of_a_call_finds_its_receipt(
    talk: Conversation,
    simulator: Simulator,
    clock: HandClock,
    path: str,
    body: dict[str, Any],
    generation_header: bool,
) -> None:
    simulator.add_scenario(generation_header=generation_header)
    await talk.post(path, body)
    clock.advance(180)
    call = simulator.calls[-1]
    reader = adapter(
        talk, next(kind for kind, prefix in PREFIXES.items() if path.startswith(prefix))
    )

    for asked in call.generation_ids:
        others = [each for each in call.generation_ids if each != asked]
        found = await look_up(talk, reader, asked, *others)
        assert isinstance(found, Final), found
        assert found.nano_usd == call.billed_nano_usd


async def test_a_call_cut_before_it_told_its_id_is_found_by_its_requests(
    talk: Conversation, simulator: Simulator, clock: HandClock
) -> None:
    simulator.add_scenario(cut_after_events=0)
    with suppress(aiohttp.ClientError):
        await talk.chat(stream=True)
    clock.advance(180)
    call = simulator.calls[-1]

    found = await look_up(talk, adapter(talk), call.generation_ids[-1])

    assert call.cut
    assert isinstance(found, Final), found
    assert found.nano_usd == call.billed_nano_usd > 0


async def test_another_calls_receipt_is_set_aside(
    talk: Conversation, simulator: Simulator, clock: HandClock
) -> None:
    await talk.chat()
    await talk.chat()
    clock.advance(180)
    one, other = simulator.calls
    reader = adapter(talk)
    (target, _) = reader.targets(other.generation_ids[0])

    async with talk.session.get(target.url, headers=dict(target.headers)) as answer:
        found = reader.read(one.generation_ids, answer.status, answer.headers, await answer.read())

    assert isinstance(found, SetAside)


@pytest.mark.parametrize("management_key", ["", MANAGEMENT])
async def test_a_subscription_is_metered_and_never_billed(
    talk: Conversation, simulator: Simulator, clock: HandClock, management_key: str
) -> None:
    await talk.chat(key=SUBSCRIPTION)
    clock.advance(86_400)
    call = simulator.calls[-1]
    reader = adapter(talk, api_key=SUBSCRIPTION, management_key=management_key)

    found = await look_up(talk, reader, *call.generation_ids)

    assert found == Never(reader.never or "", truth_of(call))


async def test_refusals_of_the_look_up_itself(talk: Conversation) -> None:
    await talk.scene({"management_422_every": 1})

    limited = await look_up(talk, adapter(talk), "any")
    keyless = await look_up(talk, adapter(talk, api_key=""), "any")

    assert isinstance(limited, SlowDown)
    assert keyless == SetAside("the provider refused the key (status 403): check api_key")


async def test_a_free_call_is_billed_with_nothing(
    talk: Conversation, simulator: Simulator, clock: HandClock
) -> None:
    await talk.chat("acme/mini-free")
    clock.advance(180)

    found = await look_up(talk, adapter(talk), *simulator.calls[-1].generation_ids)

    assert isinstance(found, Final)
    assert found.nano_usd == 0


@pytest.mark.parametrize("currency", ["USD", "DIEM"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path", ["/venice/api/v1", "/openrouter/v1"])
async def test_an_answer_that_tells_its_cost_is_a_receipt(
    talk: Conversation, simulator: Simulator, path: str, streamed: bool, currency: str
) -> None:
    kind = path.split("/")[1]
    simulator.add_scenario(currency=currency, billed_factor="1.44", usage={"output": 7})
    reply = await talk.chat(path=f"{path}/chat/completions", stream=streamed)
    meter = ChatCompletions().meter(
        streamed=streamed, content_type=reply.headers["content-type"], strip_usage=False
    )
    meter.feed(reply.body)
    reading = meter.finish()
    assert isinstance(reading.metered, Exact)
    assert reading.cost is not None
    reader = build_receipts(Configured(kind=kind))
    assert reader is not None

    receipt = reader.at_once({"certainty": "exact", "reported_cost": reading.cost.amounts})

    assert receipt is not None
    assert receipt.nano_usd == simulator.calls[-1].billed_nano_usd > 0
    in_diem = kind == "venice" and currency == "DIEM"
    assert receipt.credits == ({"DIEM": receipt.nano_usd} if in_diem else {})
    assert receipt.currency == ("DIEM" if in_diem else "USD")
