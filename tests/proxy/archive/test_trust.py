"""Whose signatures count."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.archive.pieces import PublicKey
from proxy.archive.signing import SigningKey
from proxy.archive.trust import NotAPublicKey, Trust, key_id, public_key

ONE, OTHER = (SigningKey(Ed25519PrivateKey.generate()) for _ in range(2))
CHECKPOINT = ONE.checkpoint("acme", 7, 1_000, bytes(32))


def public(key: SigningKey) -> PublicKey:
    return PublicKey(id=key.id, public_key=key.public_key, created_ms=0, where="")


def test_a_key_that_came_along_counts() -> None:
    trust = Trust()

    assert trust.fault("acme", CHECKPOINT) is not None
    assert trust.meet(public(ONE)) is None
    assert trust.fault("acme", CHECKPOINT) is None


def test_a_key_that_came_along_does_not_count_beside_a_trusted_one() -> None:
    trust = Trust((OTHER.public_key,))

    assert trust.meet(public(ONE)) is None
    said = trust.fault("acme", CHECKPOINT)

    assert said is not None
    assert "not one of those that are trusted" in said


def test_a_key_is_called_by_its_hash() -> None:
    trust = Trust()
    forged = replace(public(ONE), public_key=OTHER.public_key)
    short = replace(public(ONE), public_key=b"short", id=key_id(b"short"))

    assert trust.meet(forged) is not None
    assert trust.meet(short) is not None
    assert not trust.knows(ONE.id)


@pytest.mark.parametrize(
    "changed",
    [
        replace(CHECKPOINT, number=8),
        replace(CHECKPOINT, at_ms=1_001),
        replace(CHECKPOINT, hash=bytes([1]) * 32),
        replace(CHECKPOINT, signature=bytes(64)),
        replace(CHECKPOINT, signature=b""),
    ],
)
def test_a_signature_covers_all_of_a_checkpoint(changed: object) -> None:
    trust = Trust((ONE.public_key,))

    assert trust.fault("acme", CHECKPOINT) is None
    assert trust.fault("acme", changed) is not None  # type: ignore[arg-type]  # Still a checkpoint.
    assert trust.fault("other", CHECKPOINT) is not None


def test_a_public_key_is_read_as_digits_or_as_pem() -> None:
    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    assert public_key(f" {key.public_bytes_raw().hex().upper()}\n") == key.public_bytes_raw()
    assert public_key(pem) == key.public_bytes_raw()


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33, "-----BEGIN", "ключ", "\ud800"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NotAPublicKey):
        public_key(text)


def test_a_key_of_another_kind_is_refused() -> None:
    other = X25519PrivateKey.generate().public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    with pytest.raises(NotAPublicKey, match="Ed25519"):
        public_key(pem)
