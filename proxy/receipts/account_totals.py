"""Ghost spend of a provider that tells account totals: what it billed, less what our calls explain."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from policies.clock import rfc3339
from policies.ledger.keys import Keys
from proxy.billing_settings import ReceiptSettings
from proxy.receipts.accounts import Account
from proxy.receipts.billed_hours import (
    DAY_MS,
    MINUTE_MS,
    BilledHours,
    Hour,
    Reading,
    Stopped,
    Unavailable,
    day_text,
)
from proxy.receipts.ghosts import Ghost, Ghosts
from proxy.receipts.receipt import SetAside, SlowDown
from proxy.receipts.totals_watch import Commands, KeptWatch, Overtaken, Watch
from proxy.receipts.unexplained import (
    BILLED_WITHIN_MIN,
    MINUTES_PER_DAY,
    NOTHING,
    Comparison,
    Minutes,
    Sum,
    compare,
)

#: The mark of traffic with our own keys; that of another key is its id.
OURS: Final = ""
# So long after its end a day is still compared: receipts are given up after two days at the most.
_CLOSED_AFTER_MS: Final = 2 * DAY_MS
# For who is slowed down and not told for how long.
_PAUSE_MS: Final = 60_000
_MINUTES_PER_HOUR: Final = 60
_SHOWN_MAX: Final = 5
# In the life of a process; whoever has seen so many knows.
_TOLD_MAX: Final = 100
#: What the step that books a receipt adds up by minute; the same hash has sums of models.
_FIELD: Final = re.compile(rb"@(\d\d)(\d\d)\|(billed|calls)")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another replica does it, or did it a short while ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The account's totals were compared with our calls."""

    #: Up to when, by the provider's clock; None: not at all.
    until_ms: int | None
    #: Ghosts that are booked now and were not before.
    booked: tuple[Ghost, ...] = ()
    #: Why not all of the totals could be read; the next comparison goes on.
    stopped: Stopped | None = None
    #: Why rows of the totals were left out, the first few.
    flaws: tuple[str, ...] = ()


Outcome = Elsewhere | Compared


