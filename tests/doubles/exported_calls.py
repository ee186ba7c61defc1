"""Calls as the archive gives them to exports."""

from __future__ import annotations

from typing import Any

from proxy.archive.lines import CallLine
from tests.doubles.fake_clock import NOON_MS


def call(**changed: Any) -> CallLine:
    """Return a receipted call; what a test is about it says itself."""
    values = {
        "number": 1,
        "call_id": "call_x",
        "at_ms": NOON_MS,
        "state": "receipted",
        "team": "red",
        "user": "alice",
        "key_id": "key_1",
        "provider": "sim",
        "model": "acme/mini",
        "dialect": "messages",
        "streamed": True,
        "status": 200,
        "refused_by": None,
        "quoted_nano_usd": 2_000_000_000,
        "settled_nano_usd": 1_000_000_000,
        "receipted_nano_usd": 1_100_000_000,
        "charged_nano_usd": 1_100_000_000,
        "usage": '{"input_tokens":20}',
        "input_tokens": 20,
        "output_tokens": 100,
        "generation_id": "gen_1",
        "tags": '{"project":"atlas"}',
        "ended_ms": NOON_MS + 1_500,
    }
    return CallLine(**{**values, **changed})
