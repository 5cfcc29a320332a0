"""A file keyring gives stable, separate keys and refuses files that others could have read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tasks.errors import KeyUnavailableError
from tasks.keyring import KEY_BYTES, FileKeyring

LOG = "log.example/2026"
SIGNING = "signing-log.example_2026.pem"


def test_new_keyring_is_private_to_its_owner(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    FileKeyring.create(directory).new_signer(LOG)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"root.key": 0o600, SIGNING: 0o600}


def test_creating_again_keeps_every_key(tmp_path: Path) -> None:
    first = FileKeyring.create(tmp_path)
    vkey = first.new_signer(LOG).vkey
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = FileKeyring.create(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert first.secret("salt") == second.secret("salt")
    assert second.new_signer(LOG).vkey == vkey
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_two_who_create_a_keyring_at_once_one_makes_the_root(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    others: list[FileKeyring] = []

    def slow(size: int) -> bytes:
        if not others:
            others.append(FileKeyring.create(directory))
        return b"\x07" * size

    keyring = FileKeyring.create(directory, random_bytes=slow)
    assert keyring.secret("salt") == others[0].secret("salt")
    assert list(tmp_path.iterdir()) == [directory]
    assert [path.name for path in directory.iterdir()] == ["root.key"]


def test_keys_differ_by_purpose(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    keys = {keyring.secret("salt"), keyring.secret("index")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {KEY_BYTES}
    assert keyring.key_id("pseudonym", "2026-11") == "pseudonym/2026-11"
    assert keyring.key_id("salt") == "salt"


def test_keys_of_months_and_persons_are_not_derived(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    with pytest.raises(KeyUnavailableError, match="no key table"):
        keyring.secret("pseudonym", "2026-11")
    with pytest.raises(KeyUnavailableError, match="no key table"):
        keyring.subject_keys(["ada@example.org"])


def test_derivation_is_hkdf_of_the_root(tmp_path: Path) -> None:
    import hashlib
    import hmac

    keyring = FileKeyring.create(tmp_path, random_bytes=lambda size: b"\x07" * size)
    extracted = hmac.digest(b"\0" * 32, b"\x07" * 32, hashlib.sha256)
    expanded = hmac.digest(extracted, b"indelible/1/salt\x01", hashlib.sha256)
    assert keyring.secret("salt") == expanded


@pytest.mark.parametrize("name", ["root.key", SIGNING])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_files_open_to_others_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    FileKeyring.create(tmp_path).new_signer(LOG)
    (tmp_path / name).chmod(mode)
    with pytest.raises(KeyUnavailableError, match="others than its owner") as caught:
        FileKeyring(tmp_path).signer(LOG)
    assert "chmod 600" in caught.value.next_step


@pytest.mark.parametrize("name", ["root.key", SIGNING])
def test_missing_and_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    FileKeyring.create(tmp_path).new_signer(LOG)
    (tmp_path / name).write_bytes(b"not a key")
    with pytest.raises(KeyUnavailableError):
        FileKeyring(tmp_path).signer(LOG)
    (tmp_path / name).unlink()
    with pytest.raises(KeyUnavailableError, match="does not exist") as caught:
        FileKeyring(tmp_path).signer(LOG)
    assert caught.value.next_step


def test_passphrase_protects_the_signing_key(tmp_path: Path) -> None:
    FileKeyring.create(tmp_path, passphrase=b"correct horse").new_signer(LOG)
    assert b"ENCRYPTED" in (tmp_path / SIGNING).read_bytes()
    FileKeyring(tmp_path, passphrase=b"correct horse").signer(LOG)
    with pytest.raises(KeyUnavailableError, match="no passphrase"):
        FileKeyring(tmp_path).signer(LOG)
    with pytest.raises(KeyUnavailableError, match="wrong passphrase"):
        FileKeyring(tmp_path, passphrase=b"battery staple").signer(LOG)


def test_each_log_has_a_key_of_its_own(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    signer, other = keyring.new_signer(LOG), keyring.new_signer("log.example/2027")
    assert signer.vkey.startswith(f"{LOG}+")
    assert signer.verifier.public_key != other.verifier.public_key
    assert FileKeyring(tmp_path).signer(LOG).vkey == signer.vkey


def test_later_keys_of_a_log_are_numbered_and_come_after_its_first(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    first, second = keyring.new_signer(LOG), keyring.new_signer(LOG, 1)
    assert [key.vkey for key in keyring.signers(LOG)] == [first.vkey, second.vkey]
    assert keyring.signer(LOG).vkey == second.vkey
    assert (tmp_path / "signing-log.example_2026-2.pem").exists()
    assert keyring.new_signer(LOG, 1).vkey == second.vkey


def test_a_key_that_another_process_made_is_found_without_a_restart(tmp_path: Path) -> None:
    keyring = FileKeyring.create(tmp_path)
    keyring.new_signer(LOG)
    assert len(keyring.signers(LOG)) == 1
    FileKeyring(tmp_path).new_signer(LOG, 1)
    assert len(keyring.signers(LOG)) == 2
