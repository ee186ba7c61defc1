"""What a provider billed an account for, hour by hour, minute by minute, as far as it was read.

Hours that are long past are kept, so that each poll asks for few. A provider adds rows late: an hour
is read again until its ghosts may be booked and two hours more, and once more a day after its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import msgspec

from policies.clock import utc
from policies.ledger.keys import Keys
from proxy.providers.connection import Upstream, UpstreamFailed, read_whole
from proxy.providers.interface import Target
from proxy.receipts.receipt import SetAside, SlowDown

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
HOURS_PER_DAY: Final = 24
# An hour of 100 keys, each used in every minute, comes to 2 MB.
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
# The endpoint counts 60 requests a minute, and others of the account use it too (1.7).
HOURS_PER_READING_MAX: Final = 25
# For how long after ghosts may be booked an hour is read each time.
_STILL_GROWS_MS: Final = 2 * HOUR_MS
# An hour that cannot be read by then counts as empty: what is missing is never a ghost.
_GIVE_UP_AFTER_MS: Final = 2 * DAY_MS
# A clock that is off by more says nothing about ours.
_SKEW_MS_MAX: Final = DAY_MS
# Days stay open for two days; longer only while nothing can be read.
_KEPT_MS: Final = 10 * DAY_MS
_EXTRA_KEPT_MS: Final = 100 * DAY_MS


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsRow:
    """What one key was billed for in one minute."""

    #: When the minute begins, by the provider's clock.
    minute_ms: int
    #: What the provider calls the key; empty: it does not say.
    api_key_id: str
    nano_usd: int
    #: How many requests; 0: it does not say.
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTotal:
    """What one model was billed for in one hour."""

    model: str
    nano_usd: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What an account was billed for in one hour."""

    rows: tuple[TotalsRow, ...] = ()
    #: The same money by model, the dearest first.
    models: tuple[ModelTotal, ...] = ()
    #: Why rows were left out, the first few.
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The totals cannot be had now."""

    #: A sentence without a full stop, for the log.
    reason: str


Stopped = SlowDown | SetAside | Unavailable
Answer = Totals | Stopped


class TotalsAdapter(Protocol):
    """A provider that tells what an account was billed for."""

    @property
    def scope(self) -> str:
        """What is asked for, in a word: totals of another scope cannot be compared with these."""
        ...

    def target(self, hour_ms: int) -> Target:
        """Return where the totals of the hour that begins then are."""
        ...

    def read(self, hour_ms: int, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return what an answer says of that hour; never raises."""
        ...

    def extra_usage_target(self, hour_ms: int) -> Target | None:
        """Return where to ask what a subscription was billed for besides; None: there is none."""
        ...

    def read_extra_usage(
        self, hour_ms: int, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Return what an answer says of that; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour as it was last read."""

    #: By Redis' clock; 0: never.
    read_ms: int = 0
    #: By how much Redis' clock was ahead of the provider's; None: it did not tell.
    ahead_ms: int | None = None
    totals: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is known of some hours."""

    #: By the number of hours since the epoch.
    hours: Mapping[int, Hour]
    #: The hour from which on something is missing.
    whole_until: int
    #: The hour from which on an hour will be read again.
    final_until: int
    #: Why something is missing; None: nothing is, or the rest comes with the next reading.
    stopped: Stopped | None = None

    @property
    def ahead_ms(self) -> int:
        """By how much Redis' clock was ahead of the provider's at the most; 0: it never was."""
        return max((hour.ahead_ms or 0 for hour in self.hours.values()), default=0)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Hour).decode