class Observer(Protocol):
    """Whoever counts and logs what comes of it."""

    def ghost_found(self, ghost: Ghost) -> None:
        """Money was billed that no call explains."""
        ...

    def ghost_set_aside(self, provider: str, ghost_id: str, reason: str) -> None:
        """What was billed does not add up; told once."""
        ...

    def history_failed(self, provider: str, reason: str) -> None:
        """What an account comes to could not be read."""
        ...

    def receipts_slowed(self, provider: str, for_ms: int) -> None:
        """A provider wants fewer requests."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """All that one comparison is made from."""

    reading: Reading
    #: By mark.
    billed: Mapping[str, Minutes]
    explained: Minutes
    #: The minute at which the comparison ends, itself left out.
    until: int
    #: By how many minutes a reservation may seem to come after the row that bills it.
    ahead: int


class AccountTotals:
    """Finds the ghosts of one account."""

    def __init__(
        self,
        account: Account,
        *,
        hours: BilledHours,
        undecided_ms: Callable[[], Awaitable[int | None]],
        ghosts: Ghosts,
        commands: Commands,
        keys: Keys,
        settings: ReceiptSettings,
        observer: Observer,
    ) -> None:
        """Take what it is made of.

        Args:
            account: whose totals.
            hours: reads them.
            undecided_ms: returns when the oldest call was reserved that is in flight or waits for
                its receipt (`UndecidedCalls.oldest_ms`): only what is older can be compared.
            ghosts: books them.
            commands: keeps how far it came.
            keys: names of the organisation's keys.
            settings: `ghost_after_ms` and `scan_every_ms`.
            observer: is told what `run_due` comes to.
        """
        self._account = account
        self._hours = hours
        self._undecided_ms = undecided_ms
        self._commands = commands
        self._keys = keys
        self._settings = settings
        self._observer = observer
        #: Flaws that were told: hours are read again and again.
        self._told: set[str] = set()
        self._watch = KeptWatch(commands, keys.receipts(account.name, "totals"), ghosts)
        self._claim = keys.claim(f"totals:{account.name}")
        scope = [hours.scope, sorted(account.providers), sorted(account.key_ids)]
        self._scope = json.dumps(scope, separators=(",", ":"))

    async def run_due(self) -> None:
        """Compare, unless that was done a short while ago, and tell the observer.

        Raises:
            LedgerUnavailable: it broke off; the next one goes on, and books nothing twice.
        """
        outcome = await self.run_once()
        if isinstance(outcome, Elsewhere):
            return
        name, observer = self._account.name, self._observer
        for ghost in outcome.booked:
            observer.ghost_found(ghost)
        for flaw in outcome.flaws:
            if flaw not in self._told and len(self._told) < _TOLD_MAX:
                self._told.add(flaw)
                observer.ghost_set_aside(name, "totals", flaw)
        match outcome.stopped:
            case None:
                return
            case SlowDown() as slow:
                observer.receipts_slowed(name, self._pause_ms(slow))
            case SetAside(reason) | Unavailable(reason):
                observer.history_failed(name, reason)
            case unreachable:
                assert_never(unreachable)

    async def run_once(self) -> Outcome:
        """Compare, unless another replica did so less than `scan_every_ms` ago.

        Raises:
            LedgerUnavailable: it broke off; the next one goes on, and books nothing twice.
        """
        if not await self._commands.execute("SET", self._claim, 1, "NX", "PX", self._every_ms):
            return Elsewhere()
        try:
            outcome = await self._compare()
        except Overtaken:
            return Elsewhere()
        if isinstance(outcome.stopped, SlowDown):
            pause_ms = self._pause_ms(outcome.stopped)
            await self._commands.execute("SET", self._claim, 1, "PX", pause_ms)
        return outcome

    @property
    def _every_ms(self) -> int:
        # A little less, so that whoever comes at exactly this pace does not find their own claim.
        return max(1, self._settings.scan_every_ms * 9 // 10)

    def _pause_ms(self, slow: SlowDown) -> int:
        return max(self._every_ms, _PAUSE_MS if slow.wait_ms is None else slow.wait_ms)

    async def _compare(self) -> Compared:
        await self._watch.load()
        booked = await self._watch.finish()
        watch = self._watch.now
        if watch is None or watch.scope != self._scope:
            return replace(await self._begin(watch), booked=booked)
        latest = (self._hours.now_ms() - self._settings.ghost_after_ms) // MINUTE_MS
        if latest <= watch.first:
            return Compared(until_ms=None, booked=booked)
        # The order matters: of a row that is there by now the call is in flight, or waits, or its
        # receipt is in the sums by the time they are read.
        hours = (watch.first // _MINUTES_PER_HOUR, (latest - 1) // _MINUTES_PER_HOUR)
        reading = await self._hours.read(*hours)
        ahead = 1 + reading.ahead_ms // MINUTE_MS
        until = min(latest, reading.whole_until * _MINUTES_PER_HOUR)
        undecided_ms = await self._undecided_ms()
        if undecided_ms is not None:
            until = min(until, undecided_ms // MINUTE_MS - ahead)
        flaws = [flaw for hour in reading.hours.values() for flaw in hour.totals.flaws]
        compared = Compared(
            until_ms=until * MINUTE_MS if until > watch.first else None,
            booked=booked,
            stopped=reading.stopped,
            flaws=tuple(flaws[-_SHOWN_MAX:]),
        )
        if compared.until_ms is None:
            return compared
        sheet = _Sheet(
            reading=reading,
            billed=self._billed(reading),
            explained=await self._explained(watch, until + ahead),
            until=until,
            ahead=ahead,
        )
        return replace(compared, booked=booked + await self._book(watch, sheet))

    async def _begin(self, watch: Watch | None) -> Compared:
        """Begin to watch from the next minute on: what was spent before is no ghost."""
        hour = await self._hours.now()
        if not isinstance(hour, Hour):
            return Compared(until_ms=None, stopped=hour)
        # By the provider's clock, if ours is behind it.
        theirs_ms = self._hours.now_ms() - min(0, hour.ahead_ms or 0)
        since = theirs_ms // MINUTE_MS + 1
        number = 0 if watch is None else watch.number
        day = since // MINUTES_PER_DAY
        await self._watch.keep(Watch(scope=self._scope, since=since, day=day, number=number))
        return Compared(until_ms=None)

    def _billed(self, reading: Reading) -> Mapping[str, Minutes]:
        """Return what was billed by mark."""
        # Days are closed by what is ours, also where nothing is.
        sums: dict[str, dict[int, Sum]] = {OURS: {}}
        for hour in reading.hours.values():
            for row in hour.totals.rows:
                by_minute = sums.setdefault(self._mark(row.api_key_id), {})
                minute = row.minute_ms // MINUTE_MS
                more = Sum(row.nano_usd, row.calls)
                by_minute[minute] = by_minute.get(minute, NOTHING) + more
        return {mark: Minutes(by_minute) for mark, by_minute in sums.items()}

    def _mark(self, api_key_id: str) -> str:
        """Return whose a row is. One without a key is taken for ours: then our calls explain it."""
        own = self._account.key_ids
        return OURS if not own or api_key_id in own else api_key_id

    async def _explained(self, watch: Watch, end: int) -> Minutes:
        """Return what receipts of our calls add up to, from a while before the first day on."""
        sums: dict[int, Sum] = {}
        earliest = watch.day * MINUTES_PER_DAY - BILLED_WITHIN_MIN
        for day in range(earliest // MINUTES_PER_DAY, end // MINUTES_PER_DAY + 1):
            for provider in self._account.providers:
                name = self._keys.receipts(provider, f"sums:{day_text(day)}")
                kept = await self._commands.execute("HGETALL", name)
                _add(sums, day, zip(kept[::2], kept[1::2], strict=True))
        return Minutes(sums)

    async def _book(self, watch: Watch, sheet: _Sheet) -> tuple[Ghost, ...]:
        """Book what is not explained, and close the first day if it cannot change any more."""
        found: list[Ghost] = []
        own = _days(watch, sheet, OURS)
        for mark in sorted(sheet.billed):
            for day in own if mark == OURS else _days(watch, sheet, mark):
                if day.ghost.nano_usd:
                    ghost = self._ghost(watch, sheet, mark, day)
                    watch = watch.booking(day.day, mark, ghost)
                    await self._watch.keep(watch)
                    found += await self._watch.finish()
                    watch = replace(watch, ghost=None)
        carry = own[0].carry
        if carry is not None and self._is_over(watch, sheet):
            await self._watch.keep(watch.closed(carry))
        return tuple(found)

    def _is_over(self, watch: Watch, sheet: _Sheet) -> bool:
        """Tell whether all that there will be is known of the first day."""
        end = (watch.day + 1) * MINUTES_PER_DAY
        is_read = sheet.reading.final_until * _MINUTES_PER_HOUR >= end
        return is_read and self._hours.now_ms() >= end * MINUTE_MS + _CLOSED_AFTER_MS

    def _ghost(self, watch: Watch, sheet: _Sheet, mark: str, found: Comparison) -> Ghost:
        begin = found.day * MINUTES_PER_DAY
        end = min(sheet.until, begin + MINUTES_PER_DAY)
        last = sheet.billed[mark].last(begin, end)
        day = day_text(found.day)
        models = _models(sheet.reading, begin, end)
        detail = {"day": day, "until": rfc3339(end * MINUTE_MS), "models": ", ".join(models)}
        if len(models) == 1:
            detail["model"] = models[0]
        return Ghost(
            provider=self._account.name,
            id=f"totals:{watch.since}:{watch.number}:{day}:{mark}",
            kind="totals",
            at_ms=(end - 1 if last is None else last) * MINUTE_MS,
            nano_usd=found.ghost.nano_usd,
            calls=found.ghost.calls,
            detail=detail | self._reason(mark),
        )

    def _reason(self, mark: str) -> dict[str, str]:
        """Return how the listing explains a ghost."""
        if mark != OURS:
            return {"key": mark, "why": f"another key: {mark}"}
        if self._account.key_ids:
            keys = ", ".join(sorted(self._account.key_ids))
            return {"key": keys, "why": "timed out, or billed without a receipt"}
        return {"why": "timed out, billed without a receipt, or spent around the proxy"}


def _days(watch: Watch, sheet: _Sheet, mark: str) -> list[Comparison]:
    """Return what of each day is explained by nothing. What other keys spend no call explains."""
    explained, carry = Minutes({}), NOTHING
    if mark == OURS:
        explained = sheet.explained
        before = explained.between(watch.since - BILLED_WITHIN_MIN, watch.since)
        carry = before if watch.carry is None else watch.carry
    days = compare(
        sheet.billed[mark],
        explained,
        first=watch.first,
        until=sheet.until,
        ahead=sheet.ahead,
        carry=carry,
        booked=watch.booked_of(mark),
    )
    return list(days)


def _add(sums: dict[int, Sum], day: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Add the sums of a day by minute; other sums of the same hash are none of these."""
    for name, value in fields:
        if match := _FIELD.fullmatch(name):
            hour, minute, part = int(match[1]), int(match[2]), match[3]
            at = day * MINUTES_PER_DAY + hour * _MINUTES_PER_HOUR + minute
            more = Sum(nano_usd=int(value)) if part == b"billed" else Sum(calls=int(value))
            sums[at] = sums.get(at, NOTHING) + more


def _models(reading: Reading, begin: int, end: int) -> tuple[str, ...]:
    """Return which models the account was billed for in this time, the dearest first."""
    sums: dict[str, int] = {}
    for number, hour in reading.hours.items():
        if begin <= number * _MINUTES_PER_HOUR < end:
            for total in hour.totals.models:
                sums[total.model] = sums.get(total.model, 0) + total.nano_usd
    return tuple(sorted(sums, key=lambda model: -sums[model])[:_SHOWN_MAX])
