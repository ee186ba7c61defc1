"""Wallets as all replicas share them, in Redis, and the claim of the one that polls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from policies.ledger.keys import Keys
from proxy.wallets.wallet import Wallet

_KEEP: Final = (files("proxy.wallets") / "store.lua").read_bytes()
_REPORT: Final = "report"
_NUDGED_AT: Final = "nudged_at"
_REFUSED: Final = "refused"
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Wallet).decode


class Commands(Protocol):
    """Whatever can send a command to Redis."""

    def execute(self, *command: bytes | str | int) -> Awaitable[Any]:
        """Send one command; the answer is awaited. Raises `LedgerUnavailable`."""
        ...


class Stored(NamedTuple):
    """What is kept of one provider."""

    wallet: Wallet
    #: When a call was refused last because of a quota, by the ledger's clock; 0: never.
    nudged_at_ms: int
    #: What a call was refused for then, for messages.
    refused: str = ""


class WalletStore:
    """Keeps one wallet for each provider. Every method may raise `LedgerUnavailable`."""

    def __init__(self, commands: Commands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def load(self, provider: str) -> Stored:
        """Return what is kept of a provider; nothing, where another version of the program kept it."""
        report, nudged_at, refused = await self._commands.execute(
            "HMGET", self._keys.wallet(provider), _REPORT, _NUDGED_AT, _REFUSED
        )
        return Stored(_wallet(report), int(nudged_at or 0), (refused or b"").decode())

    async def load_all(self, providers: Iterable[str]) -> Mapping[str, Stored]:
        """Return what is kept of several providers."""
        names = list(providers)
        found = await asyncio.gather(*(self.load(name) for name in names))
        return dict(zip(names, found, strict=True))

    async def claim(self, provider: str, token: str, for_ms: int) -> bool:
        """Claim the poll of a provider, unless another replica has it.

        Args:
            provider: who is polled.
            token: tells the claim from that of others.
            for_ms: the claim runs out by itself after so long, should its owner die.
        """
        key = self._keys.claim(f"wallet:{provider}")
        return bool(await self._commands.execute("SET", key, token, "NX", "PX", for_ms))

    async def keep(self, provider: str, token: str, wallet: Wallet) -> bool:
        """Keep what a poll found, and let go of its claim; False: the claim had run out."""
        return await self._end(provider, token, _encode(wallet))

    async def release(self, provider: str, token: str) -> bool:
        """Let go of a claim; False: it had run out."""
        return await self._end(provider, token, b"")

    async def nudge(self, provider: str, at_ms: int, reason: str) -> None:
        """Have a provider polled soon, by whichever replica sees it first: it refused a call.

        Args:
            provider: who did.
            at_ms: when, by the ledger's clock.
            reason: what for.
        """
        key = self._keys.wallet(provider)
        await self._commands.execute("HSET", key, _NUDGED_AT, at_ms, _REFUSED, reason)

    async def _end(self, provider: str, token: str, document: bytes) -> bool:
        wallet, claim = self._keys.wallet(provider), self._keys.claim(f"wallet:{provider}")
        return bool(await self._commands.execute("EVAL", _KEEP, 2, wallet, claim, token, document))


def _wallet(document: bytes | None) -> Wallet:
    if document is None:
        return Wallet()
    try:
        return _decode(document)
    except msgspec.DecodeError:
        return Wallet()
