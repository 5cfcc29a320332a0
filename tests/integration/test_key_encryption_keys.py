"""Key-encryption keys in OpenBao, AWS KMS and files: what they wrap opens there, and ends with their old versions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.settings import Settings
from flows.wiring import open_key_table
from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError, UsageError
from tasks.keyring.kek_aws import AwsKek
from tasks.keyring.kek_file import FileKek
from tasks.keyring.kek_transit import TransitKek
from tasks.subjects import KeyEncryptionKey, KeyTable, rewrap
from tasks.subjects.pool import DRUM
from tests.support.kms_stub import KmsStub, kms_stub
from tests.support.openbao import OpenBao, run_openbao
from tests.support.ports import free_port

KEY, CONTEXT = b"k" * 32, b"indelible/1/table-key/1"
POLICY = """
path "transit/keys/indelible-key-table" { capabilities = ["read"] }
path "transit/encrypt/indelible-key-table" { capabilities = ["update"] }
path "transit/decrypt/indelible-key-table" { capabilities = ["update"] }
"""
BACKENDS = ("file", "transit", "aws-kms")
ARN = "arn:aws:kms:eu-central-1:111122223333:key/{}"


@dataclass(frozen=True)
class Services:
    """What runs while these tests do."""

    bao: OpenBao
    token: str
    kms: KmsStub


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with kms_stub() as kms, run_openbao(tmp_path_factory.mktemp("bao")) as bao:
        kms.symmetric |= {f"alias/{name}": ARN.format(name) for name in ("old", "new")}
        bao.call("PUT", "sys/policies/acl/key-table", policy=POLICY)
        token = bao.call("POST", "auth/token/create", policies=["key-table"])["auth"]["client_token"]
        yield Services(bao, token, kms)
    patch.undo()


@pytest.fixture
def transit(services: Services) -> OpenBao:
    services.bao.create_key("indelible-key-table")
    return services.bao


def kek(backend: str, services: Services, directory: Path) -> KeyEncryptionKey:
    if backend == "file":
        return FileKek(directory)
    if backend == "transit":
        return TransitKek(services.bao.url, services.token, "indelible-key-table")
    return AwsKek("eu-central-1", "alias/old", services.kms.url)


def table(backend: str, services: Services, base: Path, **changes: Any) -> KeyTable:
    """As a deployment opens it."""
    sections = {
        "transit": {"url": services.bao.url, "token": services.token},
        "aws_kms": {"region": "eu-central-1", "endpoint": services.kms.url},
    }
    names = {"transit": {}, "aws-kms": {"kek_name": "alias/old"}, "file": {}}[backend]
    values = {"state": base, "keys": sections, "key_table": {"kek": backend, **names, **changes}}
    return open_key_table(Settings.model_validate(values), b"i" * 32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("transit")
def test_what_is_wrapped_opens_with_its_context_only(
    backend: str, services: Services, tmp_path: Path
) -> None:
    name, wrapped = kek(backend, services, tmp_path).wrap(KEY, CONTEXT)
    again = kek(backend, services, tmp_path)
    assert again.unwrap(name, wrapped, CONTEXT) == KEY
    with pytest.raises(KeyUnavailableError):
        again.unwrap(name, wrapped, CONTEXT + b"0")
    with pytest.raises(KeyUnavailableError):
        again.unwrap("another", wrapped, CONTEXT)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("transit")
def test_a_deployment_asks_it_once_and_not_once_a_person(
    backend: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = table(backend, services, tmp_path)
    keys = first.subject_keys([str(number) for number in range(300)])
    calls: list[str] = []
    unwrap = type(first.kek).unwrap

    def counted(self: KeyEncryptionKey, name: str, wrapped: bytes, context: bytes) -> bytes:
        calls.append(name)
        return unwrap(self, name, wrapped, context)

    monkeypatch.setattr(type(first.kek), "unwrap", counted)
    again = table(backend, services, tmp_path)
    assert again.subject_keys([str(number) for number in range(300)]) == keys
    again.month_key("pseudonym", "2026-11")
    assert len(calls) == 1


def test_a_copy_from_before_the_rewrap_ends_with_the_old_version(
    transit: OpenBao, services: Services, tmp_path: Path
) -> None:
    old = table("transit", services, tmp_path)
    keys = old.subject_keys(["ada", "grace"])
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "keys" / "table.db").read_bytes())
    transit.call("POST", "transit/keys/indelible-key-table/rotate")
    assert rewrap(old) == 2 * DRUM  # those that nobody has yet too
    stolen = f"sqlite:///{copy}"
    assert table("transit", services, tmp_path, url=stolen).subject_keys(["ada", "grace"]) == keys
    lowest = {"min_decryption_version": 2, "min_encryption_version": 2}
    transit.call("POST", "transit/keys/indelible-key-table/config", **lowest)
    transit.call("POST", "transit/keys/indelible-key-table/trim", min_available_version=2)
    with pytest.raises(KeyUnavailableError, match="refuses decrypt"):
        table("transit", services, tmp_path, url=stolen).subject_keys(["ada"])
    assert table("transit", services, tmp_path).subject_keys(["ada", "grace"]) == keys


def test_an_aws_key_is_replaced_by_another_one(services: Services, tmp_path: Path) -> None:
    keys = table("aws-kms", services, tmp_path).subject_keys(["ada"])
    assert rewrap(table("aws-kms", services, tmp_path, kek_name="alias/new")) == DRUM
    removed = services.kms.symmetric.pop("alias/old")
    try:
        assert table("aws-kms", services, tmp_path, kek_name="alias/new").subject_keys(["ada"]) == keys
    finally:
        services.kms.symmetric["alias/old"] = removed


def test_a_destroyed_transit_key_is_not_replaced_silently(
    transit: OpenBao, services: Services, tmp_path: Path
) -> None:
    table("transit", services, tmp_path).subject_keys(["ada"])
    transit.destroy_key("indelible-key-table")
    with pytest.raises(KeyUnavailableError):
        table("transit", services, tmp_path).subject_keys(["ada"])
    with pytest.raises(KeyUnavailableError, match="no usable key"):
        kek("transit", services, tmp_path).wrap(KEY, CONTEXT)


def test_a_service_that_does_not_answer_may_answer_later(services: Services) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(KeyServiceUnreachableError):
        TransitKek(nobody, "token", "indelible-key-table").wrap(KEY, CONTEXT)
    services.kms.refuse = "ThrottlingException"
    try:
        with pytest.raises(KeyServiceUnreachableError):
            AwsKek("eu-central-1", "alias/old", services.kms.url).wrap(KEY, CONTEXT)
    finally:
        services.kms.refuse = ""


@pytest.mark.parametrize(("backend", "section"), [("transit", "transit"), ("aws-kms", "aws_kms")])
def test_a_service_without_its_section_is_refused(backend: str, section: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"state": tmp_path, "key_table": {"kek": backend}})
    with pytest.raises(UsageError, match=rf"no section \[keys\.{section}\]"):
        open_key_table(settings, b"i" * 32)


def test_file_versions_are_private_and_go_when_retired(tmp_path: Path) -> None:
    files = FileKek(tmp_path / "keys")
    name, wrapped = files.wrap(KEY, CONTEXT)
    assert (tmp_path / "keys" / name).stat().st_mode & 0o777 == 0o600
    files.rotate()
    files.retire(())
    with pytest.raises(KeyUnavailableError, match="does not exist"):
        files.unwrap(name, wrapped, CONTEXT)
    newer, _ = files.wrap(KEY, CONTEXT)
    assert (name, newer) == ("table-kek-1.key", "table-kek-2.key")
