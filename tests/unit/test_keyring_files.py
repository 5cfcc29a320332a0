"""A file keyring gives stable, separate keys and refuses files that others could have read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tasks.errors import KeyUnavailableError
from tasks.keyring import KEY_BYTES, FileKeyring


def test_new_keyring_is_private_to_its_owner(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    FileKeyring.create(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"root.key": 0o600, "signing.pem": 0o600}


def test_creating_again_keeps_every_key(tmp_path: Path) -> None:
    first = FileKeyring.create(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = FileKeyring.create(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert first.secret("salt") == second.secret("salt")


def test_keys_differ_by_purpose_and_epoch(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    keys = {
        keyring.secret("pseudonym", "2026-11"),
        keyring.secret("pseudonym", "2026-12"),
        keyring.secret("quarantine", "2026-11"),
        keyring.secret("fingerprint"),
        keyring.secret("salt"),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {KEY_BYTES}
    assert keyring.key_id("pseudonym", "2026-11") == "pseudonym/2026-11"
    assert keyring.key_id("salt") == "salt"


def test_derivation_is_hkdf_of_the_root(tmp_path: Path) -> None:
    import hashlib
    import hmac

    keyring = FileKeyring.create(tmp_path, random_bytes=lambda size: b"\x07" * size)
    extracted = hmac.digest(b"\0" * 32, b"\x07" * 32, hashlib.sha256)
    expanded = hmac.digest(extracted, b"indelible/1/pseudonym/2026-11\x01", hashlib.sha256)
    assert keyring.secret("pseudonym", "2026-11") == expanded


@pytest.mark.parametrize("name", ["root.key", "signing.pem"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_files_open_to_others_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    FileKeyring.create(tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(KeyUnavailableError, match="others than its owner") as caught:
        FileKeyring(tmp_path)
    assert "chmod 600" in caught.value.next_step


@pytest.mark.parametrize("name", ["root.key", "signing.pem"])
def test_missing_and_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    FileKeyring.create(tmp_path)
    (tmp_path / name).write_bytes(b"not a key")
    with pytest.raises(KeyUnavailableError):
        FileKeyring(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(KeyUnavailableError, match="does not exist") as caught:
        FileKeyring(tmp_path)
    assert caught.value.next_step


def test_passphrase_protects_the_signing_key(tmp_path: Path) -> None:
    FileKeyring.create(tmp_path, passphrase=b"correct horse")
    assert b"ENCRYPTED" in (tmp_path / "signing.pem").read_bytes()
    FileKeyring(tmp_path, passphrase=b"correct horse")
    with pytest.raises(KeyUnavailableError, match="no passphrase"):
        FileKeyring(tmp_path)
    with pytest.raises(KeyUnavailableError, match="wrong passphrase"):
        FileKeyring(tmp_path, passphrase=b"battery staple")


def test_signer_signs_under_the_given_name(tmp_path: Path) -> None:
    signer = FileKeyring.create(tmp_path).signer("log.example/2026")
    assert signer.vkey.startswith("log.example/2026+")
    assert FileKeyring(tmp_path).signer("log.example/2026").vkey == signer.vkey
