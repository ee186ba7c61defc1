"""Responses, as the OpenAI SDK and the documents have it."""

import openai

from tests.proxy.simulator.conversation import PAYG, VENICE, Conversation

_PATH = "/api/v1/responses"
_BODY = {"model": "openai/gpt-5.6", "input": "How much is left?", "max_output_tokens": 5}


async def test_the_sdk_reads_a_response(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=PAYG) as client:
        answer = await client.responses.create(
            model="openai/gpt-5.6", input="Hi", max_output_tokens=5
        )

    assert answer.output_text == "budgets are kept word by"
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5


async def test_the_sdk_reads_a_stream(url: str) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=PAYG) as client,
        client.responses.stream(model="openai/gpt-5.6", input="Hi", max_output_tokens=5) as stream,
    ):
        names = [event.type async for event in stream]
        answer = await stream.get_final_response()

    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == "response.completed"
    assert answer.output_text == "budgets are kept word by"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5


async def test_only_the_terminal_event_has_usage(talk: Conversation) -> None:
    reply = await talk.post(_PATH, _BODY | {"stream": True})

    told = [event["response"]["usage"] for event in reply.events if "response" in event]
    assert told[:-1] == [None, None]
    assert told[-1]["output_tokens"] == 5
    assert [event["sequence_number"] for event in reply.events] == list(range(len(reply.events)))


async def test_details_are_subsets_and_searches_stand_apart(talk: Conversation) -> None:
    usage = {"input": 100, "cache_read": 30, "cache_write_1h": 7, "output": 9, "reasoning": 4}
    await talk.scene({"usage": usage | {"web_searches": 2}})

    at_openai = (await talk.post("/openai/v1/responses", _BODY)).document
    at_agipower = (await talk.post(_PATH, _BODY)).document

    assert at_openai["usage"]["input_tokens"] == 137
    assert at_openai["usage"]["total_tokens"] == 150
    assert at_openai["usage"]["output_tokens_details"] == {"reasoning_tokens": 4}
    assert at_openai["usage"]["input_tokens_details"]["cache_write_tokens"] == 7
    assert at_openai["tool_usage"] == {"web_search": {"num_requests": 2}}
    assert at_agipower["usage"]["input_tokens_details"]["web_search"] == 2
    assert (await talk.last())["usage"]["cache_write_5m"] == 7


async def test_a_response_cut_by_its_limit_is_incomplete(talk: Conversation) -> None:
    await talk.scene({"finish": "length"})

    whole = await talk.post(_PATH, _BODY)
    stream = await talk.post(_PATH, _BODY | {"stream": True})

    assert whole.document["status"] == "incomplete"
    assert whole.document["incomplete_details"] == {"reason": "max_output_tokens"}
    assert stream.events[-1]["type"] == "response.incomplete"


async def test_venice_names_a_response_after_its_chat_completion(talk: Conversation) -> None:
    body = _BODY | {"model": "zai-org-glm-5-1", "stream": True, "background": True}

    reply = await talk.post("/api/v1/responses", body, key=VENICE)

    assert reply.events[-1]["response"]["id"].startswith("resp_chatcmpl-")
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert (await talk.last())["generation_ids"][1].startswith("chatcmpl-")


async def test_vercel_names_the_generation(talk: Conversation) -> None:
    reply = await talk.post("/vercel/v1/responses", _BODY)

    assert reply.document["providerMetadata"]["gateway"]["generationId"].startswith("gen_")


async def test_a_body_without_a_model_is_refused(talk: Conversation) -> None:
    reply = await talk.post(_PATH, {"input": "x"})

    assert reply.status == 400
    assert "model" in reply.document["error"]["message"]
