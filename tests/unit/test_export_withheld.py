"""Evidence with the person withheld: it verifies, what is public cannot be changed, who is meant cannot be told."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from tasks.errors import UsageError, VerificationError
from tasks.evidence import paths, proof
from tasks.evidence.canonical import canonical_json
from tasks.evidence.policy import Policy
from tasks.evidence.rows import salts
from tasks.evidence.tlog_proof import parse_tlog_proof
from tasks.export.prove import prove
from tasks.export.withheld import Withheld, export_withheld
from tasks.storage.local import LocalStore
from tasks.verify.readers import ZipReader
from tasks.verify.report import Report, Verdict
from tasks.verify.withheld import verify_withheld
from tests.support.auditor import auditor
from tests.support.sealed_store import SIGNER, SealedStore, verifiers_of

DAY, NEXT = date(2026, 11, 1), date(2026, 11, 2)
POLICY = Policy((SIGNER.verifier,), {}, {}, "none")
TEAMS = ("team-a", "team-b", "team-c", "team-d")


@pytest.fixture
def sealed(local_store: LocalStore) -> SealedStore:
    """Two sources and two days; each record's user is one of four teams."""
    made = SealedStore(local_store, column=("user", TEAMS)).open()
    made.add("gateway", DAY, 7)
    made.add("app", DAY, 4)
    made.add("gateway", NEXT, 5)
    return made.sign()


@pytest.fixture
def bundle(sealed: SealedStore, tmp_path: Path) -> Path:
    export(sealed, tmp_path / "public.zip")
    return tmp_path / "public.zip"


def export(sealed: SealedStore, target: Path, until: date = DAY) -> Withheld:
    return export_withheld(sealed.store, target, DAY, until, verifiers_of)


