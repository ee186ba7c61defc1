"""Asking for one call over real HTTP: every id, at every place, and whatever a billing endpoint does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import pytest
from aiohttp import web
from yarl import URL

from proxy.providers.connection import MaybeSent, NeverSent, Upstream
from proxy.providers.interface import Target
from proxy.receipts.look_up import RECEIPT_BYTES_MAX, LookUps
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
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream
from tests.doubles.serving import serving

BILLED = Final(nano_usd=5, generation_id="b")
ANSWERS: dict[str, Result] = {
    "final": BILLED,
    "never": Never("it is a subscription"),
    "slow": SlowDown(7_000),
    "pending": Pending("not billed yet"),
    "down": Pending("status 503"),
    "aside": SetAside("negative"),
    "unknown": UnknownId(),
}


class PathAdapter:
    """Its ids name what the provider answers, at each place: `unknown-pending` at two of them."""

    never = None

    def __init__(self, base: str = "http://billing.example", places: int = 1) -> None:
        self._base, self._places = URL(base), places
        self.known: list[Sequence[str]] = []
        self.read_last: tuple[int, Mapping[str, str], bytes] = (0, {}, b"")

    def at_once(self, outcome: Mapping[str, object]) -> Final | None:
        return None

    def targets(self, generation_id: str) -> Sequence[Target]:
        return [
            Target(
                method="GET",
                url=self._base / generation_id / str(place),
                headers=(("X-Key", "secret"), ("Accept", "application/json")),
            )
            for place in range(self._places)
        ]

    def read(
        self, generation_ids: Sequence[str], status: int, headers: Mapping[str, str], body: bytes
    ) -> Result:
        self.known.append(generation_ids)
        self.read_last = (status, headers, body)
        name = body.decode(errors="replace")
        return ANSWERS.get(name, SetAside("it cannot be read"))


class Provider:
    """Answers each path by its own words, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.hung_up = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path)
        self.headers.append(request.headers)
        _, words, place = request.path.split("/")
        word = words.split("-")[int(place)]
        if word == "hang":
            await self.hung_up.wait()
        if word == "long":
            return web.Response(body=b"x" * (RECEIPT_BYTES_MAX + 1))
        if word == "cut":
            cut = web.StreamResponse(headers={"Content-Length": "100"})
            await cut.prepare(request)
            await cut.write(b"final")
            assert request.transport is not None
            request.transport.abort()
            return cut
        status = {"slow": 422, "down": 503}.get(word, 200)
        return web.Response(status=status, headers={"Retry-After": "7"}, text=word)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def base(provider: Provider) -> AsyncIterator[str]:
    async with serving(provider.answer) as address:
        yield address
        provider.hung_up.set()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(connect_timeout_s=5, idle_timeout_s=5)
    await made.open()
    yield made
    await made.close()


def counting() -> tuple[list[int], Callable[[], Awaitable[None]]]:
    spent: list[int] = []

    async def spend() -> None:
        spent.append(1)

    return spent, spend


async def look_up(
    upstream: Upstream, adapter: ReceiptAdapter, *ids: str, timeout_s: float = 20
) -> Result:
    return await LookUps(upstream, timeout_s).look_up(adapter, ids, counting()[1])


