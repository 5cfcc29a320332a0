"""Witnesses over real HTTP: cosigned checkpoints, outages, forks, stripped and stale cosignatures, proofs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import evidence, keys, pipeline, witnessing
from flows.cli.app import app
from flows.entries import append_entry
from flows.holding import Order
from flows.outbound import post
from flows.receipts import CheckpointReceipt
from flows.shards import log_keys
from flows.trust import own_policy
from flows.wiring import Runtime
from flows.witness import WitnessServer, make_key
from tasks.errors import (
    KeyUnavailableError,
    NotFoundError,
    StoreUnavailableError,
    UsageError,
    VerificationError,
)
from tasks.evidence import paths
from tasks.evidence import proof as record_proof
from tasks.evidence.note import CosignatureVerifier
from tasks.evidence.policy import Policy, parse_policy, policy_text
from tasks.export.bundle import export_bundle
from tasks.export.prove import prove
from tasks.log import cosign, reader, writer
from tasks.storage.local import LocalStore
from tasks.verify import DirectoryReader, Report, Verdict, ZipReader, verify
from tasks.verify.witnessed import Freshness
from tasks.witness.memory import Memory
from tasks.witness.request import MAX_REQUEST_BYTES
from tasks.witness.service import Witness
from tests.support.auditor import auditor
from tests.support.deployment import deployment
from tests.support.logs import WITNESSED_AT
from tests.support.sealed_store import LATER, YEAR, SealedStore, signer, verifiers_of
from tests.support.witnesses import make_witness, serving, witness_signer

ORIGIN = "audit.example/test"
OTHER = witness_signer("other")
AUDIT = {
    "enforced": True,
    "findings": [],
    "kind": "worm-probe",
    "server": "",
    "software": "test",
    "store": "x",
}


def members(**servers: WitnessServer | str) -> dict[str, Any]:
    return {
        name: {"url": at if isinstance(at, str) else at.url, "vkey": witness_signer(name).vkey}
        for name, at in servers.items()
    }


def deployed(tmp_path: Path, **witness: Any) -> Runtime:
    store = LocalStore(tmp_path / "store")
    return deployment(store, tmp_path / "state", witness={"timeout_s": 5, **witness})


def grow(runtime: Runtime) -> CheckpointReceipt:
    """Seal one entry and publish."""
    with runtime.catalog() as catalog:
        append_entry(runtime, catalog, "audit", AUDIT)
        return pipeline.publish(runtime, catalog)


def twin(runtime: Runtime, store: Path) -> Runtime:
    """A deployment with the same keys and settings, on another store."""
    settings = runtime.settings.model_copy(update={"state": store.with_suffix(".state")})
    return Runtime(settings, LocalStore(store), runtime.keyring)


def year(runtime: Runtime) -> int:
    return runtime.store.now().year


def witness_for(tmp_path: Path, runtime: Runtime, name: str = "w1", **options: Any) -> Witness:
    """A witness that trusts the deployment's logs and has the store's clock."""
    directory = tmp_path / "witnesses"
    directory.mkdir(exist_ok=True)
    return make_witness(
        directory,
        lambda: [key for y in reader.shards(runtime.store) for key in log_keys(runtime, y)],
        name,
        **{"clock": lambda: runtime.store.now().timestamp(), **options},
    )


def reasons_of(report: Report, verdict: Verdict) -> set[str]:
    return {finding.reason for finding in report.findings if finding.verdict is verdict}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def down() -> str:
    """Where nobody answers."""
    return f"http://127.0.0.1:{free_port()}"


def test_a_published_checkpoint_is_cosigned_and_verification_says_so(tmp_path: Path) -> None:
    port = free_port()
    runtime = deployed(tmp_path, members=members(w1=f"http://127.0.0.1:{port}/"))
    with serving(witness_for(tmp_path, runtime), port):
        receipts = [grow(runtime) for _ in range(3)]
    assert [receipt.witnessed for receipt in receipts] == [2, 3, 4]
    assert receipts[-1].unwitnessed == {}
    policy = own_policy(runtime)
    for path in (paths.checkpoint(year(runtime)), paths.cosigned_at(year(runtime), 4)):
        assert policy.open_checkpoint(runtime.store.read(path)).size == 4
    log_signed = runtime.store.read(paths.checkpoint_at(year(runtime), 4))
    assert log_signed.count("—".encode()) == 1
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    assert report.shards[0].witnessed is not None
    assert report.shards[0].witnessed["size"] == 4
    assert parse_policy(runtime.store.read(paths.policy(year(runtime)))).asks_for_witnesses
    state = witnessing.state(runtime, year(runtime))
    assert state is not None
    assert witnessing.sentence(runtime, state).startswith("witnesses vouch for 4 entries, seen 0 h 0 min")


def test_a_key_is_rotated_and_a_log_given_up_under_the_eyes_of_a_witness(tmp_path: Path) -> None:
    port = free_port()
    runtime = deployed(tmp_path, members=members(w1=f"http://127.0.0.1:{port}"))
    order = Order("officer", "clerk", "test")
    with serving(witness_for(tmp_path, runtime), port):
        grow(runtime)
        assert keys.rotate(runtime, order)[1].witnessed == 3
        assert keys.finish(runtime, order)[1].witnessed == 4
        assert evidence.verify_store(runtime).ok
        grow(runtime)
        keys.compromise(runtime, order, 4)
        receipt = grow(runtime)
    assert (receipt.witnessed, receipt.unwitnessed) == (receipt.size, {})
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    assert [shard.witnessed and shard.witnessed["size"] for shard in report.shards] == [4, receipt.size]


def test_status_and_verify_show_how_fresh_the_cosignature_is(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    runtime = deployed(tmp_path, members=members(w1=url))
    with serving(witness_for(tmp_path, runtime), port):
        grow(runtime)
    environment = {
        "INDELIBLE_STATE": str(tmp_path / "state"),
        "INDELIBLE_STORE__URI": (tmp_path / "store").as_uri(),
        "INDELIBLE_LOG__ORIGIN": ORIGIN,
        "INDELIBLE_WITNESS__MEMBERS__W1__URL": url,
        "INDELIBLE_WITNESS__MEMBERS__W1__VKEY": witness_signer().vkey,
    }
    status = CliRunner().invoke(app, ["status"], env=environment)
    assert "witnesses vouch for 2 entries, seen 0 h 0 min ago" in status.stdout
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"], env=environment).stdout)
    assert shown["witnessed"][str(year(runtime))]["size"] == 2
    checked = CliRunner().invoke(app, ["verify"], env=environment)
    assert checked.exit_code == 0
    assert "witnesses vouch for 2 entries" in checked.stdout
    without_witness = CliRunner().invoke(
        app, ["verify", "--json"], env={**environment, "INDELIBLE_WITNESS__MEMBERS__W1__VKEY": OTHER.vkey}
    )
    assert "witness-quorum-missing" in without_witness.stdout
    assert without_witness.exit_code == VerificationError.exit_code


def test_a_witness_that_is_down_delays_the_cosignature_and_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    runtime = deployed(tmp_path, members=members(w1=f"http://127.0.0.1:{port}"))
    first = grow(runtime)
    assert (first.size, first.witnessed) == (2, None)
    assert first.unwitnessed["w1"].startswith("it cannot be reached")
    assert reasons_of(evidence.verify_store(runtime), Verdict.MISSING) == {"witness-quorum-missing"}
    with serving(witness_for(tmp_path, runtime), port):
        assert grow(runtime).witnessed == 3
    late = grow(runtime)
    assert (late.size, late.witnessed) == (4, 3)
    report = evidence.verify_store(runtime)
    assert report.ok, report.findings
    assert reasons_of(report, Verdict.NOT_SEALED_YET) == {"witness-quorum-missing"}
    with serving(witness_for(tmp_path, runtime), port), runtime.catalog() as catalog:
        assert pipeline.publish(runtime, catalog).witnessed == 4
    assert not evidence.verify_store(runtime).findings


def test_a_quorum_of_one_is_reached_while_the_other_is_down(tmp_path: Path, down: str) -> None:
    runtime = deployed(tmp_path, members=members(w1=down, w2="http://127.0.0.1:1"), quorum=1)
    with serving(witness_for(tmp_path, runtime, "w2")) as w2:
        asked = runtime.settings.model_copy(
            update={"witness": type(runtime.settings.witness)(members=members(w1=down, w2=w2), quorum=1)}
        )
        runtime = Runtime(asked, runtime.store, runtime.keyring)
        receipt = grow(runtime)
    assert receipt.witnessed == 2
    assert set(receipt.unwitnessed) == {"w1"}
    assert evidence.verify_store(runtime).ok


def test_a_history_rewritten_with_the_key_is_refused_and_the_witness_keeps_both_notes(tmp_path: Path) -> None:
    port = free_port()
    runtime = deployed(tmp_path, members=members(w1=f"http://127.0.0.1:{port}"))
    with serving(witness_for(tmp_path, runtime), port):
        grow(runtime)
        grow(runtime)
        forged = twin(runtime, tmp_path / "forged")
        with forged.catalog() as catalog:
            for _ in range(3):
                append_entry(forged, catalog, "audit", {**AUDIT, "software": "forger"})
            receipt = pipeline.publish(forged, catalog)
    assert (receipt.witnessed, receipt.contradicted) == (None, True)
    assert "another history" in receipt.unwitnessed["w1"]
    kept = Memory(tmp_path / "witnesses" / "w1.sqlite").contradictions()
    assert [(one.cosigned, one.claimed) for one in kept] == [
        (
            runtime.store.read(paths.checkpoint_at(year(runtime), 3)),
            reader.newest_note(forged.store, year(runtime)),
        )
    ]
    assert reasons_of(evidence.verify_store(forged), Verdict.MISSING) == {"witness-quorum-missing"}


def test_a_store_that_was_set_back_is_noticed_by_the_witness(tmp_path: Path) -> None:
    port = free_port()
    runtime = deployed(tmp_path, members=members(w1=f"http://127.0.0.1:{port}"))
    with serving(witness_for(tmp_path, runtime), port):
        grow(runtime)
        shutil.copytree(tmp_path / "store", tmp_path / "older")
        grow(runtime)
        grow(runtime)
        older = twin(runtime, tmp_path / "older")
        receipt = grow(older)
    assert receipt.contradicted
    assert "it has seen 4 entries" in receipt.unwitnessed["w1"]


def test_a_witness_that_lost_its_memory_is_not_counted_any_more(
    sealed: SealedStore, witness: Witness, tmp_path: Path
) -> None:
    ask(sealed, witness)
    sealed.add("app", date(2026, 11, 2))
    sealed.sign()
    (tmp_path / "w1.sqlite").unlink()
    state = ask(sealed, make_witness(tmp_path, lambda: [signer().verifier]))
    assert (state.size, state.contradicted) == (2, True)
    assert state.problems["w1"].startswith("it has forgotten that it cosigned 2 entries")


def test_a_runner_that_was_faster_is_no_contradiction(sealed: SealedStore, witness: Witness) -> None:
    def overtaken(body: bytes) -> Any:
        if not sealed.sealed[1:]:
            sealed.add("app", date(2026, 11, 2))
            sealed.sign()
            assert ask(sealed, witness).size == 3
        return witness.add_checkpoint(body)

    state = cosign.cosign(sealed.store, YEAR, policy("w1"), {"w1": overtaken}, LATER)
    assert (state.size, state.contradicted) == (3, False)
    assert state.problems == {"w1": "it has seen 3 entries, and this log shows 2"}


# In this process, on a log with real batches


@pytest.fixture
def sealed(local_store: LocalStore) -> SealedStore:
    """Two batches; the first is under a checkpoint of its own."""
    store = SealedStore(local_store).open()
    store.add("app", date(2026, 11, 1))
    store.sign()
    return store


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return make_witness(tmp_path, lambda: [signer().verifier])


def policy(*names: str) -> Policy:
    witnesses = [f"witness {name} {witness_signer(name).vkey}\n" for name in names]
    group = f"group all-of-them all {' '.join(names)}\nquorum all-of-them\n"
    return parse_policy(f"log {signer().vkey}\n{''.join(witnesses)}{group}")


def ask(sealed: SealedStore, witness: Witness, **options: Any) -> cosign.Witnessed:
    return cosign.cosign(sealed.store, YEAR, policy("w1"), {"w1": witness.add_checkpoint}, LATER, **options)


def copied(sealed: SealedStore, tmp_path: Path) -> Path:
    assert isinstance(sealed.store, LocalStore)
    root = tmp_path / "store"
    return Path(shutil.copytree(root, tmp_path / "copy"))


def test_stripped_cosignatures_are_missed(sealed: SealedStore, witness: Witness, tmp_path: Path) -> None:
    ask(sealed, witness)
    copy = copied(sealed, tmp_path)
    assert verify(DirectoryReader(copy), policy("w1")).ok
    plain = (copy / paths.checkpoint_at(YEAR, 2)).read_bytes()
    (copy / paths.checkpoint(YEAR)).write_bytes(plain)
    assert verify(DirectoryReader(copy), policy("w1")).ok, "cosigned/ still has it"
    (copy / paths.cosigned_at(YEAR, 2)).write_bytes(plain)
    stripped = verify(DirectoryReader(copy), policy("w1"))
    assert reasons_of(stripped, Verdict.MISSING) == {"witness-quorum-missing"}
    (copy / paths.cosigned_at(YEAR, 2)).unlink()
    (tmp_path / "policy").write_text(f"log {signer().vkey}\nwitness w1 {witness_signer().vkey}\nquorum w1\n")
    judged = auditor(copy, "--policy", tmp_path / "policy", "--json")
    assert judged.returncode == 6
    assert {f["reason"] for f in json.loads(judged.stdout)["findings"]} == {"witness-quorum-missing"}


def test_a_copy_whose_newest_checkpoint_is_not_cosigned_does_not_hold(
    sealed: SealedStore, witness: Witness
) -> None:
    ask(sealed, witness)
    sealed.add("app", date(2026, 11, 2))
    sealed.sign()
    view = evidence.StoreReader(sealed.store)
    copy = verify(view, policy("w1"))
    assert reasons_of(copy, Verdict.MISSING) == {"witness-quorum-missing"}
    live = verify(view, policy("w1"), freshness=Freshness(WITNESSED_AT + 60, 60))
    assert live.ok
    stale = verify(view, policy("w1"), freshness=Freshness(WITNESSED_AT + 61, 60))
    assert reasons_of(stale, Verdict.MISSING) == {"witness-stale"}


def test_a_log_without_news_is_shown_to_the_witness_again(sealed: SealedStore, tmp_path: Path) -> None:
    clock = iter([WITNESSED_AT, WITNESSED_AT + 500])
    witness = make_witness(tmp_path, lambda: [signer().verifier], clock=lambda: next(clock))
    assert ask(sealed, witness).at == WITNESSED_AT
    stored = sealed.store.read(paths.cosigned_at(YEAR, 2))
    assert ask(sealed, witness, renew_before=WITNESSED_AT).at == WITNESSED_AT
    assert ask(sealed, witness, renew_before=WITNESSED_AT + 1).at == WITNESSED_AT + 500
    assert sealed.store.read(paths.cosigned_at(YEAR, 2)) == stored
    report = verify(
        evidence.StoreReader(sealed.store), policy("w1"), freshness=Freshness(WITNESSED_AT + 550, 60)
    )
    assert report.ok, report.findings


def test_the_pointer_is_cosigned_again_after_a_slower_process_moved_it(
    sealed: SealedStore, witness: Witness
) -> None:
    ask(sealed, witness)
    sealed.store.replace(paths.checkpoint(YEAR), sealed.store.read(paths.checkpoint_at(YEAR, 2)))
    ask(sealed, witness)
    assert policy("w1").open_checkpoint(sealed.store.read(paths.checkpoint(YEAR))).size == 2


def test_no_part_of_a_quorum_is_stored(sealed: SealedStore, witness: Witness) -> None:
    def silent(body: bytes) -> Any:
        raise StoreUnavailableError("down")

    both = policy("w1", "w2")
    posts = {"w1": witness.add_checkpoint, "w2": silent}
    assert cosign.cosign(sealed.store, YEAR, both, posts, LATER).size is None
    assert list(sealed.store.list(paths.cosigned_prefix(YEAR))) == []


def test_a_witness_whose_answer_is_of_another_key_has_not_cosigned(
    sealed: SealedStore, tmp_path: Path
) -> None:
    other = make_witness(tmp_path, lambda: [signer().verifier], "w2")
    assert ask(sealed, other).problems == {"w1": "its answer bears no cosignature of its key"}


def test_a_cosigned_tree_that_is_no_beginning_of_the_log_is_a_finding(
    sealed: SealedStore, witness: Witness, tmp_path: Path
) -> None:
    ask(sealed, witness)
    copy = copied(sealed, tmp_path)
    forged = SealedStore(LocalStore(tmp_path / "forged")).open()
    forged.add("gateway", date(2026, 11, 1))
    for _ in range(2):
        forged.add("gateway", date(2026, 11, 2))
    forged.sign()
    other = tmp_path / "other"
    other.mkdir()
    cosign.cosign(
        forged.store, YEAR, policy("w1"),
        {"w1": make_witness(other, lambda: [signer().verifier]).add_checkpoint}, LATER,
    )  # fmt: skip
    (copy / paths.cosigned_at(YEAR, 4)).write_bytes(forged.store.read(paths.cosigned_at(YEAR, 4)))
    report = verify(DirectoryReader(copy), policy("w1"))
    assert reasons_of(report, Verdict.CHANGED) == {"checkpoint-inconsistent"}


def test_a_log_that_was_given_up_is_witnessed_up_to_the_size_that_is_still_trusted(
    sealed: SealedStore, witness: Witness
) -> None:
    ask(sealed, witness)
    sealed.add("app", date(2026, 11, 2))
    sealed.sign()
    assert ask(sealed, witness).size == 3
    member = {"w1": (witness_signer().vkey, "http://127.0.0.1:1")}
    limited = parse_policy(policy_text([signer().vkey], member, limits={signer().vkey: 2}))
    newest = cosign.newest_witnessed(sealed.store, YEAR, limited)
    assert newest is not None
    assert newest[1:] == (2, WITNESSED_AT)
    report = verify(evidence.StoreReader(sealed.store), limited)
    assert report.shards[0].witnessed == {"size": 2, "at": "2026-09-21T14:13:20Z"}
    assert not reasons_of(report, Verdict.MISSING)
    assert "checkpoint-beyond-limit" not in reasons_of(report, Verdict.CHANGED)
    record = f"{sealed.sealed[0].entry['files'][0]['sha256'][:32]}-1"
    assert prove(sealed.store, record, verifiers_of, limited).size == 2


def test_proofs_and_bundles_lead_to_a_cosigned_checkpoint(
    sealed: SealedStore, witness: Witness, tmp_path: Path
) -> None:
    record = f"{sealed.sealed[0].entry['files'][0]['sha256'][:32]}-1"
    with pytest.raises(NotFoundError, match="no checkpoint covers it yet"):
        prove(sealed.store, record, verifiers_of, policy("w1"))
    ask(sealed, witness)
    sealed.add("app", date(2026, 11, 2))
    sealed.sign()
    later = f"{sealed.sealed[1].entry['files'][0]['sha256'][:32]}-1"
    proven = record_proof.parse(prove(sealed.store, record, verifiers_of, policy("w1")).data)
    assert record_proof.check(proven, policy("w1"))
    plain = record_proof.parse(prove(sealed.store, later, verifiers_of).data)
    with pytest.raises(VerificationError, match="witness-quorum-missing"):
        record_proof.check(plain, policy("w1"))
    with pytest.raises(NotFoundError, match="no checkpoint covers it yet"):
        prove(sealed.store, later, verifiers_of, policy("w1"))
    bundle = tmp_path / "bundle.zip"
    export_bundle(
        sealed.store, bundle, date(2026, 11, 1), date(2026, 11, 30), verifiers_of, witnesses=policy("w1")
    )
    report = verify(ZipReader(bundle), policy("w1"))
    assert report.ok, report.findings
    assert report.shards[0].size == 2
    page = ZipReader(bundle).read("report.html").decode()
    assert "Whether the witnesses (witness.example/w1) are independent" in page
    assert "No witness has cosigned" not in page


# The service


def served(witness: Witness) -> Iterator[WitnessServer]:
    with serving(witness) as server:
        yield server


@pytest.fixture
def server(witness: Witness) -> Iterator[WitnessServer]:
    yield from served(witness)


def test_one_connection_carries_many_requests(server: WitnessServer) -> None:
    connection = HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[arg-type]
    statuses = []
    for _ in range(3):
        connection.request("POST", "/add-checkpoint", b"old 0\n")
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [400, 400, 400]


def test_what_is_no_request_is_refused_before_it_is_read(server: WitnessServer) -> None:
    def status(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
        connection = HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[arg-type]
        connection.putrequest(method, path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    assert status("POST", "/add-checkpoint", {"Content-Length": str(MAX_REQUEST_BYTES + 1)}) == 413
    assert status("POST", "/add-checkpoint", {}) == 400
    assert status("POST", "/add-checkpoint", {"Content-Length": "-1"}) == 400
    assert status("POST", "/add-checkpoint", {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n") == 400
    assert status("POST", "/", {"Content-Length": "0"}) == 404
    assert status("GET", "/add-checkpoint", {}) == 501


def test_an_answer_that_is_too_large_is_no_answer(server: WitnessServer) -> None:
    url = f"{server.url}/add-checkpoint"
    assert post(url, b"old 0\n", "text/plain", 5).status == 400
    with pytest.raises(UsageError):
        post("ftp://witness.example", b"", "text/plain", 5)


def test_a_key_is_made_once(tmp_path: Path) -> None:
    vkey = make_key(tmp_path / "w", "witness.example/w9", b"secret")
    assert CosignatureVerifier.from_vkey(vkey).name == "witness.example/w9"
    assert make_key(tmp_path / "w", "witness.example/w9", b"secret") == vkey
    with pytest.raises(UsageError, match="has the key of"):
        make_key(tmp_path / "w", "witness.example/other", b"secret")
    with pytest.raises(KeyUnavailableError):
        make_key(tmp_path / "w", "witness.example/w9", b"wrong")
    assert (tmp_path / "w" / "witness.pem").stat().st_mode & 0o077 == 0


def test_the_command_serves_a_witness_with_its_own_key(sealed: SealedStore, tmp_path: Path) -> None:
    vkey = make_key(tmp_path / "w", "witness.example/w1", None)
    logs = tmp_path / "logs"
    logs.write_text(f"log {signer().vkey}\nquorum none\n")
    command = [str(Path(sys.executable).with_name("indelible")), "witness", "serve", "--port", "0"]
    options = ["--directory", str(tmp_path / "w"), "--logs", str(logs)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            trusted = parse_policy(f"log {signer().vkey}\nwitness w1 {vkey}\nquorum w1\n")

            def send(body: bytes) -> Any:
                return post(f"{url}/add-checkpoint", body, "text/plain", 10)

            state = cosign.cosign(sealed.store, YEAR, trusted, {"w1": send}, LATER)
        finally:
            process.terminate()
    assert (state.size, state.problems) == (2, {})
    assert writer.integrate(sealed.store, YEAR, signer(), LATER).size == 2
