"""A year of made-up calls as the archive keeps them: rows of every table that readers look into.

Sums agree with the calls: what a page says, its list of calls says too. Most calls are alike and a few are
rare, as in life: some models, states and people make one call in ten thousand.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from policies.ledger.keys import counter_name
from policies.windows import Calendar
from proxy.archive.chain import ChainedEntry, link
from proxy.archive.months import month_of, month_of_call

ORGANIZATION = "bench"
ORGANIZATION_ID = 1
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DAYS = 365
#: The first day: the present of the bench is a year later.
START_MS = int(datetime(2025, 11, 24, tzinfo=UTC).timestamp() * 1000)
END_MS = START_MS + DAYS * DAY_MS
ENTRIES_A_CALL = 3
BATCH = 20_000
TEAMS = tuple(f"team-{number:02}" for number in range(25))
USERS_A_TEAM = 40
PROVIDERS = ("agipower", "venice", "other")
MODELS = tuple(
    f"{maker}/{name}"
    for maker in ("openai", "anthropic", "google", "venice", "acme")
    for name in ("mini", "large", "opus-5", "fast", "code", "old-preview")
)
STATES = ("receipted", "settled", "refused", "released", "unreceipted", "expired")
STATE_WEIGHTS = (8_700, 900, 300, 80, 18, 2)
#: The one team whose people have a budget each.
EACH_TEAM = TEAMS[3]
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_MONTH, _DAY = Calendar("month"), Calendar("day")

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table, all columns in their order."""

    table: str
    rows: list[Row]


@dataclass(slots=True)
class Sums:
    """What is added up while calls pass, by the table and the beginning of the row's key."""

    days: dict[Row, list[int]] = field(default_factory=dict)
    keys: dict[Row, list[int]] = field(default_factory=dict)
    hours: dict[Row, list[int]] = field(default_factory=dict)
    spenders: dict[Row, list[int]] = field(default_factory=dict)
    spenders_today: dict[Row, list[int]] = field(default_factory=dict)
    counters: dict[str, list[int]] = field(default_factory=dict)


def generate(calls: int, *, entries_of: int, seed: int = 1) -> Iterator[Rows]:
    """Give all rows; the entries are those of the last `entries_of` calls, in one chain.

    The same arguments give the same rows.
    """
    chance = random.Random(seed)
    sums, day = Sums(), 0
    chain = _Chain((calls - min(calls, entries_of)) * ENTRIES_A_CALL + 1)
    for start in range(0, calls, BATCH):
        batch: list[Row] = []
        entries: list[Row] = []
        for call in _calls(chance, start, min(BATCH, calls - start), calls):
            today = call[4] // DAY_MS
            if today != day:
                yield from _day_ended(sums)
                day = today
            _add_up(sums, call)
            batch.append(call)
            if call[3] >= chain.first_number:
                entries += chain.entries(call)
        yield Rows("calls", batch)
        if entries:
            yield Rows("entries", entries)
    yield from _day_ended(sums)
    yield from _all_ended(sums)
    head = (ORGANIZATION_ID, ORGANIZATION, calls * ENTRIES_A_CALL, chain.hash, "0-0")
    first = (month_of(END_MS - 1), chain.first_number, chain.first_hash)
    yield Rows("organizations", [(*head, *first)])


def _calls(chance: random.Random, start: int, count: int, total: int) -> Iterator[Row]:
    """Give rows of `calls`, in the order of their columns."""
    teams = _skewed(chance, TEAMS, count)
    models = _skewed(chance, MODELS, count)
    states = chance.choices(STATES, STATE_WEIGHTS, k=count)
    for index, team, model, end in zip(itertools.count(start), teams, models, states, strict=False):
        at_ms = START_MS + index * DAYS * DAY_MS // total
        # The newest are in flight.
        state = "reserved" if index >= total - 50 else end
        user = f"user-{min(int(chance.expovariate(0.1)), USERS_A_TEAM - 1)}"
        spent, refused = state in {"settled", "receipted", "unreceipted"}, state == "refused"
        tokens_in, tokens_out = chance.randrange(50, 20_000), chance.randrange(1, 2_000)
        metered = tokens_in * 150 + tokens_out * 600
        billed = metered + chance.randrange(-500, 500) if state == "receipted" else None
        number = index * ENTRIES_A_CALL + 1
        call_id = f"call_{_time_letters(at_ms)}{index:016}"
        yield (
            ORGANIZATION_ID,
            month_of_call(call_id),
            call_id,
            number,
            at_ms,
            state,
            team,
            user,
            f"key_{team}_{user}",
            PROVIDERS[len(model) % len(PROVIDERS)],
            model,
            "chat_completions",
            index % 2 == 0,
            200 if spent else None,
            f"{team}-month" if refused else None,
            metered * 2,
            metered if spent else None,
            billed,
            billed if billed is not None else metered if spent else _unspent(state, metered * 2),
            f'{{"input_tokens":{tokens_in},"output_tokens":{tokens_out}}}' if spent else None,
            tokens_in if spent else None,
            tokens_out if spent else None,
            f"gen-{index}" if spent else None,
            '{"project":"atlas"}',
            None if state == "reserved" else at_ms + 2_000,
            f"{number},{number + 1},{number + 2}",
        )


