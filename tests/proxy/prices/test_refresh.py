"""Keeping prices fresh: every list of every provider, every change journalled, no failure fatal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from policies.ledger.memory import MemoryLedger
from proxy.prices import refresh as refreshing
from proxy.prices.book import PriceBook
from proxy.prices.refresh import PriceRefresh
from proxy.providers.connection import MaybeSent, NeverSent
from proxy.providers.interface import Provider
from tests.doubles.fake_clock import FakeClock
from tests.doubles.fake_provider import FakeProvider
from tests.doubles.fake_upstream import FakeAnswer, FakeUpstream
from tests.doubles.flaky_ledger import FlakyLedger
from tests.doubles.recorders import Recorder


def listed(**prices: float) -> bytes:
    """AGIPower's list (providers.md, 1.8), with dollars per million tokens by model."""
    return json.dumps(
        {
            "data": [
                {
                    "id": f"acme/{model}",
                    "pricings": {
                        "prompt": [{"value": value, "unit": "perMTokens", "currency": "USD"}],
                        "completion": [{"value": value, "unit": "perMTokens", "currency": "USD"}],
                    },
                }
                for model, value in prices.items()
            ]
        }
    ).encode()


class Rig:
    """A refresh of one provider's lists, on scripted answers."""

    def __init__(self, clock: FakeClock, *, price_lists: int = 1) -> None:
        provider = FakeProvider(kind="agipower", price_lists=price_lists)
        silent = FakeProvider("silent", price_lists=0)
        self.upstream = FakeUpstream()
        self.behind = MemoryLedger(clock)
        self.ledger = FlakyLedger(self.behind)
        self.recorder = Recorder()
        providers: dict[str, Provider] = {"fake": provider, "silent": silent}
        self.book = PriceBook(
            kinds={name: each.kind for name, each in providers.items()},
            overrides={},
            clock=clock,
        )
        self.refresh = PriceRefresh(
            book=self.book,
            providers=providers,
            upstream=self.upstream,
            ledger=self.ledger,
            observer=self.recorder,
        )

    async def take(self, *answers: FakeAnswer | BaseException) -> None:
        self.upstream._answers = list(answers)
        await self.refresh.refresh()

    def source(self, model: str) -> str | None:
        found = self.book.lookup("fake", f"acme/{model}")
        return found.source if found is not None else None

    async def journalled(self) -> list[dict[str, Any]]:
        entries = await self.behind.journal(count_max=1_000)
        assert {entry.kind for entry in entries} <= {"price_changed"}
        return [json.loads(entry.data) for entry in entries]


@pytest.fixture
def rig(clock: FakeClock) -> Rig:
    return Rig(clock)


async def test_a_list_is_taken_in_and_its_prices_are_journalled(rig: Rig) -> None:
    await rig.take(FakeAnswer(listed(mini=1.0, maxi=5.0)))

    assert rig.source("mini") is not None
    assert [(each["model"], each["old"]) for each in await rig.journalled()] == [
        ("acme/mini", None),
        ("acme/maxi", None),
    ]
    assert rig.recorder.names == ["price_changed", "price_changed"]
    (target, headers, body) = rig.upstream.sent[0]
    assert (str(target.url), headers, body) == ("http://fake.test/prices/0", [], None)


async def test_a_list_that_comes_in_pieces_is_read_whole(rig: Rig) -> None:
    """aiohttp's `read(n)` returns what has arrived: most lists are longer than that."""
    whole = listed(**{f"model{number}": 1.0 for number in range(500)})
    pieces = [whole[start : start + 1_000] for start in range(0, len(whole), 1_000)]

    await rig.take(FakeAnswer(*pieces))

    assert rig.source("model499") is not None


async def test_what_has_not_changed_is_no_news(rig: Rig) -> None:
    await rig.take(FakeAnswer(listed(mini=1.0)))
    await rig.take(FakeAnswer(listed(mini=1.0)))

    assert len(await rig.journalled()) == 1


async def test_a_price_that_changed_is_journalled_with_what_it_was(rig: Rig) -> None:
    await rig.take(FakeAnswer(listed(mini=1.0)))
    await rig.take(FakeAnswer(listed(mini=1.5)))

    _, change = await rig.journalled()
    assert change["old"] != change["new"]
    assert (change["provider"], change["model"]) == ("fake", "acme/mini")


async def test_a_price_that_is_absurd_is_refused_and_said_once(rig: Rig) -> None:
    await rig.take(FakeAnswer(listed(mini=1.0)))
    for _ in range(2):
        await rig.take(FakeAnswer(listed(mini=-1.0)))

    refused = [each for each in await rig.journalled() if each["refused"]]
    assert len(refused) == 1
    assert rig.source("mini") is not None


@pytest.mark.parametrize(
    "answer",
    [
        NeverSent("no route"),
        MaybeSent("reset"),
        FakeAnswer(b"{}", status=500),
        FakeAnswer(b"<html>"),
        FakeAnswer(b""),
        FakeAnswer(b"\xff"),
        FakeAnswer(b"[" * 100_000),
    ],
    ids=["unreachable", "cut", "error", "html", "empty", "no text", "deep"],
)
async def test_without_a_list_the_prices_so_far_hold(
    rig: Rig, answer: FakeAnswer | BaseException
) -> None:
    await rig.take(FakeAnswer(listed(mini=1.0)))
    rig.recorder.events.clear()

    await rig.take(answer)

    assert rig.source("mini") is not None
    assert rig.recorder.names == ["price_list_failed"]


async def test_a_list_beyond_all_bounds_is_not_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "LIST_BYTES_MAX", 100)
    endless = FakeAnswer(*[b"x" * 60] * 9)

    await rig.take(endless)

    assert rig.recorder.names == ["price_list_failed"]
    assert endless.left_over == 7


async def test_one_list_that_fails_does_not_keep_back_the_others(clock: FakeClock) -> None:
    rig = Rig(clock, price_lists=2)

    await rig.take(NeverSent("no route"), FakeAnswer(listed(mini=1.0)))

    assert rig.source("mini") is not None
    assert rig.recorder.names == ["price_list_failed", "price_changed"]


async def test_without_the_ledger_the_price_holds_all_the_same(rig: Rig) -> None:
    rig.ledger.away = True

    await rig.take(FakeAnswer(listed(mini=1.0)))

    assert rig.source("mini") is not None
    assert await rig.journalled() == []


async def test_it_goes_on_for_ever(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "EVERY_S", 0)
    rig.upstream._answers = [FakeAnswer(listed(mini=1.0)) for _ in range(1_000)]

    running = asyncio.ensure_future(rig.refresh.run())
    while len(rig.upstream.sent) < 3:
        await asyncio.wait([running], timeout=0)
    running.cancel()
    await asyncio.wait([running])

    assert rig.source("mini") is not None