def verified(archive: Path, policy: Policy = POLICY) -> Report:
    return verify_withheld(ZipReader(archive), policy, lambda *_: None)


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def rewritten(archive: Path, changed: dict[str, bytes | None], *, listed: bool = True) -> Path:
    """The bundle with other members (None: without it), and with a manifest that fits them."""
    content = {name: data for name, data in (members(archive) | changed).items() if data is not None}
    if listed:
        manifest = json.loads(content["bundle.json"])
        manifest["objects"] = [
            {"bytes": len(data), "path": name, "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in content.items()
            if name != "bundle.json"
        ]
        content["bundle.json"] = json.dumps(manifest).encode()
    target = archive.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as bundle:
        for name, data in content.items():
            bundle.writestr(name, data)
    return target


def public_files(archive: Path) -> dict[str, bytes]:
    return {name: data for name, data in members(archive).items() if name.startswith("public/")}


def reasons(report: Report) -> set[str]:
    return {finding.reason for finding in report.findings if finding.verdict is not Verdict.NOT_MEASURED}


def everything_in(archive: Path) -> Iterator[bytes]:
    """Each member, and each Parquet value, name and metadata as text."""
    for name, data in members(archive).items():
        yield data
        if name.endswith(".parquet"):
            yield pl.read_parquet(io.BytesIO(data)).write_json().encode()
            yield repr(pq.ParquetFile(io.BytesIO(data)).metadata.metadata).encode()


def test_it_verifies_and_says_what_it_does_not_measure(bundle: Path) -> None:
    report = verified(bundle)
    assert report.ok, report.findings
    assert report.verdict is Verdict.NOT_MEASURED
    assert {finding.reason for finding in report.findings} == {"person-withheld"}
    assert (report.counted["entries"], report.counted["rows"]) == (2, 11)
    assert [(shard.size, shard.signed) for shard in report.shards] == [(4, True)]


def test_the_public_columns_are_there_and_the_personal_ones_are_not(bundle: Path) -> None:
    for data in public_files(bundle).values():
        frame = pl.read_parquet(io.BytesIO(data))
        assert {"_time", "_line", "_drop", "ok", "_p"} <= set(frame.columns)
        assert {"user", "_extra", "_offset", "_fingerprint"}.isdisjoint(frame.columns)
        assert frame["_p"].n_unique() == frame.height


def test_nobody_is_in_it(sealed: SealedStore, bundle: Path) -> None:
    content = b"\n".join(everything_in(bundle))
    assert b"team-" not in content
    for batch in sealed.sealed:
        for facts in batch.entry["files"]:
            metadata = pq.read_metadata(io.BytesIO(sealed.store.read(facts["path"]))).metadata
            hidden = bytes.fromhex(metadata[b"indelible.personal_salt_seed"].decode())
            assert hidden not in content
            assert hidden.hex().encode() not in content
            assert salts(hidden, 0, 1).hex().encode() not in content
    names = set(members(bundle))
    assert not [
        name for name in names if name.startswith(("data/", "ledger/", "quarantine/", "gate/", "log/"))
    ]
    assert all(name.endswith(("-1.json", "-2.json")) for name in names if name.startswith("entries/"))


def test_one_of_four_values_cannot_be_guessed(sealed: SealedStore, bundle: Path) -> None:
    """Whoever has the bundle knows all but the user, and has every salt and seed that stands in it."""
    facts = sealed.sealed[0].entry["files"][0]
    data = members(bundle)[paths.public_file("gateway", DAY.isoformat(), facts["sha256"])]
    seed = bytes.fromhex(pq.read_metadata(io.BytesIO(data)).metadata[b"indelible.salt_seed"].decode())
    row = pl.read_parquet(io.BytesIO(data)).row(0, named=True)
    truth = pl.read_parquet(io.BytesIO(sealed.store.read(facts["path"]))).row(0, named=True)
    hidden = pq.read_metadata(io.BytesIO(sealed.store.read(facts["path"]))).metadata[
        b"indelible.personal_salt_seed"
    ]
    personal = sealed.sealed[0].entry["personal"]

    def hits(known_salts: list[bytes]) -> set[str]:
        return {
            team
            for team in TEAMS
            for salt in known_salts
            if guess({name: truth[name] for name in personal} | {"user": team}, salt) == row["_p"]
        }

    def guess(group: dict[str, Any], salt: bytes) -> str:
        return hashlib.sha256(b"\x02" + canonical_json({**group, "_s": salt.hex()})).hexdigest()

    assert hits([salts(bytes.fromhex(hidden.decode()), 0, 1)]) == {truth["user"]}, "the attempt would succeed"
    assert hits([*(salts(seed, place, 1) for place in range(10)), bytes(16), seed[:16], seed[16:]]) == set()


@pytest.mark.parametrize("column", ["ok", "_time", "_p"])
def test_a_changed_public_value_is_found(bundle: Path, column: str) -> None:
    path, data = next(iter(public_files(bundle).items()))
    table = pq.read_table(io.BytesIO(data))
    metadata = pq.read_metadata(io.BytesIO(data)).metadata
    column_values = table[column].to_pylist()
    column_values[0], column_values[1] = column_values[1], column_values[0]
    place = table.schema.get_field_index(column)
    changed = table.set_column(place, column, [column_values])
    changed = changed.cast(table.schema).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    pq.write_table(changed, sink)
    report = verified(rewritten(bundle, {path: sink.getvalue()}))
    assert reasons(report) == {"file-root-mismatch"}


def test_each_part_that_is_lost_or_foreign_is_named(bundle: Path) -> None:
    content = members(bundle)
    public, *_ = public_files(bundle)
    entry = next(name for name in content if name.startswith("entries/"))
    evidence = next(name for name in content if name.startswith("proofs/"))
    contract = next(name for name in content if name.startswith("contracts/"))
    other = content[entry].replace(b'"source_seq":0', b'"source_seq":1')
    cases: list[tuple[dict[str, bytes | None], bool, set[str]]] = [
        ({public: None}, False, {"bundle-object", "object-missing"}),
        ({evidence: None}, False, {"bundle-object", "entry-missing", "object-not-named"}),
        ({entry: other}, True, {"entry-not-in-log", "object-not-named"}),
        ({contract: b"other: 1\n"}, True, {"object-hash"}),
        ({"public/stray.parquet": b"x"}, True, {"object-not-named"}),
        ({"stray": b"x"}, False, {"bundle-object"}),
        ({public: b"PAR1"}, True, {"parquet-unreadable"}),
        ({"bundle.json": b'{"format":"indelible-withheld/1"}'}, False, {"bundle-manifest"}),
    ]
    for changed, listed, expected in cases:
        assert reasons(verified(rewritten(bundle, changed, listed=listed))) == expected, changed.keys()


def test_an_entry_counts_once_and_for_the_log_that_proves_it(bundle: Path) -> None:
    content = members(bundle)
    entry = next(name for name in content if name.startswith("entries/2026-"))
    proof = entry.replace("entries", "proofs").replace(".json", ".tlog-proof")
    again = {name.replace("2026", "2025"): content[name] for name in (entry, proof)}
    report = verified(rewritten(bundle, {**again}))
    assert reasons(report) == {"entry-not-in-log"}
    assert [shard.year for shard in report.shards] == ["2026"]


def test_a_key_that_the_policy_does_not_trust_proves_nothing(bundle: Path) -> None:
    from tests.support.logs import MemoryLog

    report = verified(bundle, MemoryLog().policy())
    assert "checkpoint-unknown-key" in reasons(report)
    assert "entries" not in report.counted


def test_equal_evidence_gives_an_equal_bundle(sealed: SealedStore, bundle: Path, tmp_path: Path) -> None:
    export(sealed, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()


def test_the_auditor_needs_the_policy_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"log {SIGNER.vkey}\nquorum none\n")
    (tmp_path / "verify.pyz").write_bytes(members(bundle)["verifier/indelible-verify.pyz"])
    run = auditor(bundle, "--policy", policy, verifier=tmp_path / "verify.pyz")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "withheld on purpose" in run.stdout
    assert auditor(bundle).returncode == 2


def test_a_record_is_proven_without_its_person(sealed: SealedStore) -> None:
    facts = sealed.sealed[0].entry["files"][0]
    whole = prove(sealed.store, str(paths.record_id(facts["sha256"], 2)), verifiers_of)
    public = whole.withhold()
    assert "user" in whole.record
    parsed = proof.parse(public.data)
    assert proof.check(parsed, POLICY) == public.record
    assert parsed.is_withheld
    assert "_p" in public.record
    assert set(sealed.sealed[0].entry["personal"]).isdisjoint(public.record)
    hidden = proof.parse(whole.data).personal_salt
    extra = proof.inflate(parse_tlog_proof(public.data).extra or b"")
    assert hidden is not None
    assert hidden.hex().encode() not in extra
    assert b"team-" not in extra
    assert parsed.withhold() == parsed


def test_what_was_sealed_without_a_group_is_not_handed_out_as_if_withheld(
    local_store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.contracts.model.Contract.personal_columns", ())
    made = SealedStore(local_store).open()
    made.add("gateway", DAY, 3)
    made.sign()
    with pytest.raises(UsageError, match="without a personal group"):
        export(made, tmp_path / "public.zip")
    facts = made.sealed[0].entry["files"][0]
    record = prove(made.store, str(paths.record_id(facts["sha256"], 0)), verifiers_of)
    with pytest.raises(UsageError, match="without a personal group"):
        record.withhold()


def test_a_file_that_is_not_what_was_sealed_is_not_handed_out(sealed: SealedStore, tmp_path: Path) -> None:
    place = tmp_path / "store" / sealed.sealed[0].entry["files"][0]["path"]
    place.chmod(0o644)
    data = bytearray(place.read_bytes())
    data[100] ^= 1
    place.write_bytes(data)
    with pytest.raises(VerificationError, match="object-hash"):
        export(sealed, tmp_path / "public.zip")
    assert not (tmp_path / "public.zip").exists()
