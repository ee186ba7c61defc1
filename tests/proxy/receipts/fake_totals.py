"""An account whose provider tells its totals as AGIPower does, with whatever faults a test wants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

import aiohttp

from policies.clock import utc
from policies.money import decimal_text
from proxy.providers.connection import Upstream
from proxy.providers.interface import Target
from tests.doubles.fake_upstream import FakeAnswer
from tests.proxy.receipts.adapters.configured import Configured

OWN_KEY = "key_own"
CONFIGURED = Configured(management_key="sk-mg-v1-own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """One request that the provider billed."""

    at_ms: int
    nano_usd: int
    key: str | None = OWN_KEY
    model: str = "acme/mini"
    bill_type: str = "metered"


class FakeTotals(Upstream):
    """Answers each request for an hour's totals."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(connect_timeout_s=1, idle_timeout_s=1)
        #: By the provider's clock.
        self.now_ms = now_ms
        self.billed: list[Billed] = []
        #: The hours that were asked for, by their names, and the bill types.
        self.asked: list[str] = []
        self.bill_types: list[str] = []
        #: What is answered instead, as long as it is there; None: no answer is.
        self.fault: FakeAnswer | BaseException | None = None
        #: The same for single hours, or for a list of bill types.
        self.faults: dict[str, FakeAnswer | BaseException] = {}
        self.tells_date = True

    async def send(
        self, target: Target, headers: list[tuple[str, str]], body: bytes | None
    ) -> aiohttp.ClientResponse:
        query = target.url.query
        hour = query["query_time"]
        self.asked.append(hour)
        self.bill_types.append(query["bill_types"])
        fault = self.fault or self.faults.get(hour) or self.faults.get(query["bill_types"])
        if isinstance(fault, BaseException):
            raise fault
        if fault is not None:
            return fault.as_answer()
        found = [
            each
            for each in self.billed
            if each.at_ms <= self.now_ms()
            and f"{utc(each.at_ms):%Y%m%d%H}" == hour
            and each.bill_type in query["bill_types"].split(",")
        ]
        raw = json.dumps(_answer(found)).encode()
        sent = {"Date": formatdate(self.now_ms() / 1000, usegmt=True)} if self.tells_date else {}
        return FakeAnswer(raw, headers=sent).as_answer()


def _answer(billed: list[Billed]) -> dict[str, object]:
    analysis = {
        "costByModel": _cut(billed, "modelSlug", lambda each: each.model),
        "costByApiKey": _cut(billed, "apiKeyId", lambda each: each.key),
        "costByTokenType": [],
    }
    total = decimal_text(sum(each.nano_usd for each in billed))
    return {"success": True, "data": {"summary": {"totalCost": total}, "analysis": analysis}}


def _cut(
    billed: list[Billed], field: str, name_of: Callable[[Billed], str | None]
) -> list[dict[str, str | None]]:
    money, calls = Counter[tuple[str, str | None]](), Counter[tuple[str, str | None]]()
    for each in billed:
        group = f"{utc(each.at_ms):%Y%m%d%H%M}", name_of(each)
        money[group] += each.nano_usd
        calls[group] += 1
    plain = {"modelSlug": None, "tokenType": None, "apiKeyId": None}
    return [
        {
            **plain,
            "bizTime": group[0],
            field: group[1],
            "billAmount": decimal_text(nano_usd),
            "requestCounts": str(calls[group]),
        }
        for group, nano_usd in money.items()
    ]
