"""The simulator's own endpoints."""

import pytest

from proxy.simulator.control import scenarios_of
from proxy.simulator.scenario import Scenario
from tests.proxy.simulator.conversation import Conversation


async def test_one_mistake_keeps_all_documents_of_a_request_out(talk: Conversation) -> None:
    reply = await talk.post("/simulator/scenario", [{"status": 500}, {"statsu": 500}])

    assert reply.status == 400
    assert "statsu" in reply.document["error"]
    assert (await talk.get("/simulator/scenario")).document == {"items": []}


async def test_waiting_documents_are_shown_without_their_defaults(talk: Conversation) -> None:
    await talk.scene({"status": 500, "times": 2})

    assert (await talk.get("/simulator/scenario")).document == {
        "items": [{"status": 500, "times": 2}]
    }


async def test_scenarios_can_be_reset(talk: Conversation) -> None:
    await talk.scene({"status": 500, "balance_usd": "0"})

    await talk.ask("DELETE", "/simulator/scenario")

    assert (await talk.chat()).status == 200


async def test_calls_are_told_from_an_index_on(talk: Conversation) -> None:
    for _ in range(3):
        await talk.chat()

    reply = await talk.get("/simulator/calls?since=2")

    assert [call["index"] for call in reply.document["items"]] == [2]
    assert reply.document["totals"]["calls"] == 3
    assert (await talk.get("/simulator/calls?since=x")).status == 400


async def test_calls_can_be_emptied(talk: Conversation) -> None:
    await talk.chat()

    await talk.ask("DELETE", "/simulator/calls")

    assert await talk.truth() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/simulator/calls", 405), ("GET", "/simulator/elsewhere", 404)],
)
async def test_anything_else_is_not_understood(
    talk: Conversation, method: str, path: str, status: int
) -> None:
    assert (await talk.ask(method, path)).status == status


def test_a_document_may_be_one_or_many() -> None:
    assert scenarios_of({}) == scenarios_of([{}]) == [Scenario()]