async def test_a_receipt_is_asked_for_as_the_adapter_says(
    provider: Provider, base: str, upstream: Upstream
) -> None:
    adapter = PathAdapter(base)

    assert await look_up(upstream, adapter, "final") == BILLED

    assert provider.asked == ["/final/0"]
    assert provider.headers[0]["X-Key"] == "secret"
    status, headers, body = adapter.read_last
    assert (status, body) == (200, b"final")
    assert headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("ids", "asked", "expected"),
    [
        # The likeliest first; what is found ends the search.
        (["final", "aside"], 1, BILLED),
        (["unknown", "final", "aside"], 2, BILLED),
        (["aside", "final"], 2, BILLED),
        (["unknown", "unknown"], 2, UnknownId()),
        # The provider knows the call: other ids would say no more.
        (["unknown", "pending", "final"], 2, ANSWERS["pending"]),
        (["never", "final"], 1, ANSWERS["never"]),
        # A place with a fault says nothing about other ids and places.
        (["down", "final"], 2, BILLED),
        (["down", "unknown"], 2, ANSWERS["down"]),
        # It wants fewer requests: not one more.
        (["slow", "final"], 1, ANSWERS["slow"]),
        (["unknown", "slow", "final"], 2, ANSWERS["slow"]),
        # What does not add up is told, unless something says more.
        (["aside", "unknown"], 2, ANSWERS["aside"]),
        (["unknown", "aside"], 2, ANSWERS["aside"]),
        ([], 0, UnknownId()),
    ],
)
async def test_all_ids_are_tried_in_order_and_what_says_most_counts(
    provider: Provider,
    base: str,
    upstream: Upstream,
    ids: list[str],
    asked: int,
    expected: Result,
) -> None:
    assert await look_up(upstream, PathAdapter(base), *ids) == expected

    assert provider.asked == [f"/{each}/0" for each in ids[:asked]]


async def test_every_place_is_asked_for_an_id_before_the_next_one(
    provider: Provider, base: str, upstream: Upstream
) -> None:
    adapter = PathAdapter(base, places=2)

    assert await look_up(upstream, adapter, "unknown-unknown", "unknown-final") == BILLED

    assert provider.asked == [
        "/unknown-unknown/0",
        "/unknown-unknown/1",
        "/unknown-final/0",
        "/unknown-final/1",
    ]


async def test_an_answer_is_read_with_all_ids_of_the_call_the_asked_one_first(
    base: str, upstream: Upstream
) -> None:
    adapter = PathAdapter(base)

    await look_up(upstream, adapter, "unknown", "aside", "final")

    assert adapter.known == [
        ("unknown", "aside", "final"),
        ("aside", "unknown", "final"),
        ("final", "unknown", "aside"),
    ]


async def test_each_request_is_told_before_it_is_sent(
    provider: Provider, base: str, upstream: Upstream
) -> None:
    before: list[int] = []

    async def spend() -> None:
        before.append(len(provider.asked))

    adapter = PathAdapter(base, places=2)
    await LookUps(upstream, 20).look_up(adapter, ["unknown-unknown", "final"], spend)

    assert before == [0, 1, 2]


async def test_an_endpoint_that_hangs_is_left_and_the_call_waits(
    base: str, upstream: Upstream
) -> None:
    found = await look_up(upstream, PathAdapter(base), "hang", timeout_s=0.05)

    assert found == Pending("the billing endpoint did not answer in time")


@pytest.mark.parametrize("word", ["cut", "long"])
async def test_an_answer_that_is_cut_or_never_ends_is_no_receipt(
    base: str, upstream: Upstream, word: str
) -> None:
    adapter = PathAdapter(base)

    assert isinstance(await look_up(upstream, adapter, word), Pending)
    assert adapter.known == []


async def test_an_endpoint_that_nobody_serves_is_asked_again_later(upstream: Upstream) -> None:
    found = await look_up(upstream, PathAdapter("http://127.0.0.1:1"), "final")

    assert isinstance(found, Pending)
    assert "cannot be reached" in found.reason


@pytest.mark.parametrize("fault", [NeverSent("no way"), MaybeSent("broke")])
async def test_a_fault_of_the_connection_says_why(fault: Exception) -> None:
    assert await look_up(FakeUpstream(fault), PathAdapter(), "final") == Pending(str(fault))


async def test_every_answer_is_closed() -> None:
    whole, cut = FakeAnswer(b"unknown"), FakeAnswer(b"fin", ConnectionResetError())

    found = await look_up(FakeUpstream(whole, cut), PathAdapter(), "a", "b")

    assert isinstance(found, SetAside | Pending)
    assert whole.ends == ["closed"]
    assert set(cut.ends) == {"closed"}