def _unspent(state: str, held: int) -> int | None:
    """Return what a call was charged that was not metered."""
    return {"expired": held, "reserved": None}.get(state, 0)


def _skewed(chance: random.Random, names: tuple[str, ...], count: int) -> list[str]:
    """Return names of which each is somewhat rarer than the one before."""
    return chance.choices(names, [0.75**place for place in range(len(names))], k=count)


def _time_letters(at_ms: int) -> str:
    return "".join(_LETTERS[at_ms >> shift & 31] for shift in range(45, -1, -5))


# Sums…


def _add_up(sums: Sums, call: Row) -> None:
    at_ms, state, team, user, key_id, provider, model = call[4:11]
    settled, receipted, charged = call[16] or 0, call[17] or 0, call[18] or 0
    refused = int(state == "refused")
    day = at_ms // DAY_MS
    amounts = (1 - refused, refused, int(state == "receipted"), call[20] or 0, call[21] or 0)
    _add(sums.days, (day, team, provider, model), (*amounts, settled, receipted, charged))
    _add(sums.keys, (day, team, user, key_id), (1 - refused, refused, charged))
    month_id, day_id = _MONTH.span(at_ms).id, _DAY.span(at_ms).id
    names = [
        counter_name("company", "USD", "", month_id),
        counter_name(f"{team}-month", "USD", "", month_id),
        counter_name(f"{team}-day", "USD", "", day_id),
    ]
    if team == EACH_TEAM:
        names.append(counter_name(f"{team}-each", "USD", user, day_id))
    for name in names:
        _add(sums.hours, (name, at_ms // HOUR_MS), (charged, refused))
        spenders = sums.spenders_today if name.endswith(day_id) else sums.spenders
        _add(spenders, (name, team, user, key_id, model), (1 - refused, refused, charged))
        reserved = call[15] if state == "reserved" else 0
        standing = sums.counters.setdefault(name, [0, 0, 0, 0])
        standing[0] += charged
        standing[1] += reserved
        standing[2:] = call[3], at_ms


def _add(sums: dict[Row, list[int]], key: Row, amounts: tuple[int, ...]) -> None:
    found = sums.get(key)
    if found is None:
        sums[key] = list(amounts)
        return
    for place, amount in enumerate(amounts):
        found[place] += amount


def _day_ended(sums: Sums) -> Iterator[Rows]:
    """Give what nothing is added to any more: memory is for a day, and for the months."""
    yield _taken("spend_days", sums.days)
    yield _taken("spend_keys", sums.keys)
    yield _taken("counter_hours", sums.hours)
    yield _taken("counter_spenders", sums.spenders_today)


def _all_ended(sums: Sums) -> Iterator[Rows]:
    yield _taken("counter_spenders", sums.spenders)
    yield Rows(
        "counters",
        [
            (ORGANIZATION_ID, name, "USD", spent, reserved, 0, spent, number, at_ms)
            for name, (spent, reserved, number, at_ms) in sums.counters.items()
        ],
    )


def _taken(table: str, sums: dict[Row, list[int]]) -> Rows:
    rows = [(ORGANIZATION_ID, *key, *amounts) for key, amounts in sums.items()]
    sums.clear()
    return Rows(table, rows)


# Entries…


class _Chain:
    """Makes the entries of calls, each linked to the one before."""

    def __init__(self, first_number: int) -> None:
        self.first_number = first_number
        #: What went before was dropped by retention, as it were.
        self.first_hash = self.hash = sha256(b"what went before").digest()

    def entries(self, call: Row) -> Iterator[Row]:
        """Give the entries of a call as rows."""
        data = json.dumps({"team": call[6], "user": call[7], "key": call[8], "model": call[10]})
        moves = json.dumps([["company:USD::month", "USD", call[18] or 0, 0, 0, 0, 0]])
        kinds = ("admitted", "settle", "receipt")
        for number, kind in zip(itertools.count(call[3]), kinds, strict=False):
            at_ms = call[4]
            entry = ChainedEntry(
                number=number,
                stream_id=f"{at_ms}-{number}",
                at_ms=at_ms,
                version=1,
                kind=kind,
                call_id=call[2],
                data=data,
                moves=moves,
            )
            self.hash = link(self.hash, entry)
            texts = (entry.data, entry.moves, None, None, self.hash)
            told = (entry.stream_id, at_ms, 1, kind, entry.call_id)
            yield (ORGANIZATION_ID, number, month_of(at_ms), *told, *texts)
