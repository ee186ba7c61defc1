"""What all dialects share in writing answers."""

from decimal import Decimal

import pytest

from proxy.simulator.answers import data_only, encode, sse
from tests.proxy.simulator.conversation import MESSAGES, Conversation


def test_an_event_ends_with_an_empty_line() -> None:
    assert sse("ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert data_only(b"{}") == b"data: {}\n\n"


def test_money_is_written_as_an_exact_number() -> None:
    assert encode(Decimal("0.000000600")) == b"6.00E-7"
    assert encode({"cost": Decimal("0.1")}) == b'{"cost":0.1}'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/openrouter/api/v1/responses", {"model": "acme/mini"}),
        (
            "/openrouter/api/v1/messages",
            {"model": "acme/mini", "max_tokens": 9, "messages": MESSAGES},
        ),
    ],
)
async def test_openrouter_tells_the_cost_in_every_dialect(
    talk: Conversation, path: str, body: dict[str, object]
) -> None:
    await talk.scene({"billed_nano_usd": 1_500})

    whole = await talk.post(path, body)
    stream = await talk.post(path, body | {"stream": True})

    assert whole.document["usage"]["cost"] == Decimal("0.0000015")
    assert b'"cost":0.000001500' in stream.body
