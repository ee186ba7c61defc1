"""Which headers pass, in both directions (facts: protocols.md, D3).

Everything passes that is not named here: SDKs and providers invent headers, and few of them harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.providers.interface import Target

Headers = list[tuple[str, str]]
RawHeaders = Sequence[tuple[bytes, bytes]]

#: For one connection only (RFC 9110, 7.6.1), besides those that `Connection` names.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: Never sent to a provider.
REQUEST_STRIPPED: Final = HOP_BY_HOP | {
    # The next host is another one, and gets an encoding that can be metered.
    b"host",
    b"accept-encoding",
    # aiohttp's server has answered it already.
    b"expect",
    # Keys: a client's own never reach a provider. The last two pay by wallet, past every budget.
    b"authorization",
    b"x-api-key",
    b"x-goog-api-key",
    b"api-key",
    b"cookie",
    b"sign-in-with-x",
    b"x-payment",
    # Where the client stands inside is no provider's business.
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"true-client-ip",
    b"cf-connecting-ip",
    # They turn a request into another one than was metered, or cut usage out of its answer.
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-goog-fieldmask",
}
_REQUEST_PREFIXES: Final = (b"x-bursar-", b"x-forwarded-")
#: Only true of the body as the client sent it.
_OF_THE_BODY: Final = frozenset({b"content-length", b"content-encoding"})
#: Never sent to a client: they speak of the provider's host, or are set by the gateway.
ANSWER_STRIPPED: Final = HOP_BY_HOP | {
    b"set-cookie",
    b"set-cookie2",
    b"alt-svc",
    b"strict-transport-security",
    b"x-accel-buffering",
}
_ANSWER_PREFIXES: Final = (b"x-bursar-",)
#: Proxies in front of this one must not wait for a stream to fill their buffers.
_UNBUFFERED: Final = ("x-accel-buffering", "no")
_IDENTITY: Final = ("Accept-Encoding", "identity")

# A client sends the same names each time. More than this many are made up, and are not remembered.
_REMEMBERED_MAX: Final = 1_024
_REMEMBERED_NAME_BYTES_MAX: Final = 64


class _Names:
    """Remembers of each name whether it passes, and how it is written as text."""

    __slots__ = ("_prefixes", "_remembered", "_stripped")

    def __init__(self, stripped: frozenset[bytes], prefixes: tuple[bytes, ...]) -> None:
        self._stripped = stripped
        self._prefixes = prefixes
        self._remembered: dict[bytes, str] = {}

    def of(self, name: bytes) -> str:
        """Return the name as text; empty when it does not pass."""
        known = self._remembered.get(name)
        return self._decide(name) if known is None else known

    def _decide(self, name: bytes) -> str:
        lower = name.lower()
        passes = lower not in self._stripped and not lower.startswith(self._prefixes)
        text = name.decode("ascii", "replace") if passes else ""
        short = len(name) <= _REMEMBERED_NAME_BYTES_MAX
        if short and len(self._remembered) < _REMEMBERED_MAX:
            self._remembered[name] = text
        return text


_REQUEST_NAMES: Final = _Names(REQUEST_STRIPPED, _REQUEST_PREFIXES)
_CHANGED_NAMES: Final = _Names(REQUEST_STRIPPED | _OF_THE_BODY, _REQUEST_PREFIXES)
_ANSWER_NAMES: Final = _Names(ANSWER_STRIPPED, _ANSWER_PREFIXES)
_CHANGED_ANSWER_NAMES: Final = _Names(ANSWER_STRIPPED | _OF_THE_BODY, _ANSWER_PREFIXES)


def request_headers(raw_headers: RawHeaders, target: Target, *, body_changed: bool) -> Headers:
    """Return what is sent to a provider for what a client sent.

    Args:
        raw_headers: the client's, as aiohttp's `raw_headers`.
        target: where it goes; its headers replace those of the same name.
        body_changed: what is sent is not byte for byte what came, be it that it was decompressed.
    """
    names = _CHANGED_NAMES if body_changed else _REQUEST_NAMES
    kept = _passed(raw_headers, names)
    own = target.headers
    replaced = {name.lower() for name, _ in own}
    passed = [pair for pair in kept if pair[0].lower() not in replaced]
    passed.append(_IDENTITY)
    passed += own
    return passed


def answer_headers(raw_headers: RawHeaders, *, body_changed: bool = False) -> Headers:
    """Return what is sent to a client for what a provider answered.

    Args:
        raw_headers: the provider's, as aiohttp's `raw_headers`.
        body_changed: what is relayed is not byte for byte what came.
    """
    passed = _passed(raw_headers, _CHANGED_ANSWER_NAMES if body_changed else _ANSWER_NAMES)
    passed.append(_UNBUFFERED)
    return passed


def _passed(raw_headers: RawHeaders, names: _Names) -> Headers:
    of = names.of
    passed = [
        (text, value.decode("utf-8", "surrogateescape"))
        for name, value in raw_headers
        if (text := of(name))
    ]
    named = _named_by_connection(raw_headers)
    if named:
        return [pair for pair in passed if pair[0].lower() not in named]
    return passed


def _named_by_connection(raw_headers: RawHeaders) -> frozenset[str]:
    """Return the headers that a `Connection` header says are for this connection only."""
    values = [
        value
        for name, value in raw_headers
        if len(name) == _CONNECTION_LENGTH and name.lower() == b"connection"
    ]
    if not values:
        return _NONE
    tokens = b",".join(values).decode("ascii", "replace").lower().split(",")
    return frozenset(token.strip() for token in tokens) - _USUAL


_CONNECTION_LENGTH: Final = len(b"connection")
_USUAL: Final = frozenset({"", "keep-alive", "close", "te", "upgrade"})
_NONE: Final = frozenset[str]()
