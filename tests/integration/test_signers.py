"""Signing keys in files, OpenBao, a PKCS#11 token and AWS KMS behave alike, and their failures are told apart.

OpenBao and SoftHSM2 are the real ones. AWS KMS is a stub of its HTTP API, as no emulator has Ed25519.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows import evidence, keys, pipeline, wiring
from flows.entries import append_entry
from flows.holding import Order
from flows.settings import Settings
from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError, UsageError
from tasks.evidence.note import NoteVerifier, make_note, open_note
from tasks.keyring import FileKeyring, SigningKeys
from tasks.keyring.aws_kms import AwsKmsKeys
from tasks.keyring.pkcs11 import Pkcs11Keys
from tasks.keyring.remote import RemoteKey
from tasks.keyring.signing_files import SigningFiles
from tasks.keyring.transit import TransitKeys
from tasks.storage.local import LocalStore
from tests.support.kms_stub import KmsStub, kms_stub
from tests.support.openbao import OpenBao, run_openbao
from tests.support.ports import free_port
from tests.support.softhsm import MODULE, PIN, TOKEN, softhsm

LOG = "audit.example/signers/2026"
TEXT = f"{LOG}\n7\n{base64.b64encode(bytes(32)).decode()}\n"
POLICY = """
path "transit/keys/*" { capabilities = ["read", "update"] }
path "transit/sign/*" { capabilities = ["update"] }
"""
BACKENDS = ("file", "transit", "pkcs11", "aws-kms")
AUDIT = {"enforced": True, "findings": [], "kind": "worm-probe", "server": "", "software": "t", "store": "x"}


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
    base = tmp_path_factory.mktemp("signers")
    with softhsm(base), kms_stub() as kms, run_openbao(base) as bao:
        bao.call("PUT", "sys/policies/acl/signer", policy=POLICY)
        token = bao.call("POST", "auth/token/create", policies=["signer"])["auth"]["client_token"]
        yield Services(bao, token, kms)
    patch.undo()


def section(backend: str, services: Services) -> dict[str, Any]:
    """The settings of a backend."""
    sections: dict[str, dict[str, Any]] = {
        "file": {"passphrase": "correct horse"},
        "transit": {"transit": {"url": services.bao.url, "token": services.token}},
        "pkcs11": {"pkcs11": {"module": MODULE, "token": TOKEN, "pin": PIN}},
        "aws-kms": {"aws_kms": {"region": "eu-central-1", "endpoint": services.kms.url}},
    }
    return sections[backend] | {"signer": backend}


@pytest.fixture
def opened(services: Services, tmp_path: Path) -> Callable[[str], SigningKeys]:
    """A backend as a new process opens it."""
    makers: dict[str, Callable[[], SigningKeys]] = {
        "file": lambda: SigningFiles(tmp_path, b"correct horse"),
        "transit": lambda: TransitKeys(services.bao.url, services.token),
        "pkcs11": lambda: Pkcs11Keys(MODULE, TOKEN, PIN),
        "aws-kms": lambda: AwsKmsKeys("eu-central-1", endpoint=services.kms.url),
    }
    return lambda backend: makers[backend]()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_key_is_made_once_and_signs_as_rfc_8032_says(
    opened: Callable[[str], SigningKeys], backend: str
) -> None:
    label = f"once.example_{backend}"
    assert opened(backend).find(label) is None
    key = opened(backend).create(label)
    public = key.public_key().public_bytes_raw()
    again, found = opened(backend).create(label), opened(backend).find(label)
    assert found is not None
    assert {k.public_key().public_bytes_raw() for k in (again, found)} == {public}
    message = b"\x00\xff" * 700
    assert len(key.sign(message)) == 64
    assert found.sign(message) == key.sign(message)  # PureEdDSA is deterministic
    key.public_key().verify(key.sign(message), message)


@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpoints_are_signed_whoever_keeps_the_key(
    services: Services, tmp_path: Path, backend: str
) -> None:
    values = {
        "state": tmp_path / "state",
        "log": {"origin": f"audit.example/{backend}"},
        "keys": section(backend, services),
    }
    runtime = wiring.build(Settings.model_validate(values), store=LocalStore(tmp_path / "store"))
    with runtime.catalog() as catalog:
        append_entry(runtime, catalog, "audit", AUDIT)
        pipeline.publish(runtime, catalog)
    order = Order("carla", "dennis", "drill")
    new, _ = keys.rotate(runtime, order)
    _, checkpoint = keys.finish(runtime, order)
    assert checkpoint.size == 4
    assert [key.state for key in keys.list_keys(runtime)] == [keys.RETIRED, keys.SIGNS]
    assert runtime.signer(checkpoint.shard).vkey == new.vkey
    assert evidence.verify_store(runtime).findings == ()
    private = [path.name for path in (tmp_path / "state" / "keys").glob("signing-*")]
    assert len(private) == (2 if backend == "file" else 0)


def test_a_note_by_a_remote_key_opens_under_its_vkey(
    opened: Callable[[str], SigningKeys], tmp_path: Path
) -> None:
    signer = FileKeyring.create(tmp_path / "keys", signing_keys=opened("transit")).new_signer(LOG)
    note = make_note(TEXT, signer.sign(TEXT))
    assert open_note(note, [NoteVerifier.from_vkey(signer.vkey)]).text == TEXT


def test_a_rotation_moves_a_log_from_files_to_a_service(services: Services, tmp_path: Path) -> None:
    values = {"state": tmp_path / "state", "log": {"origin": "audit.example/moving"}}
    store, order = LocalStore(tmp_path / "store"), Order("carla", "dennis", "drill")
    before = wiring.build(Settings.model_validate(values), store=store)
    keys.rotate(before, order)
    keys.finish(before, order)
    moved = section("transit", services)
    after = wiring.build(Settings.model_validate({**values, "keys": moved}), store=store)
    new, _ = keys.rotate(after, order)
    keys.finish(after, order)
    states = {key.vkey: key.state for key in keys.list_keys(after)}
    assert list(states.values()) == [keys.RETIRED, keys.RETIRED, keys.SIGNS]
    assert services.bao.call("GET", f"transit/keys/audit.example_moving_{new.shard}-3")
    assert evidence.verify_store(after).findings == ()


def test_transit_rotation_by_others_does_not_change_our_key(
    opened: Callable[[str], SigningKeys], services: Services
) -> None:
    before = opened("transit").create("pinned")
    services.bao.call("POST", "transit/keys/pinned/rotate")
    after = opened("transit").find("pinned")
    assert after is not None
    assert after.sign(b"m") == before.sign(b"m")


def test_keys_of_another_kind_are_refused(
    opened: Callable[[str], SigningKeys], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.bao.call("POST", "transit/keys/rsa", type="rsa-2048")
    with pytest.raises(KeyUnavailableError, match="not a plain ed25519"):
        opened("transit").find("rsa")
    opened("aws-kms").create("other-kind")
    monkeypatch.setattr(services.kms, "spec", "ECC_NIST_P256")
    with pytest.raises(KeyUnavailableError, match="not of the spec"):
        opened("aws-kms").find("other-kind")


def test_wrong_credentials_are_final_and_never_shown(services: Services) -> None:
    secret = "s.very-secret-value"
    backends: list[SigningKeys] = [
        TransitKeys(services.bao.url, secret),
        Pkcs11Keys(MODULE, TOKEN, secret),
    ]
    for backend in backends:
        with pytest.raises(KeyUnavailableError) as caught:
            backend.find("any")
        assert not caught.value.transient
        assert caught.value.next_step
        assert secret not in f"{caught.value} {caught.value.next_step}"


def test_a_service_that_does_not_answer_may_answer_later(services: Services) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    backends: list[SigningKeys] = [
        TransitKeys(nobody, "token"),
        AwsKmsKeys("eu-central-1", endpoint=nobody),
        Pkcs11Keys(MODULE, "unplugged", PIN),
    ]
    for backend in backends:
        with pytest.raises(KeyServiceUnreachableError) as caught:
            backend.find("any")
        assert caught.value.transient


@pytest.mark.parametrize(
    ("code", "transient"),
    [("ThrottlingException", True), ("KMSInternalException", True), ("AccessDeniedException", False),
     ("DisabledException", False)],
)  # fmt: skip
def test_answers_of_aws_kms_are_told_apart(
    opened: Callable[[str], SigningKeys],
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    transient: bool,
) -> None:
    key = opened("aws-kms").create("told-apart")
    monkeypatch.setattr(services.kms, "refuse", code)
    with pytest.raises(KeyUnavailableError, match=code) as caught:
        key.sign(b"m")
    assert caught.value.transient is transient


def test_of_two_processes_that_make_a_key_the_alias_decides(
    opened: Callable[[str], SigningKeys], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = opened("aws-kms")
    monkeypatch.setattr(slow, "find", lambda label: None)  # it looked before the other one was done
    first = opened("aws-kms").create("raced")
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    assert slow.create("raced").public_key() == first.public_key()
    arn = services.kms.aliases["alias/indelible/raced"]
    assert services.kms.keys[arn].public_key() == first.public_key()


def test_a_signature_that_does_not_verify_is_not_used() -> None:
    stranger, public = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate().public_key()
    key = RemoteKey("the key in slot 3", public.public_bytes_raw(), stranger.sign)
    with pytest.raises(KeyUnavailableError, match="slot 3 gave a signature"):
        key.sign(b"m")


def test_a_token_does_not_cross_a_network_in_the_clear() -> None:
    with pytest.raises(UsageError, match="https"):
        TransitKeys("http://bao.example:8200", "token")


def test_a_signer_without_its_section_is_a_wrong_setting(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state": tmp_path, "keys": {"signer": "aws-kms"}})
    with pytest.raises(UsageError, match=r"no section \[keys.aws_kms\]"):
        wiring.open_keyring(settings)
