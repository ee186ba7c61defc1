"""Bare HTTP through the proxy and without it: the same bytes, however the provider sends them."""

from __future__ import annotations

import aiohttp
import pytest

from tests.sdks.pair import Pair, Side
from tests.sdks.shapes import SHAPES, Shape

DELIVERIES: dict[str, dict[str, object]] = {
    "plain": {},
    # A comment first, then events in pieces of seven bytes, across letters and line ends.
    "split": {"split_bytes": 7, "comment_every": 100},
    "gzip": {"compress": "gzip"},
    "br": {"compress": "br"},
}


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_the_bytes_are_the_same(pair: Pair, shape: Shape, delivery: str) -> None:
    pair.deliver(**DELIVERIES[delivery])

    async def ask(side: Side) -> object:
        headers = {"authorization": f"Bearer {side.key}"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(side.url + shape.path, json=shape.body, headers=headers) as answer,
        ):
            return answer.status, answer.content_type, await answer.read()

    straight, through = await pair.ask_both(ask)

    assert through.made == straight.made
    assert await pair.books() == pair.truth
