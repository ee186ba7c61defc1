"""How amounts, times and spans are written for people; exact values stand beside them in titles."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from policies.clock import utc
from policies.money import NANO_PER_UNIT, decimal_text
from policies.units import USD, amount_text, is_nano

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
NOTHING: Final = "–"
#: A number and its sign stay on one line.
SPACE: Final = "\N{NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"
_SCALES: Final = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
# A call's cost is often below a cent: this many digits tell one from another.
_DIGITS: Final = 2
#: Costs of calls stand below each other: with as many places, their points do too.
_COST_PLACES: Final = 4
_TINY_NANO_USD: Final = 50_000
_CENTS: Final = 2
_SPANS: Final = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s"))


def exact(unit: str, amount: int | None) -> str:
    """Return an amount with all of its digits, such as `$0.000812345`."""
    return NOTHING if amount is None else amount_text(unit, amount)


def short(unit: str, amount: int | None) -> str:
    """Return an amount as it is read at a glance: `$1,234.56`, `$0.00812`, `1,204 tokens`."""
    if amount is None:
        return NOTHING
    if unit == USD:
        return _signed("$", amount, rounded(abs(amount)))
    if is_nano(unit):
        return f"{_signed('', amount, _credits(abs(amount)))} {unit}"
    return f"{amount:,} {unit}"


def bare(unit: str, amount: int | None) -> str:
    """Return an amount without the name of its unit, for columns that say it in their head."""
    if amount is None:
        return NOTHING
    if unit == USD:
        return short(unit, amount)
    return _signed("", amount, _credits(abs(amount))) if is_nano(unit) else f"{amount:,}"


def cost(nano_usd: int | None) -> str:
    """Return what one call cost, with places enough to be told from others: `$0.0081`, `$0.000012`."""
    if nano_usd is None:
        return NOTHING
    size = abs(nano_usd)
    is_tiny = 0 < size < _TINY_NANO_USD
    return _signed("$", nano_usd, rounded(size) if is_tiny else _fixed(size, _COST_PLACES))


def rounded(nano: int) -> str:
    """Return nano-units in whole units: to the hundredth, and below a tenth to two digits that count."""
    if nano == 0 or nano * 10 >= NANO_PER_UNIT:
        return _fixed(nano, _CENTS)
    leading_zeros = 9 - len(str(nano))
    return _fixed(nano, min(9, max(_CENTS, leading_zeros + _DIGITS)))


def axis(unit: str, amount: int) -> str:
    """Return an amount as a mark of an axis: `$1.5k`, `20M`."""
    sign = "$" if unit == USD else ""
    divisor = NANO_PER_UNIT if is_nano(unit) else 1
    size = abs(amount)
    for scale, letter in _SCALES:
        if size >= scale * divisor:
            return _signed(sign, amount, _trimmed(size, scale * divisor) + letter)
    if not is_nano(unit):
        return f"{amount}"
    return _signed(sign, amount, decimal_text(size))


def percent(part: int, whole: int) -> str:
    """Return a share such as `62 %`; what is there and below one is not nothing."""
    if whole <= 0:
        return NOTHING
    if 0 < part * 100 < whole:
        return f"<1{SPACE}%"
    return f"{part * 100 // whole:,}{SPACE}%"


def span(length_ms: int) -> str:
    """Return how long something is, in its two largest units: `3 d 4 h`."""
    if length_ms < SECOND_MS:
        return f"{max(0, length_ms)} ms"
    for index, (size, name) in enumerate(_SPANS):
        if length_ms >= size:
            count, rest = divmod(length_ms, size)
            text = f"{count} {name}"
            if index + 1 < len(_SPANS):
                next_size, next_name = _SPANS[index + 1]
                smaller = rest // next_size
                text += f" {smaller} {next_name}" if smaller else ""
            return text
    return NOTHING


def stamp(at_ms: int | None) -> str:
    """Return a time to the second, in UTC: `27 Nov 2026, 14:03:22`."""
    return NOTHING if not at_ms else f"{utc(at_ms):%-d %b %Y, %H:%M:%S}"


def second(at_ms: int | None) -> str:
    """Return a time of this year to the second, in UTC: `27 Nov, 14:03:22`."""
    return NOTHING if not at_ms else f"{utc(at_ms):%-d %b, %H:%M:%S}"


def minute(at_ms: int | None, zone: tzinfo | None = None) -> str:
    """Return a time to the minute: `27 Nov, 14:03`."""
    return NOTHING if not at_ms else f"{_local(at_ms, zone):%-d %b, %H:%M}"


def day(at_ms: int, zone: tzinfo | None = None) -> str:
    """Return a date as people name it: `Thu 27 Nov`."""
    return f"{_local(at_ms, zone):%a %-d %b}"


def moment(at_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """Return when something will be, as exactly as it is near: `in 12 min`, `today at 16:40`."""
    ahead_ms = at_ms - now_ms
    at, now = _local(at_ms, zone), _local(now_ms, zone)
    if 0 <= ahead_ms < HOUR_MS:
        return f"in {max(1, ahead_ms // MINUTE_MS)} min"
    if at.date() == now.date():
        return f"today at {at:%H:%M}"
    if ahead_ms < 2 * DAY_MS:
        return f"on {at:%a %-d %b} at {at:%H:%M}"
    return f"on {at:%a %-d %b}" if at.year == now.year else f"on {at:%-d %b %Y}"


def iso(at_ms: int) -> str:
    """Return a time for machines, as `<time datetime>` has it."""
    return f"{utc(at_ms):%Y-%m-%dT%H:%M:%SZ}"


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name."""
    return ZoneInfo(name)


def _local(at_ms: int, zone: tzinfo | None) -> datetime:
    return utc(at_ms) if zone is None else utc(at_ms).astimezone(zone)


def _credits(nano: int) -> str:
    """Return credits, which are mostly whole: without places that say nothing."""
    return rounded(nano) if nano % NANO_PER_UNIT else f"{nano // NANO_PER_UNIT:,}"


def _signed(sign: str, amount: int, text: str) -> str:
    return f"{MINUS}{sign}{text}" if amount < 0 else f"{sign}{text}"


def _fixed(nano: int, places: int) -> str:
    """Return nano-units with so many places, half of the last one rounded up."""
    step = 10 ** (9 - places)
    steps = (nano + step // 2) // step
    whole, fraction = divmod(steps, 10**places)
    return f"{whole:,}.{fraction:0{places}d}"


def _trimmed(size: int, scale: int) -> str:
    """Return a size in a larger unit, with at most two places."""
    hundredths = size * 100 // scale
    text = f"{hundredths // 100}.{hundredths % 100:02d}"
    return text.rstrip("0").rstrip(".")
