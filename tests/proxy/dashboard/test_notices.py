"""What deserves a look: wallets, receipts, alerts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy.archive.chain import ChainedEntry
from proxy.dashboard.notices import (
    alert_text,
    amount_of,
    object_of,
    of_alerts,
    of_receipts,
    of_wallets,
)
from proxy.dashboard.wording import SPACE
from tests.doubles.fake_clock import NOON_MS
from tests.proxy.dashboard.world import quiet_receipts, receipts_row, wallet_rows


def entry(data: Any) -> ChainedEntry:
    return ChainedEntry(
        number=1,
        stream_id="1-0",
        at_ms=NOON_MS,
        version=1,
        kind="alert",
        call_id=None,
        data=json.dumps(data),
        moves="[]",
    )


def test_a_quota_that_is_nearly_used_up_is_told() -> None:
    found = of_wallets(wallet_rows())

    assert [notice.text for notice in found] == [
        f"Quota quota_7_day at agipower is low: 7{SPACE}% left"
    ]
    assert found[0].tone == "warn"


def test_a_closed_wallet_is_told_once_and_not_for_each_quota() -> None:
    wallet = wallet_rows()[0]
    quotas = [quota.model_copy(update={"closed": "suspended"}) for quota in wallet.quotas]
    closed = wallet.model_copy(update={"closed": "suspended", "quotas": quotas})

    found = of_wallets([closed])

    assert [notice.text for notice in found] == [
        "Wallet agipower is closed: suspended",
        f"Quota quota_7_day at agipower is low: 7{SPACE}% left",
    ]
    assert found[0].tone == "bad"


def test_a_closed_quota_and_a_provider_that_does_not_tell_are_told() -> None:
    wallet = wallet_rows()[0]
    quota = wallet.quotas[0].model_copy(update={"closed": "used up"})
    odd = wallet.model_copy(update={"quotas": [quota], "faults": {"balance": "HTTP 500"}})

    assert [notice.text for notice in of_wallets([odd])] == [
        "Quota quota_5_hour at agipower is closed: used up",
        "Wallet agipower does not tell: HTTP 500",
    ]


def test_a_quota_without_numbers_is_no_matter() -> None:
    wallet = wallet_rows()[0]
    quota = wallet.quotas[1].model_copy(update={"limit": None})

    assert of_wallets([wallet.model_copy(update={"quotas": [quota]})]) == []


def test_receipts_that_are_missing_or_cannot_be_right_are_told() -> None:
    assert [notice.text for notice in of_receipts([receipts_row(), quiet_receipts()])] == [
        "agipower billed $4.21 that no call of ours explains",
        "6 calls at agipower without a receipt that should have come",
        "1 receipt of agipower set aside as implausible",
    ]


def test_alerts_are_told_with_their_time() -> None:
    (notice,) = of_alerts([entry({"text": "budget research is at 80 %"})])

    assert notice.text == "budget research is at 80 % (23 Nov 2026, 13:00:00 UTC)"
    assert of_alerts([replace(entry({}), data="broken")])[0].tone == "warn"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text": "t", "alert": "a"}, "t"),
        ({"alert": "a", "budget": "b"}, "a b"),
        ({"text": ["odd"]}, ""),
        ({}, ""),
    ],
)
def test_an_alert_of_another_form_says_what_it_can(data: dict[str, Any], text: str) -> None:
    assert alert_text(data) == text


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000, "1"])
def test_what_is_no_object_says_nothing(text: str) -> None:
    assert object_of(text) == {}


def test_amounts_of_the_api_are_whole_numbers() -> None:
    assert amount_of({"nano_usd": 5, "usd": "0.000000005"}) == 5
    assert amount_of({"nano": 7, "amount": "0.000000007"}) == 7
    assert amount_of(9) == 9
    assert amount_of(None) is None
