"""A call's row as each of its entries leaves it; pure, and never in doubt about odd data.

What entries hold is written in proxy/gateway/quote.py (who asked for what), proxy/gateway/settle.py
(how it ended) and proxy/receipts/compare.py (what was billed).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from policies.journal import ADMITTED, REFUSED
from policies.money import EXACT_MAX
from policies.reservations import Operation, State
from policies.units import USD
from proxy.archive.chain import ChainedEntry
from proxy.archive.contents import Contents, amount, name_of
from proxy.archive.months import month_of_call

#: No call has a trillion tokens; sums of figures that a provider makes up must fit their columns.
_TOKENS_MAX: Final = 10**12
_STATUS_MAX: Final = 999
#: A call has six entries at most; more are repetitions after Redis forgot it.
_ENTRIES_MAX: Final = 100
_INPUT: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
)
_OUTPUT: Final = ("output_tokens", "audio_output_tokens")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True, kw_only=True)
class Call:
    """The columns of `calls` but for the organisation."""

    month: int
    call_id: str
    number: int
    at_ms: int
    state: str
    team: str
    user: str | None
    key_id: str
    provider: str
    model: str
    dialect: str
    streamed: bool
    status: int | None = None
    refused_by: str | None = None
    quoted_nano_usd: int | None = None
    settled_nano_usd: int | None = None
    receipted_nano_usd: int | None = None
    charged_nano_usd: int | None = None
    usage: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    generation_id: str | None = None
    tags: str | None = None
    ended_ms: int | None = None
    entries: str = ""

    def copy(self) -> Call:
        """Return another one that is the same."""
        return Call(**self.columns())

    def columns(self) -> dict[str, Any]:
        """Return the values by the names of their columns."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS: Final = tuple(field.name for field in fields(Call))


def after(call: Call | None, entry: ChainedEntry, contents: Contents) -> Call | None:
    """Return a call's row after one more of its entries; None: nobody knows who made the call.

    The row that is handed in is changed. An entry of a kind that changes no money is noted as a part
    of the call's life.
    """
    if entry.kind in {ADMITTED, REFUSED}:
        call = _decided(call, entry, contents)
    if call is None:
        return None
    change = _CHANGES.get(entry.kind)
    if change is not None:
        change(call, entry, contents)
    if call.entries.count(",") < _ENTRIES_MAX - 1:
        call.entries = f"{call.entries},{entry.number}" if call.entries else str(entry.number)
    return call


def _decided(call: Call | None, entry: ChainedEntry, contents: Contents) -> Call:
    """Return the row of a call that was admitted or refused.

    A call may be asked for again when the first answer was lost, and when Redis was put back to an
    old copy: what came of it last stands, in the place that it has among calls.
    """
    if call is not None and (entry.kind == REFUSED or call.state != REFUSED):
        if entry.kind == ADMITTED:
            call.state = State.RESERVED.value
            call.settled_nano_usd = call.receipted_nano_usd = call.charged_nano_usd = None
        return call
    call_id, data = entry.call_id or "", contents.data
    fresh = Call(
        month=month_of_call(call_id),
        call_id=call_id,
        number=entry.number,
        at_ms=entry.at_ms,
        state=State.RESERVED.value if entry.kind == ADMITTED else REFUSED,
        team=name_of(data.get("team")),
        user=name_of(data.get("user")) or None,
        key_id=name_of(data.get("key")),
        provider=name_of(data.get("provider")),
        model=name_of(data.get("model")),
        dialect=name_of(data.get("dialect")),
        streamed=data.get("streamed") is True,
        quoted_nano_usd=amount(_object(data.get("quote")).get("nano_usd")),
        tags=_tags(data.get("tags")),
        entries=call.entries if call is not None else "",
    )
    if entry.kind == REFUSED:
        fresh.refused_by = next((name_of(check.budget) for check in contents.refusing()), None)
    return fresh


def _settled(call: Call, entry: ChainedEntry, contents: Contents) -> None:
    data = contents.data
    call.state = State.SETTLED.value
    _ended(call, entry, data)
    call.settled_nano_usd = amount(data.get("nano_usd"))
    if call.settled_nano_usd is not None:
        call.charged_nano_usd = call.settled_nano_usd
    elif call.charged_nano_usd is None:
        call.charged_nano_usd = call.quoted_nano_usd
    lines = data.get("usage")
    if isinstance(lines, list) and lines:
        _used(call, [line for line in lines if isinstance(line, dict)])


def _released(call: Call, entry: ChainedEntry, contents: Contents) -> None:
    call.state = State.RELEASED.value
    call.charged_nano_usd = 0
    _ended(call, entry, contents.data)


def _expired(call: Call, entry: ChainedEntry, contents: Contents) -> None:
    call.state = State.EXPIRED.value
    _ended(call, entry, contents.data)
    held = [-move.reserved_change for move in contents.moves if move.unit == USD]
    call.charged_nano_usd = max(held) if held else call.quoted_nano_usd


def _receipted(call: Call, _entry: ChainedEntry, contents: Contents) -> None:
    billed = amount(contents.data.get("nano_usd"))
    call.state = State.RECEIPTED.value
    call.receipted_nano_usd = billed
    if billed is not None:
        call.charged_nano_usd = billed
    usage = contents.data.get("usage")
    if isinstance(usage, dict):
        _used(call, [usage])
    if call.generation_id is None:
        call.generation_id = name_of(contents.data.get("id")) or None


def _given_up(call: Call, _entry: ChainedEntry, _contents: Contents) -> None:
    call.state = State.UNRECEIPTED.value


_CHANGES: Final[Mapping[str, Callable[[Call, ChainedEntry, Contents], None]]] = {
    Operation.SETTLE.value: _settled,
    Operation.RELEASE.value: _released,
    Operation.EXPIRE.value: _expired,
    Operation.RECEIPT.value: _receipted,
    Operation.GIVE_UP.value: _given_up,
}


def _ended(call: Call, entry: ChainedEntry, outcome: Mapping[str, Any]) -> None:
    if call.ended_ms is None:
        call.ended_ms = entry.at_ms
    status = outcome.get("status")
    if type(status) is int and 0 <= status <= _STATUS_MAX:
        call.status = status
    ids = outcome.get("generation_ids")
    if isinstance(ids, list) and ids:
        call.generation_id = name_of(ids[0]) or call.generation_id


def _used(call: Call, lines: Sequence[Mapping[str, Any]]) -> None:
    parts: Counter[str] = Counter()
    for line in lines:
        for part, count in line.items():
            if type(count) is int and 0 < count <= EXACT_MAX:
                parts[name_of(part)] += count
    call.usage = _encode(parts)
    call.input_tokens = min(_TOKENS_MAX, sum(parts[part] for part in _INPUT))
    call.output_tokens = min(_TOKENS_MAX, sum(parts[part] for part in _OUTPUT))


def _tags(value: object) -> str | None:
    tags = {name_of(name): name_of(text) for name, text in _object(value).items()}
    return _encode(tags) if tags else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
