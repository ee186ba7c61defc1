"""Whose signatures count: those of the keys that are named, else those of the keys that came along."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from policies.errors import BursarError
from proxy.archive.pieces import Checkpoint, PublicKey

KEY_BYTES: Final = 32
#: Of a key's SHA-256, in hexadecimal digits.
ID_DIGITS: Final = 16
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


class NotAPublicKey(BursarError):
    """What was named as a trusted key is none."""


class Trust:
    """Keys by their ids, and whether others may join them.

    A key that came along with the journal proves only that one and the same party signed all of it:
    whoever can write everything anew can sign it anew, with a key of their own.
    """

    def __init__(self, pinned: tuple[bytes, ...] = ()) -> None:
        self.pinned = bool(pinned)
        self._keys = {key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in pinned}

    def meet(self, key: PublicKey) -> str | None:
        """Take a key that came along; return what is wrong with it, None: nothing."""
        if len(key.public_key) != KEY_BYTES or key_id(key.public_key) != key.id:
            return f"signing key {key.id} is not the key that its id says"
        if not self.pinned:
            self._keys[key.id] = Ed25519PublicKey.from_public_bytes(key.public_key)
        return None

    def knows(self, key_id: str) -> bool:
        """Tell whether a key's signatures can be checked."""
        return key_id in self._keys

    def fault(self, organization: str, checkpoint: Checkpoint) -> str | None:
        """Return what is wrong with a checkpoint's signature; None: nothing."""
        key = self._keys.get(checkpoint.key_id)
        if key is None:
            known = "is not one of those that are trusted" if self.pinned else "is not known here"
            return f"it is signed by key {checkpoint.key_id}, which {known}"
        try:
            key.verify(checkpoint.signature, signed_text(organization, checkpoint))
        except InvalidSignature:
            return "its signature does not fit what it says"
        return None


def key_id(raw: bytes) -> str:
    """Return the name of a public key: the beginning of its SHA-256."""
    return sha256(raw).hexdigest()[:ID_DIGITS]


def signed_text(organization: str, checkpoint: Checkpoint) -> bytes:
    """Return the bytes that a checkpoint's signature covers."""
    lines = (
        "bursar checkpoint 1",
        organization,
        str(checkpoint.number),
        str(checkpoint.at_ms),
        checkpoint.hash.hex(),
    )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def public_key(text: str) -> bytes:
    """Return the 32 bytes of a public key, written as 64 hexadecimal digits or as PEM.

    Raises:
        NotAPublicKey: it is none of Ed25519.
    """
    if _HEX.fullmatch(text.strip()):
        raw = bytes.fromhex(text.strip())
    else:
        try:
            loaded = load_pem_public_key(text.encode())
        except (ValueError, TypeError, UnicodeEncodeError) as error:
            raise NotAPublicKey("neither 64 hexadecimal digits nor a PEM public key") from error
        if not isinstance(loaded, Ed25519PublicKey):
            raise NotAPublicKey("a public key, but not one of Ed25519")
        raw = loaded.public_bytes_raw()
    try:
        Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise NotAPublicKey("not a public key of Ed25519") from error
    return raw
