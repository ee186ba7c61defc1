"""The entries of made-up calls, as the ledger journals them."""

from __future__ import annotations

import json
from typing import Any

from policies.ledger.keys import counter_name
from proxy.archive.stream import StreamEntry
from tests.doubles.fake_clock import NOON_MS

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
DOLLAR = 1_000_000_000
MONTH = "2026-11"


def call_id(at_ms: int, index: int) -> str:
    """Return an id that tells its time, the same each time."""
    told = "".join(_LETTERS[at_ms >> shift & 31] for shift in range(45, -1, -5))
    return f"call_{told}{index:016}"


class Lives:
    """Makes calls one after the other; counters add up."""

    def __init__(self) -> None:
        self.entries: list[StreamEntry] = []
        self.calls = 0
        self._spent: dict[str, int] = {}
        self._reserved: dict[str, int] = {}

    def call(
        self,
        end: str = "settled",
        *,
        at_ms: int = NOON_MS,
        team: str = "red",
        user: str | None = "alice",
        key: str = "key_1",
        provider: str = "sim",
        model: str = "acme/mini",
        dollars: int = 1,
    ) -> str:
        """Add a call that ends in this state, a second after it came in; return its id."""
        self.calls += 1
        made = call_id(at_ms, self.calls)
        data = {
            "team": team,
            "user": user,
            "key": key,
            "session": None,
            "tags": {"project": "atlas"},
            "provider": provider,
            "model": model,
            "dialect": "messages",
            "streamed": True,
            "quote": {"nano_usd": 2 * dollars * DOLLAR},
        }
        counter = counter_name(f"{team}-month", "USD", "", MONTH)
        held, spent = 2 * dollars * DOLLAR, dollars * DOLLAR
        if end == "refused":
            self._enter("refused", at_ms, made, data, [], _checks(team, counter, held, short=1))
            return made
        move = [self._move(counter, 0, held)]
        self._enter("admitted", at_ms, made, data, move, _checks(team, counter, held, short=0))
        self._ends(end, at_ms, made, counter, spent)
        return made

    def _ends(self, end: str, at_ms: int, made: str, counter: str, spent: int) -> None:
        """Add what comes behind the admission: twice as much was held as is spent."""
        outcome = {
            "nano_usd": spent,
            "usage": [{"input_tokens": 20, "output_tokens": 100}],
            "generation_ids": [f"gen_{self.calls}"],
            "status": 200,
        }
        if end in {"settled", "receipted", "unreceipted"}:
            settle = [self._move(counter, spent, -2 * spent)]
            self._enter("settle", at_ms + 1_000, made, outcome, settle)
        if end == "receipted":
            billed = {"nano_usd": spent + DOLLAR // 10, "source": "look-up"}
            receipt = [self._move(counter, DOLLAR // 10, 0)]
            self._enter("receipt", at_ms + 60_000, made, billed, receipt)
        if end == "unreceipted":
            self._enter("give_up", at_ms + 60_000, made, {"reason": "late"}, [])
        if end in {"released", "expired"}:
            kept = 2 * spent if end == "expired" else 0
            move = [self._move(counter, kept, -2 * spent)]
            self._enter(end.removesuffix("d"), at_ms + 1_000, made, {}, move)

    def act(self, kind: str, *, at_ms: int = NOON_MS, **data: object) -> None:
        """Add an administrative act."""
        self._enter(kind, at_ms, None, data, [])

    def odd(self, **fields: Any) -> None:
        """Add an entry with fields as they are handed in."""
        named = {"kind": "settle", "call_id": None, "data": "{}", "moves": "[]", "version": 1}
        stream_id = f"{NOON_MS}-{len(self.entries)}"
        self.entries.append(
            StreamEntry(**{"stream_id": stream_id, "at_ms": NOON_MS, **named, **fields})
        )

    def _enter(
        self,
        kind: str,
        at_ms: int,
        made: str | None,
        data: dict[str, Any],
        moves: list[list[Any]],
        checks: list[list[Any]] | None = None,
    ) -> None:
        self.entries.append(
            StreamEntry(
                stream_id=f"{at_ms}-{len(self.entries)}",
                at_ms=at_ms,
                version=1,
                kind=kind,
                call_id=made,
                data=json.dumps(data, ensure_ascii=False),
                moves=json.dumps(moves),
                checks=None if checks is None else json.dumps(checks),
            )
        )

    def _move(self, counter: str, spent: int, reserved: int) -> list[Any]:
        self._spent[counter] = self._spent.get(counter, 0) + spent
        self._reserved[counter] = self._reserved.get(counter, 0) + reserved
        standing = [self._spent[counter], self._reserved[counter], 0]
        return [counter, "USD", spent, reserved, *standing]


def _checks(team: str, counter: str, held: int, *, short: int) -> list[list[Any]]:
    charge = [f"{team}-month", "", "USD", counter, "fixed", 0, 0, 0, held, held]
    return [[*charge, 10 * DOLLAR, "enforce", 0, short]]
