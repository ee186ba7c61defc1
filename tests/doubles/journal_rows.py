"""Entries as the ledger writes them, for tests of the archive."""

from __future__ import annotations

import json
from typing import Any

from proxy.archive.stream import StreamEntry
from tests.doubles.fake_clock import NOON_MS

COUNTER = "team-month:USD:red:2026-11"


def move(
    counter: str = COUNTER,
    *,
    spent: int = 0,
    reserved: int = 0,
    after: tuple[int, int, int] = (0, 0, 0),
    unit: str = "USD",
) -> list[Any]:
    """Return one row of `moves`: what changed, and how the counter stood after it."""
    return [counter, unit, spent, reserved, *after]


def check(counter: str = COUNTER, *, short: bool, mode: str = "enforce") -> list[Any]:
    """Return one row of `checks`."""
    budget, unit, subject, _ = counter.split(":", 3)
    return [budget, subject, unit, counter, "fixed", 0, 0, 0, 5, 5, 100, mode, 0, int(short)]


def asked(**more: Any) -> dict[str, Any]:
    """Return the data of a decision (proxy/gateway/quote.py)."""
    return {
        "team": "red",
        "user": "ann",
        "key": "key_1",
        "session": None,
        "tags": {"app": "chat"},
        "provider": "venice",
        "model": "small",
        "dialect": "chat_completions",
        "streamed": True,
        "quote": {"nano_usd": 5},
        **more,
    }


def settled(nano_usd: int = 3, **more: Any) -> dict[str, Any]:
    """Return the data of a settlement (proxy/gateway/settle.py)."""
    return {
        "status": 200,
        "certainty": "exact",
        "nano_usd": nano_usd,
        "usage": [{"model": None, "input_tokens": 10, "output_tokens": 20}],
        "generation_ids": ["gen-1"],
        **more,
    }


def entry(
    kind: str,
    call_id: str | None = "call_1",
    data: object = None,
    moves: object = (),
    checks: object = None,
    *,
    at_ms: int = NOON_MS,
    sequence: int = 0,
    version: int = 1,
) -> StreamEntry:
    """Return an entry of the stream."""
    return StreamEntry(
        stream_id=f"{at_ms}-{sequence}",
        at_ms=at_ms,
        version=version,
        kind=kind,
        call_id=call_id,
        data=json.dumps({} if data is None else data),
        moves=json.dumps(moves),
        checks=None if checks is None else json.dumps(checks),
    )


def life(number: int, *, at_ms: int = NOON_MS, nano_usd: int = 3) -> list[StreamEntry]:
    """Return the entries of one call that was admitted and settled."""
    call_id = f"call_{number}"
    held, spent = move(reserved=5), move(spent=nano_usd, reserved=-5)
    return [
        entry("admitted", call_id, asked(), [held], [check(short=False)], at_ms=at_ms),
        entry("settle", call_id, settled(nano_usd), [spent], at_ms=at_ms, sequence=1),
    ]
