"""RFC 3161 time-stamps over checkpoints: a local `openssl ts` authority, verified by rfc3161-client."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows import evidence, timestamps
from flows.wiring import Runtime
from tasks.errors import UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.policy import Policy, parse_policy, policy_text
from tasks.export.bundle import export_bundle
from tasks.log import cosign
from tasks.storage.local import LocalStore
from tasks.verify import Report, Verdict, ZipReader, verify
from tasks.verify.timestamps import check_token, read_certificates
from tests.support.auditor import auditor
from tests.support.authority import Authority, answering
from tests.support.deployment import deployment
from tests.support.sealed_store import LATER, YEAR, SealedStore, signer, verifiers_of
from tests.support.witnesses import make_witness, witness_signer

PLAIN = parse_policy(policy_text([signer().vkey]))
WITNESSED = parse_policy(policy_text([signer().vkey], {"w1": (witness_signer().vkey, "http://127.0.0.1:1")}))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "two", "stranger")


@pytest.fixture
def sealed(local_store: LocalStore) -> SealedStore:
    store = SealedStore(local_store).open()
    store.add("app", date(2026, 11, 1))
    return store.sign()


def runtime_of(sealed: SealedStore, tmp_path: Path, url: str, **options: Any) -> Runtime:
    timestamps = {"url": url, "timeout_s": 20, **options.pop("timestamps", {})}
    return deployment(sealed.store, tmp_path / "state", timestamps=timestamps, **options)


def found(report: Report, verdict: Verdict) -> set[str]:
    return {finding.reason for finding in report.findings if finding.verdict is verdict}


def verified(store: LocalStore, policy: Policy, authority: Authority | None) -> Report:
    trusted = None if authority is None else read_certificates(authority.certificates)
    return verify(evidence.StoreReader(store), policy, authority=trusted)


def put(store: LocalStore, token: bytes, size: int = 2) -> None:
    store.create(paths.timestamp_at(YEAR, size), token, retain_until=LATER)


def test_a_cosigned_checkpoint_is_stamped_once_and_verified(
    sealed: SealedStore, authority: Authority, tmp_path: Path
) -> None:
    witness = make_witness(tmp_path, lambda: [signer().verifier])
    member = {"w1": {"url": "http://127.0.0.1:1", "vkey": witness_signer().vkey}}
    certificates = {"certificates": str(authority.certificates)}
    with answering(authority) as url:
        runtime = runtime_of(sealed, tmp_path, url, witness={"members": member}, timestamps=certificates)
        waiting = timestamps.stamp_shard(runtime, YEAR)
        assert waiting == timestamps.Stamped(None, "no checkpoint is cosigned yet")
        cosign.cosign(sealed.store, YEAR, WITNESSED, {"w1": witness.add_checkpoint}, LATER)
        started = datetime.now(UTC).replace(microsecond=0)
        assert timestamps.stamp_shard(runtime, YEAR) == timestamps.Stamped(2)
        token = sealed.store.read(paths.timestamp_at(YEAR, 2))
        assert timestamps.stamp_shard(runtime, YEAR) == timestamps.Stamped(2)
    assert sealed.store.read(paths.timestamp_at(YEAR, 2)) == token
    cosigned = sealed.store.read(paths.cosigned_at(YEAR, 2))
    assert authority.accepts(cosigned, token)
    report = verified(sealed.store, WITNESSED, authority)  # type: ignore[arg-type]
    assert (report.ok, report.findings) == (True, ())
    stamp = report.shards[0].timestamp
    assert stamp is not None
    assert (stamp["size"], stamp["trusted"]) == (2, True)
    assert started <= datetime.fromisoformat(stamp["time"]) <= datetime.now(UTC)
    bundle = tmp_path / "bundle.zip"
    month = date(2026, 11, 1), date(2026, 11, 30)
    export_bundle(sealed.store, bundle, *month, verifiers_of, witnesses=WITNESSED)
    handed = verify(ZipReader(bundle), WITNESSED, authority=read_certificates(authority.certificates))
    assert handed.ok, handed.findings
    assert handed.shards[0].timestamp == stamp


def test_an_authority_that_is_down_delays_the_stamp_and_nothing_else(
    sealed: SealedStore, authority: Authority, tmp_path: Path
) -> None:
    runtime = runtime_of(sealed, tmp_path, "http://127.0.0.1:1/")
    failed = timestamps.stamp_shard(runtime, YEAR)
    assert failed is not None
    assert (failed.size, failed.problem[:20]) == (None, "it cannot be reached")
    with answering(authority) as url:
        assert timestamps.stamp_shard(runtime_of(sealed, tmp_path, url), YEAR) == timestamps.Stamped(2)


def test_a_stamp_of_another_authority_is_not_stored(
    sealed: SealedStore, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    with answering(stranger) as url:
        certificates = {"certificates": str(authority.certificates)}
        refused = timestamps.stamp_shard(runtime_of(sealed, tmp_path, url, timestamps=certificates), YEAR)
    assert refused is not None
    assert refused.problem.startswith("timestamp-bad")
    assert list(sealed.store.list(paths.timestamps_prefix(YEAR))) == []


def test_what_no_certificate_was_given_for_is_not_measured(
    sealed: SealedStore, authority: Authority, local_store: LocalStore
) -> None:
    put(local_store, authority.stamp(local_store.read(paths.checkpoint_at(YEAR, 2))))
    report = verified(local_store, PLAIN, None)
    assert report.ok
    assert found(report, Verdict.NOT_MEASURED) == {"timestamps-not-measured"}
    assert report.shards[0].timestamp is not None
    assert report.shards[0].timestamp["trusted"] is False


def test_a_log_without_the_stamp_that_is_asked_for_lacks_it(
    sealed: SealedStore, authority: Authority, local_store: LocalStore
) -> None:
    assert found(verified(local_store, PLAIN, authority), Verdict.MISSING) == {"timestamp-missing"}
    assert verified(local_store, PLAIN, None).findings == ()


@pytest.mark.parametrize("attack", ["other bytes", "other authority", "flipped", "cut", "empty"])
def test_a_stamp_that_does_not_hold_is_a_finding(
    sealed: SealedStore, authority: Authority, stranger: Authority, local_store: LocalStore, attack: str
) -> None:
    note = local_store.read(paths.checkpoint_at(YEAR, 2))
    token = authority.stamp(note + b"x" if attack == "other bytes" else note)
    forged = {
        "other authority": stranger.stamp(note),
        "flipped": token[:-1] + bytes([token[-1] ^ 1]),
        "cut": token[:-10],
        "empty": b"",
    }
    put(local_store, forged.get(attack, token))
    report = verified(local_store, PLAIN, authority)
    assert found(report, Verdict.CHANGED) == {"timestamp-bad"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_bytes_are_a_bad_stamp_or_the_true_one(authority: Authority, data: st.DataObject) -> None:
    token = bytearray(TOKENS.setdefault("token", authority.stamp(b"note")))
    trusted = read_certificates(authority.certificates)
    digest = [hashlib.sha256(b"note").digest()]
    time = check_token(bytes(token), digest, trusted)
    for position in data.draw(st.lists(st.integers(0, len(token) - 1), min_size=1, max_size=4)):
        token[position] = data.draw(st.integers(0, 255))
    try:
        found, reason = check_token(bytes(token), digest, trusted), "timestamp-bad"
    except VerificationError as error:
        found, reason = time, error.reason
    assert (found, reason) == (time, "timestamp-bad")


TOKENS: dict[str, bytes] = {}


def test_the_auditor_checks_stamps_with_the_authority_s_certificates(
    sealed: SealedStore, authority: Authority, stranger: Authority, local_store: LocalStore, tmp_path: Path
) -> None:
    put(local_store, authority.stamp(local_store.read(paths.checkpoint_at(YEAR, 2))))
    copy = shutil.copytree(tmp_path / "store", tmp_path / "copy")
    policy = tmp_path / "policy"
    policy.write_text(policy_text([signer().vkey]))
    judged = auditor(copy, "--policy", policy, "--tsa-certificates", authority.certificates, "--json")
    assert judged.returncode == 0, judged.stdout
    assert json.loads(judged.stdout)["shards"][0]["timestamp"]["trusted"] is True
    refused = auditor(copy, "--policy", policy, "--tsa-certificates", stranger.certificates)
    assert refused.returncode == 6
    assert "timestamp-bad" in refused.stdout
    shown = auditor(copy, "--policy", policy)
    assert shown.returncode == 0
    assert "signer not checked" in shown.stdout


def test_the_auditor_without_the_package_is_told_that_stamps_were_not_measured(
    sealed: SealedStore, authority: Authority, local_store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(local_store, authority.stamp(local_store.read(paths.checkpoint_at(YEAR, 2))))
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    report = verified(local_store, PLAIN, authority)
    assert report.ok
    assert found(report, Verdict.NOT_MEASURED) == {"timestamps-not-measured"}


def test_certificates_must_lead_to_a_self_signed_one(authority: Authority, tmp_path: Path) -> None:
    read = read_certificates(authority.certificates)
    assert (len(read.roots), len(read.intermediates), len(read.signers)) == (1, 0, 1)
    with pytest.raises(UsageError, match="no self-signed certificate"):
        read_certificates(authority.directory / "signer.pem")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(UsageError, match="holds no certificates"):
        read_certificates(tmp_path / "junk")
