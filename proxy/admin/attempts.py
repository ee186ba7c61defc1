"""How often somebody may present a token that is none: guessing has to be hopeless, not just slow.

Each address has a number of tries, and gets one back every few seconds; so have all addresses
together, should somebody guess from many of them. While none is left, every token is turned away
unread, a right one too: otherwise guessing would go on, and the answer would still tell.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

from policies.clock import Clock

#: Wrong tokens in a row from one address: a typing mistake, a script with an old token.
ADDRESS_TRIES: Final = 10
#: Then one more in this time. Eight random letters hold out for thousands of years.
ADDRESS_TRY_S: Final = 6.0
#: From all addresses together.
ALL_TRIES: Final = 100
ALL_TRY_S: Final = 1.0
#: How many addresses are remembered, about 200 bytes each; beyond them the limit for all holds.
ADDRESSES_MAX: Final = 4_096
#: Whoever had a right token from an address is not kept out because others guess elsewhere.
KNOWN_S: Final = 3_600.0
#: The part of an IPv6 address that one customer has to himself.
_IPV6_BITS: Final = 64


class _Tries:
    """Tries that come back one by one: all that is kept is when the last of them is back."""

    __slots__ = ("_full_at_s",)

    def __init__(self) -> None:
        self._full_at_s = 0.0

    def wait_s(self, now_s: float, tries: int, try_s: float) -> float:
        """Return how long it is until there is one; 0: there is."""
        return max(0.0, self._full_at_s - now_s - (tries - 1) * try_s)

    def take(self, now_s: float, try_s: float) -> None:
        """Use one up."""
        self._full_at_s = max(self._full_at_s, now_s) + try_s

    def is_full(self, now_s: float) -> bool:
        """Tell whether all of them are back."""
        return self._full_at_s <= now_s


class Attempts:
    """The tries of everybody, in memory that does not grow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = _Tries()
        # The one that failed last stands last.
        self._addresses: OrderedDict[str, _Tries] = OrderedDict()
        # When a right token came last, the latest last.
        self._known: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many addresses are remembered for what they got wrong."""
        return len(self._addresses)

    def allowed(self, address: str) -> int | None:
        """Return None if a token may be presented; else the seconds to wait, at least one."""
        address, now_s = _network(address), self._clock.monotonic_s()
        own = self._addresses.get(address)
        wait_s = own.wait_s(now_s, ADDRESS_TRIES, ADDRESS_TRY_S) if own is not None else 0.0
        if not self._is_known(address, now_s):
            wait_s = max(wait_s, self._all.wait_s(now_s, ALL_TRIES, ALL_TRY_S))
        return None if wait_s <= 0 else int(wait_s) + 1

    def failed(self, address: str) -> None:
        """Count a token that was none."""
        address, now_s = _network(address), self._clock.monotonic_s()
        self._all.take(now_s, ALL_TRY_S)
        own = self._addresses.setdefault(address, _Tries())
        own.take(now_s, ADDRESS_TRY_S)
        self._addresses.move_to_end(address)
        while len(self._addresses) > ADDRESSES_MAX:
            self._addresses.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Remember that a right token came from here."""
        address, now_s = _network(address), self._clock.monotonic_s()
        self._known[address] = now_s
        self._known.move_to_end(address)
        while len(self._known) > ADDRESSES_MAX:
            self._known.popitem(last=False)
        own = self._addresses.get(address)
        # What was got wrong is not forgiven at once: a right token must not pay for more guesses.
        if own is not None and own.is_full(now_s):
            del self._addresses[address]

    def _is_known(self, address: str, now_s: float) -> bool:
        known_s = self._known.get(address)
        return known_s is not None and now_s - known_s < KNOWN_S


def _network(address: str) -> str:
    """Return what one client has to itself: an IPv4 address, or the network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_BITS), strict=False))
    return str(found)
