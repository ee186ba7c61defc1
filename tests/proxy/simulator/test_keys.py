"""Kinds of keys, and the keys that must not be here."""

import pytest

from proxy.simulator.keys import KeyKind, key_id, kind_of
from tests.proxy.simulator.conversation import CHAT, MESSAGES, Conversation


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("", KeyKind.NONE),
        ("sk-ai-v1-x", KeyKind.PAYG),
        ("sk-ss-v1-x", KeyKind.SUBSCRIPTION),
        ("sk-mg-v1-x", KeyKind.MANAGEMENT),
        ("VENICE_INFERENCE_KEY_x", KeyKind.VENICE_INFERENCE),
        ("VENICE_ADMIN_KEY_x", KeyKind.VENICE_ADMIN),
        ("bsr_x", KeyKind.CLIENT),
        ("anything", KeyKind.PAYG),
    ],
)
def test_the_prefix_tells_the_kind(key: str, kind: KeyKind) -> None:
    assert kind_of(key) == kind


def test_a_keys_id_tells_nothing_about_the_key() -> None:
    assert "secret" not in key_id("secret")
    assert key_id("secret") == key_id("secret") != key_id("secret2")


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key", "api-key"])
async def test_a_key_is_taken_from_each_header(talk: Conversation, header: str) -> None:
    body = {"model": "acme/mini", "messages": MESSAGES}
    value = "Bearer sk-ss-v1-x" if header == "authorization" else "sk-ss-v1-x"

    reply = await talk.ask("POST", CHAT, body, key="", headers={header: value})

    assert reply.status == 200
    assert (await talk.last())["key_kind"] == "subscription"
    assert (await talk.last())["headers"][header] == "subscription"


async def test_a_key_is_taken_from_the_query(talk: Conversation) -> None:
    reply = await talk.chat(path=CHAT + "?key=sk-ss-v1-x", key="")

    assert reply.status == 200
    assert (await talk.last())["key_kind"] == "subscription"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (CHAT, {"authorization": "Bearer bsr_secret"}),
        (CHAT, {"authorization": "Bearer sk-ai-v1-x", "x-api-key": "bsr_secret"}),
        (CHAT + "?key=bsr_secret", {"authorization": "Bearer sk-ai-v1-x"}),
        ("/api/v1/management/generation?id=1", {"authorization": "Bearer bsr_secret"}),
    ],
)
async def test_a_key_of_the_proxy_is_refused_and_remembered(
    talk: Conversation, path: str, headers: dict[str, str]
) -> None:
    body = {"model": "acme/mini", "messages": MESSAGES}
    method = "POST" if "chat" in path else "GET"

    reply = await talk.ask(method, path, body, key="", headers=headers)

    assert reply.status == 403
    assert (await talk.last())["leaked_client_key"]
    assert (await talk.last())["billed_nano_usd"] == 0
    assert b"bsr_secret" not in (await talk.get("/simulator/calls")).body
