"""The key that signs the archive's checkpoints: a file that only its owner can read, made when missing."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from policies.errors import BursarError
from proxy.archive.pieces import Checkpoint
from proxy.archive.trust import key_id, signed_text

KEY_FILE: Final = "archive-signing-key.pem"
_MODE: Final = 0o600
#: Before a new key's bytes in what the old one signs of it.
_HEIR: Final = b"bursar signing key 1\n"
#: No key is larger; whatever else lies there is not read whole.
_FILE_BYTES_MAX: Final = 10_000


class SigningKeyUnusable(BursarError):
    """The signing key's file cannot be read or made, or holds something else."""


class SigningKey:
    """An Ed25519 key pair."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        #: 32 bytes.
        self.public_key: Final = private.public_key().public_bytes_raw()
        self.id: Final = key_id(self.public_key)

    def checkpoint(self, organization: str, number: int, at_ms: int, hash_: bytes) -> Checkpoint:
        """Return the signed head of an organisation's chain."""

        def with_signature(signature: bytes) -> Checkpoint:
            return Checkpoint(
                number=number,
                at_ms=at_ms,
                hash=hash_,
                key_id=self.id,
                signature=signature,
                where="",
            )

        text = signed_text(organization, with_signature(b""))
        return with_signature(self._private.sign(text))

    def endorse(self, heir: SigningKey) -> bytes:
        """Return a signature that says that another key takes over from this one."""
        return self._private.sign(_HEIR + heir.public_key)

    def pem(self) -> bytes:
        """Return the private half as it is kept in its file."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Rotated:
    """One key took over from another."""

    old: SigningKey
    new: SigningKey
    #: By the old key, over the new one: who trusts the old one may trust the new one.
    endorsement: bytes


def load_or_make(path: Path) -> SigningKey:
    """Return the key of a file, which is made when it is missing; of several that make it, one does.

    Raises:
        SigningKeyUnusable: it cannot be read or made, or holds something else.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            made = _beside(path, SigningKey(Ed25519PrivateKey.generate()))
            try:
                os.link(made, path)
            except FileExistsError:
                pass  # Another process was first: its key is the one.
            finally:
                made.unlink()
        return _load(path)
    except OSError as fault:
        raise SigningKeyUnusable(f"the signing key at {path}: {fault.strerror}") from fault


def rotate(path: Path) -> Rotated:
    """Put a new key in the place of the old one; whoever signs takes it up with the next checkpoint.

    The old private key is gone then; what it has signed stays valid.

    Raises:
        SigningKeyUnusable: the old one cannot be read, or the new one not be written.
    """
    old = load_or_make(path)
    new = SigningKey(Ed25519PrivateKey.generate())
    try:
        _beside(path, new).replace(path)
    except OSError as fault:
        raise SigningKeyUnusable(f"the signing key at {path}: {fault.strerror}") from fault
    return Rotated(old, new, old.endorse(new))


def _beside(path: Path, key: SigningKey) -> Path:
    """Write a key to a new file next to a path: at its own place it is whole or not there."""
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(key.pem())
        file.flush()
        os.fsync(file.fileno())
    return made


def _load(path: Path) -> SigningKey:
    with path.open("rb") as file:
        pem = file.read(_FILE_BYTES_MAX)
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningKeyUnusable(
            f"the signing key at {path} is no Ed25519 key in PEM without a password: put the right "
            "file back, or move it away and a new key is made"
        )
    return SigningKey(private)
