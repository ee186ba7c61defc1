"""Responses in the background, and those that are asked for again."""

from tests.proxy.simulator.conversation import Conversation, HandClock

_PATH = "/v1/responses"
_BODY = {"model": "openai/gpt-5.6", "input": "How much is left?", "max_output_tokens": 5}
_BACKGROUND = _BODY | {"background": True}


async def test_a_background_response_completes_by_the_clock(
    talk: Conversation, clock: HandClock
) -> None:
    await talk.scene({"background_after_s": 30})
    queued = (await talk.post(_PATH, _BACKGROUND)).document
    path = f"{_PATH}/{queued['id']}"

    waiting = (await talk.get(path)).document
    clock.advance(30)
    completed = (await talk.get(path)).document

    assert (queued["status"], queued["usage"]) == ("queued", None)
    assert (waiting["status"], waiting["usage"]) == ("in_progress", None)
    assert completed["status"] == "completed"
    assert completed["usage"]["output_tokens"] == 5


async def test_a_background_response_completes_by_the_number_of_polls(talk: Conversation) -> None:
    await talk.scene({"background_polls": 3})
    queued = (await talk.post(_PATH, _BACKGROUND)).document

    states = [(await talk.get(f"{_PATH}/{queued['id']}")).document["status"] for _ in range(4)]

    assert states == ["in_progress", "in_progress", "completed", "completed"]


async def test_a_cancelled_response_tells_no_usage_and_is_billed(
    talk: Conversation, clock: HandClock
) -> None:
    queued = (await talk.post(_PATH, _BACKGROUND)).document

    cancelled = await talk.post(f"{_PATH}/{queued['id']}/cancel", {})
    clock.advance(60)
    later = await talk.get(f"{_PATH}/{queued['id']}")

    assert cancelled.document["status"] == later.document["status"] == "cancelled"
    assert later.document["usage"] is None
    assert (await talk.last())["billed_nano_usd"] > 0


async def test_a_completed_response_cannot_be_cancelled(talk: Conversation) -> None:
    done = (await talk.post(_PATH, _BODY)).document

    assert (await talk.post(f"{_PATH}/{done['id']}/cancel", {})).document["status"] == "completed"


async def test_a_stream_can_be_taken_up_again(talk: Conversation) -> None:
    followed = await talk.post(_PATH, _BACKGROUND | {"stream": True})
    first = followed.events[0]["response"]

    resumed = await talk.get(f"{_PATH}/{first['id']}?stream=true&starting_after=3")

    assert first["status"] == "queued"
    assert resumed.events == followed.events[4:]


async def test_a_chain_is_read_again(talk: Conversation) -> None:
    first = (await talk.post(_PATH, _BODY)).document
    await talk.post(_PATH, _BODY | {"previous_response_id": first["id"]})

    one, two = await talk.truth()
    extra = len(f', "previous_response_id": "{first["id"]}"') / 4
    hidden = two["usage"]["input"] - one["usage"]["input"] - first["usage"]["total_tokens"]
    assert abs(hidden - extra) <= 1


async def test_looking_up_is_free(talk: Conversation) -> None:
    done = (await talk.post(_PATH, _BODY)).document
    again = await talk.get(f"{_PATH}/{done['id']}")

    assert again.document["usage"] == done["usage"]
    assert len(await talk.truth()) == 1


async def test_an_unknown_response_is_not_found(talk: Conversation) -> None:
    assert (await talk.get(f"{_PATH}/resp_unknown")).status == 404
    assert (await talk.get(f"{_PATH}/resp_unknown?stream=true")).status == 404
    assert (await talk.post(f"{_PATH}/resp_unknown/cancel", {})).status == 404