class BilledHours:
    """The hours of one account."""

    def __init__(
        self,
        adapter: TotalsAdapter,
        upstream: Upstream,
        commands: Commands,
        keys: Keys,
        *,
        account: str,
        ghost_after_ms: int,
        timeout_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        """Take what asks and what keeps.

        Args:
            adapter: knows the endpoint.
            upstream: sends requests.
            commands: keeps hours in Redis.
            keys: names of the organisation's keys.
            account: under which name they are kept.
            ghost_after_ms: how old a row is when it counts.
            timeout_ms: for one answer, all of it.
            now_ms: the time, by Redis' clock.
        """
        self.scope: Final = adapter.scope
        self.now_ms: Final = now_ms
        self._adapter = adapter
        self._upstream = upstream
        self._commands = commands
        self._keys = keys
        self._account = account
        self._settle_ms = ghost_after_ms + _STILL_GROWS_MS
        self._timeout_s = timeout_ms / 1000

    async def read(self, first: int, last: int) -> Reading:
        """Return the hours from the first to the last, both by their number since the epoch.

        Raises:
            LedgerUnavailable: the kept hours cannot be had.
        """
        hours = await self._kept(first, last)
        stopped: Stopped | None = None
        asked = 0
        for number in range(first, last + 1):
            if not self._is_due(number, hours.get(number, Hour())):
                continue
            if asked == HOURS_PER_READING_MAX:
                break
            asked += 1
            found = await self._renew(number)
            if not isinstance(found, Hour):
                stopped = found
                break
            hours[number] = found
        return Reading(
            hours=hours,
            whole_until=_until(first, last, hours.__contains__),
            final_until=_until(first, last, lambda each: _is_final(each, hours.get(each, Hour()))),
            stopped=stopped,
        )

    async def now(self) -> Hour | Stopped:
        """Read the hour that is, to see whether it can be, and how the provider's clock stands."""
        return await self._read(self.now_ms() // HOUR_MS)

    async def extra_usage(self, day: str) -> Mapping[str, tuple[int, int]]:
        """Return what a subscription was billed for besides on a day, by model.

        Args:
            day: as `YYYY-MM-DD`, in UTC, up to 100 days ago.

        Returns:
            nano-dollars and the number of requests by model.
        """
        kept = await self._commands.execute("HGETALL", self._extra_name(day))
        sums: dict[str, tuple[int, int]] = {}
        for value in kept[1::2]:
            for total in msgspec.json.decode(value, type=tuple[ModelTotal, ...]):
                nano_usd, calls = sums.get(total.model, (0, 0))
                sums[total.model] = nano_usd + total.nano_usd, calls + total.calls
        return sums

    async def _renew(self, number: int) -> Hour | Stopped:
        """Read an hour and keep it; one that could not be read for days counts as empty."""
        found = await self._read(number)
        if isinstance(found, Hour):
            refused = await self._renew_extra_usage(number)
            if refused is not None:
                return refused
        elif isinstance(found, SetAside) and self._age_ms(number) >= _GIVE_UP_AFTER_MS:
            found = Hour(read_ms=self.now_ms(), totals=Totals(flaws=(found.reason,)))
        else:
            return found
        day, hour = divmod(number, HOURS_PER_DAY)
        name = self._hours_name(day)
        await self._commands.execute("HSET", name, hour, _encode(found))
        await self._commands.execute("PEXPIRE", name, _KEPT_MS)
        return found

    async def _read(self, number: int) -> Hour | Stopped:
        hour_ms = number * HOUR_MS
        answer = await self._ask(self._adapter.target(hour_ms))
        if isinstance(answer, Unavailable):
            return answer
        status, headers, body = answer
        found = self._adapter.read(hour_ms, status, headers, body)
        if not isinstance(found, Totals):
            return found
        now_ms = self.now_ms()
        return Hour(read_ms=now_ms, ahead_ms=_ahead_ms(headers, now_ms), totals=found)

    async def _renew_extra_usage(self, number: int) -> Stopped | None:
        hour_ms = number * HOUR_MS
        target = self._adapter.extra_usage_target(hour_ms)
        if target is None:
            return None
        answer = await self._ask(target)
        if isinstance(answer, Unavailable):
            return answer
        found = self._adapter.read_extra_usage(hour_ms, *answer)
        if not isinstance(found, Totals):
            # It is shown and not booked: only what slows down must stop the rest.
            return found if isinstance(found, SlowDown) else None
        if found.models:
            day, hour = divmod(number, HOURS_PER_DAY)
            name = self._extra_name(day_text(day))
            await self._commands.execute("HSET", name, hour, _encode(found.models))
            await self._commands.execute("PEXPIRE", name, _EXTRA_KEPT_MS)
        return None

    async def _ask(self, target: Target) -> tuple[int, Mapping[str, str], bytes] | Unavailable:
        """Return status, headers and body of an answer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._upstream.send(target, list(target.headers), None)
                try:
                    body = await read_whole(answer, BODY_BYTES_MAX)
                finally:
                    answer.release()
        except (UpstreamFailed, TimeoutError) as fault:
            return Unavailable(str(fault) or "the provider did not answer in time")
        return answer.status, answer.headers, body

    async def _kept(self, first: int, last: int) -> dict[int, Hour]:
        hours: dict[int, Hour] = {}
        for day in range(first // HOURS_PER_DAY, last // HOURS_PER_DAY + 1):
            kept: Sequence[bytes] = await self._commands.execute("HGETALL", self._hours_name(day))
            for hour, text in zip(kept[::2], kept[1::2], strict=True):
                number = day * HOURS_PER_DAY + int(hour)
                if first <= number <= last:
                    hours[number] = _decode(text)
        return hours

    def _is_due(self, number: int, hour: Hour) -> bool:
        """Tell whether an hour is to be read: it may have grown since it was."""
        end_ms = (number + 1) * HOUR_MS
        still_grew = hour.read_ms < end_ms + self._settle_ms
        return still_grew or (self._age_ms(number) >= DAY_MS and not _is_final(number, hour))

    def _age_ms(self, number: int) -> int:
        """Return for how long an hour has been over."""
        return self.now_ms() - (number + 1) * HOUR_MS

    def _hours_name(self, day: int) -> str:
        return self._keys.receipts(self._account, f"hours:{day_text(day)}")

    def _extra_name(self, day: str) -> str:
        return self._keys.receipts(self._account, f"extra:{day}")


def day_text(day: int) -> str:
    """Return a day by its number since the epoch as text."""
    return utc(day * DAY_MS).strftime("%Y-%m-%d")


def _is_final(number: int, hour: Hour) -> bool:
    """Tell whether an hour was read a day after its end."""
    return hour.read_ms >= (number + 1) * HOUR_MS + DAY_MS


def _until(first: int, last: int, is_there: Callable[[int], bool]) -> int:
    """Return the first hour that is not there."""
    return next((number for number in range(first, last + 1) if not is_there(number)), last + 1)


def _ahead_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return by how much our clock is ahead of an answer's `Date` (RFC 9110, 6.6.1)."""
    text = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        ahead_ms = now_ms - int(parsedate_to_datetime(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None
    return ahead_ms if abs(ahead_ms) <= _SKEW_MS_MAX else None
