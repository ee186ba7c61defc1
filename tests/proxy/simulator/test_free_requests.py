"""Requests that cost nothing."""

import pytest

from tests.proxy.simulator.conversation import CONTENTS, MESSAGES, Conversation


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/messages/count_tokens", {"messages": MESSAGES}, "input_tokens"),
        ("/v1/responses/input_tokens", {"input": "x"}, "input_tokens"),
        ("/v1beta/models/gemini-2.5-pro:countTokens", {"contents": CONTENTS}, "totalTokens"),
    ],
)
async def test_counting_tokens_is_no_call(
    talk: Conversation, path: str, body: dict[str, object], field: str
) -> None:
    reply = await talk.post(path, body)

    assert reply.document[field] > 0
    assert await talk.truth() == []


async def test_counting_needs_a_key_and_a_body(talk: Conversation) -> None:
    assert (await talk.post("/v1/messages/count_tokens", {}, key="")).status == 403
    assert (await talk.ask("POST", "/v1/messages/count_tokens")).status == 400


async def test_an_unknown_path_is_not_found(talk: Conversation) -> None:
    reply = await talk.get("/v1/nothing")

    assert reply.status == 404
    assert "/v1/nothing" in reply.document["error"]["message"]
