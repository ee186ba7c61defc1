"""The ledger's scripts with a clock that a test can move: it is read from a key instead of TIME."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from policies.ledger.scripts import Script, script

_TIME = b'redis.call("TIME")'
# Keys end by the test's clock too: else they would be gone at once on a machine that is ahead of it.
_EXPIRE_AT = b'redis.call("PEXPIREAT", '
_EXPIRE_IN = (
    b"local _ = (function(key, at)"
    b' return redis.call("PEXPIRE", key, text(tonumber(at) - clock_ms())) end)('
)


def clock_key(organization: str) -> str:
    """Where a test puts the time, in milliseconds."""
    return f"bursar:{{{organization}}}:test-clock"


def clocked_scripts(organization: str) -> Callable[[str], Script]:
    """Return a source of scripts that take the time from `clock_key`."""
    now = (
        f'(function() local ms = tonumber(redis.call("GET", "{clock_key(organization)}"))'.encode()
    )
    now += b" return { math.floor(ms / 1000), (ms % 1000) * 1000 } end)()"

    def clocked(name: str) -> Script:
        source = script(name).source
        assert _TIME in source
        source = source.replace(_TIME, now).replace(_EXPIRE_AT, _EXPIRE_IN)
        return Script(name, source, sha1(source, usedforsecurity=False).hexdigest().encode())

    return clocked
