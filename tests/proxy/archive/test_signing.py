"""The key that signs is made once, kept to its owner, and can be replaced."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.archive.signing import KEY_FILE, SigningKeyUnusable, load_or_make, rotate


def test_a_missing_key_is_made_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "data" / KEY_FILE

    made = load_or_make(path)

    assert load_or_make(path).id == made.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_an_id_is_the_beginning_of_the_keys_digest(tmp_path: Path) -> None:
    key = load_or_make(tmp_path / KEY_FILE)

    assert key.id == sha256(key.public_key).hexdigest()[:16]


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_or_make(tmp_path / KEY_FILE), range(8)))

    assert len({key.id for key in made}) == 1


def test_a_checkpoint_is_signed_in_the_form_that_is_documented(tmp_path: Path) -> None:
    key = load_or_make(tmp_path / KEY_FILE)

    checkpoint = key.checkpoint("acme", 7, 1_000, b"\x01\xff")

    public = Ed25519PublicKey.from_public_bytes(key.public_key)
    public.verify(checkpoint.signature, b"bursar checkpoint 1\nacme\n7\n1000\n01ff")
    with pytest.raises(InvalidSignature):
        public.verify(checkpoint.signature, b"bursar checkpoint 1\nacme\n8\n1000\n01ff")
    assert (checkpoint.number, checkpoint.at_ms, checkpoint.key_id) == (7, 1_000, key.id)


def test_a_new_key_takes_over_and_the_old_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    old = load_or_make(path)

    rotated = rotate(path)

    assert rotated.old.id == old.id
    assert load_or_make(path).id == rotated.new.id != old.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    heir = b"bursar signing key 1\n" + rotated.new.public_key
    Ed25519PublicKey.from_public_bytes(old.public_key).verify(rotated.endorsement, heir)


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_file_that_is_no_key_is_said_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(content)

    for use in (load_or_make, rotate):
        with pytest.raises(SigningKeyUnusable, match="no Ed25519 key"):
            use(path)

    assert path.read_bytes() == content


def test_a_key_of_another_kind_is_said(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    other = generate_private_key(public_exponent=65_537, key_size=2_048)
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(SigningKeyUnusable, match="no Ed25519 key"):
        load_or_make(path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SigningKeyUnusable):
        load_or_make(tmp_path / "file" / KEY_FILE)
