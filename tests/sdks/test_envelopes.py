"""Whatever becomes of a call, the caller is told in its own dialect: all dialects, all outcomes.

Each dialect is asked of its own vendor, so that what the provider says is in that dialect too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doubles.running import Running, running
from tests.sdks.pair import POLICIES, UNKNOWN_KEY
from tests.sdks.shapes import PRICES, SHAPES, Document, Shape

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@pytest.fixture
async def bursar(
    shape: Shape, tmp_path: Path, redis_url: str, organization: str
) -> AsyncIterator[Running]:
    async with running(
        tmp_path,
        redis_url,
        organization,
        policies=POLICIES.format(organization=organization),
        prices=PRICES,
        provider=f"kind: {shape.vendor}",
    ) as made:
        yield made


async def _ask(bursar: Running, shape: Shape, key: str = "") -> tuple[int, str, bytes]:
    """Return status, content type and body."""
    headers = {"authorization": f"Bearer {key or bursar.key}"}
    async with bursar.http.post(
        bursar.url + shape.path, json=shape.body, headers=headers
    ) as answer:
        return answer.status, answer.headers["content-type"], await answer.read()


def _assert_error(shape: Shape, document: Document, status: int, message: str) -> dict[str, Any]:
    """Check that it is an error as the dialect writes it; return what stands below `error`."""
    error: dict[str, Any] = document["error"]
    assert message in error["message"]
    match shape.dialect:
        case "messages":
            assert document["type"] == "error"
            assert document["request_id"]
            assert set(error) == {"type", "message"}
        case "generate_content":
            assert error["code"] == status
            assert error["status"].isupper()
        case _:
            assert set(error) == {"message", "type", "param", "code"}
    return error


async def _books(bursar: Running) -> tuple[bool, int]:
    """Return whether anything was spent, and what is still reserved."""
    await bursar.settled()
    standing = await bursar.standing("plenty")
    return standing.spent > 0, standing.reserved


@every_shape
async def test_a_call_that_passes(bursar: Running, shape: Shape) -> None:
    status, content_type, body = await _ask(bursar, shape)

    assert (status, content_type) == (200, shape.content_type)
    assert shape.is_whole(shape.read(body)[-1])
    assert await _books(bursar) == (True, 0)


@every_shape
async def test_a_refusal(bursar: Running, shape: Shape) -> None:
    _, key = await bursar.app.key_store.create("poor")

    status, content_type, body = await _ask(bursar, shape, key)

    assert (status, content_type) == (402, "application/json")
    error = _assert_error(shape, json.loads(body), 402, "Budget 'empty-purse'")
    kind = error.get("type") or error["status"]
    expected = {"messages": "billing_error", "generate_content": "RESOURCE_EXHAUSTED"}
    assert kind == expected.get(shape.dialect, "insufficient_quota")
    assert await _books(bursar) == (False, 0)


@every_shape
async def test_an_unknown_key(bursar: Running, shape: Shape) -> None:
    status, content_type, body = await _ask(bursar, shape, UNKNOWN_KEY)

    assert (status, content_type) == (401, "application/json")
    _assert_error(shape, json.loads(body), 401, "this key is unknown")
    assert await _books(bursar) == (False, 0)


@every_shape
async def test_an_error_of_the_provider(bursar: Running, shape: Shape) -> None:
    bursar.scenario(status=500, error={"message": "No such luck."})

    status, content_type, body = await _ask(bursar, shape)

    assert (status, content_type) == (500, "application/json")
    _assert_error(shape, json.loads(body), 500, "No such luck.")
    assert await _books(bursar) == (False, 0)


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if shape.streams], ids=lambda shape: shape.name
)
async def test_a_stream_that_is_cut_ends_in_an_error(bursar: Running, shape: Shape) -> None:
    bursar.scenario(cut_after_events=2)

    status, content_type, body = await _ask(bursar, shape)

    assert (status, content_type) == (200, shape.content_type)
    documents = shape.read(body)
    assert len(documents) == 3
    if shape.dialect == "responses":
        assert documents[-1]["type"] == "response.failed"
        assert "broke off" in documents[-1]["response"]["error"]["message"]
    else:
        _assert_error(shape, documents[-1], 502, "broke off")
    assert await _books(bursar) == (True, 0)


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if not shape.streams], ids=lambda shape: shape.name
)
async def test_a_whole_answer_that_is_cut_breaks_off_for_the_caller_too(
    bursar: Running, shape: Shape
) -> None:
    bursar.scenario(cut_after_bytes=40)

    with pytest.raises(aiohttp.ClientPayloadError):
        await _ask(bursar, shape)

    assert await _books(bursar) == (True, 0)
