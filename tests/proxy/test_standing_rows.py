"""How a budget's standing is shown to programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.decisions import Standing
from policies.units import CALLS, TOKENS, USD
from proxy.standing_rows import amount_json, standing_row

STANDING = Standing(
    budget="month",
    subject="",
    unit=USD,
    mode="enforce",
    limit=2_500_000_000,
    spent=1_000_000_000,
    reserved=250_000_000,
    overrun=1,
    start_ms=1_793_491_200_000,
    end_ms=1_796_083_200_000,
    window="2026-11",
)


@pytest.mark.parametrize(
    ("unit", "amount", "shown"),
    [
        (USD, 1_500_000, {"nano_usd": 1_500_000, "usd": "0.0015"}),
        (USD, 0, {"nano_usd": 0, "usd": "0"}),
        ("DIEM", 2_000_000_000, {"nano": 2_000_000_000, "amount": "2"}),
        (TOKENS, 7, 7),
        (CALLS, 0, 0),
    ],
)
def test_money_has_two_spellings_and_counts_have_one(unit: str, amount: int, shown: object) -> None:
    assert amount_json(unit, amount) == shown


def test_a_row_says_everything() -> None:
    assert standing_row(STANDING) == {
        "name": "month",
        "subject": None,
        "unit": "USD",
        "limit": {"nano_usd": 2_500_000_000, "usd": "2.5"},
        "granted": {"nano_usd": 0, "usd": "0"},
        "spent": {"nano_usd": 1_000_000_000, "usd": "1"},
        "reserved": {"nano_usd": 250_000_000, "usd": "0.25"},
        "remaining": {"nano_usd": 1_250_000_000, "usd": "1.25"},
        "overrun": {"nano_usd": 1, "usd": "0.000000001"},
        "mode": "enforce",
        "window": {
            "id": "2026-11",
            "start": "2026-11-01T00:00:00Z",
            "end": "2026-12-01T00:00:00Z",
        },
    }


@pytest.mark.parametrize(
    ("unit", "shown"), [(USD, {"nano_usd": 7, "usd": "0.000000007"}), (CALLS, 7)]
)
def test_a_row_says_how_much_of_the_limit_is_granted(unit: str, shown: object) -> None:
    assert standing_row(replace(STANDING, unit=unit), granted=7)["granted"] == shown


def test_a_window_need_not_begin_or_end() -> None:
    row = standing_row(replace(STANDING, start_ms=0, end_ms=None, subject="alice"))

    assert (row["window"]["start"], row["window"]["end"]) == (None, None)
    assert row["subject"] == "alice"
