"""Keys of a log change: rotation with two signatures, revocation, compromise; and what verifiers make of it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import evidence, keys, pipeline
from flows.cli.app import app
from flows.entries import append_entry
from flows.holding import Order
from flows.receipts import CheckpointReceipt
from flows.trust import own_policy
from flows.wiring import Runtime
from tasks.errors import KeyUnavailableError, UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import NoteVerifier, make_note, open_note
from tasks.evidence.policy import parse_policy
from tasks.keyring import FileKeyring
from tasks.log import reader
from tasks.storage.local import LocalStore
from tasks.verify import DirectoryReader, Report, Verdict, verify
from tests.support.deployment import deployment
from tests.support.faults import MOMENT, SOURCE, FaultyStore, land, small_runtime, write_contract

YEAR = MOMENT.year
ORDER = Order("carla", "dennis", "yearly rotation")
AUDIT = {"enforced": True, "findings": [], "kind": "worm-probe", "server": "", "software": "t", "store": "x"}


class Place:
    """A deployment in a directory, with entries that need no delivery."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        self.runtime = self.open()

    def open(self) -> Runtime:
        return deployment(self.store.as_store(), self.base / "state")

    def grow(self, runtime: Runtime | None = None) -> CheckpointReceipt:
        runtime = runtime or self.runtime
        with runtime.catalog() as catalog:
            append_entry(runtime, catalog, "audit", AUDIT)
            return pipeline.publish(runtime, catalog)

    def signed_by(self, size: int, year: int = YEAR) -> list[str]:
        note = self.store.inner.read(paths.checkpoint_at(year, size))
        known = [key.verifier for key in self.runtime.keyring.signers(self.runtime.origin(year))]
        return [key.vkey for key in open_note(note, known).signers]

    def states(self) -> dict[str, str]:
        return {key.vkey: key.state for key in keys.list_keys(self.runtime)}

    def check(self, policy: str | None = None) -> Report:
        trusted = own_policy(self.runtime) if policy is None else parse_policy(policy)
        return verify(DirectoryReader(self.base / "store"), trusted)

    def forge(self, size: int, vkey: str, year: int = YEAR) -> None:
        """Whoever has one key signs the log's true tree of a size with it alone."""
        path = paths.checkpoint_at(year, size)
        signers = {key.vkey: key for key in self.runtime.keyring.signers(self.runtime.origin(year))}
        text = open_note(self.store.inner.read(path), [key.verifier for key in signers.values()]).text
        file = self.base / "store" / path
        file.chmod(0o644)
        file.write_bytes(make_note(text, signers[vkey].sign(text)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def reasons(report: Report, verdict: Verdict = Verdict.CHANGED) -> set[str]:
    return {finding.reason for finding in report.findings if finding.verdict is verdict}


def entry(place: Place, index: int, year: int = YEAR) -> Any:
    return json.loads(place.store.inner.read(paths.sequence(year, index)))


def test_a_rotation_is_a_period_of_two_signatures(place: Place) -> None:
    first = place.grow()
    old = place.signed_by(first.size)
    new, announced = keys.rotate(place.runtime, ORDER)
    both = place.grow()
    retired, finished = keys.finish(place.runtime, ORDER)
    after = place.grow()
    assert [place.signed_by(size) for size in (announced.size, both.size)] == [[*old, new.vkey]] * 2
    assert [place.signed_by(size) for size in (finished.size, after.size)] == [[new.vkey]] * 2
    assert place.states() == {old[0]: keys.RETIRED, new.vkey: keys.SIGNS}
    assert retired.vkey == old[0]
    assert entry(place, announced.size - 1) == {
        "action": "announce",
        "approver": "carla",
        "format": "indelible/1",
        "key": new.vkey,
        "reason": "yearly rotation",
        "requested_by": "dennis",
        "sealed_at": MOMENT.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": "key",
    }
    assert place.check().findings == ()


def test_verifiers_accept_either_key_while_both_sign_and_need_both_over_all(place: Place) -> None:
    old = place.signed_by(place.grow().size)[0]
    new, announced = keys.rotate(place.runtime, ORDER)
    assert not place.check(f"log {old}\nquorum none\n").findings
    note = place.store.inner.read(paths.checkpoint_at(YEAR, announced.size))
    assert open_note(note, [NoteVerifier.from_vkey(new.vkey)]).signers
    keys.finish(place.runtime, ORDER)
    assert reasons(place.check(f"log {old}\nquorum none\n")) == {"checkpoint-unknown-key"}
    assert not place.check(f"log {old}\nlog {new.vkey}\nquorum none\n").findings


def test_another_process_follows_a_rotation_from_the_log_alone(place: Place) -> None:
    other = place.open()
    place.grow(other)  # from now on it has the old key in memory
    new, _ = keys.rotate(place.runtime, ORDER)
    assert place.signed_by(place.grow(other).size)[1:] == [new.vkey]
    keys.finish(place.runtime, ORDER)
    assert place.signed_by(place.grow(other).size) == [new.vkey]


def test_a_process_without_the_new_key_signs_nothing(place: Place) -> None:
    place.grow()
    keys.rotate(place.runtime, ORDER)
    (place.base / "state" / "keys" / f"signing-audit.example_test_{YEAR}-2.pem").unlink()
    with pytest.raises(KeyUnavailableError, match="not all keys"):
        place.grow(place.open())
    with pytest.raises(KeyUnavailableError, match="not all keys"):
        place.grow(place.open())


def test_a_rotation_that_died_before_its_entry_takes_the_same_key_again(place: Place) -> None:
    place.grow()
    made = place.runtime.keyring.new_signer(place.runtime.origin(YEAR), 1)
    assert place.states()[made.vkey] == keys.PREPARED
    assert place.signed_by(place.grow().size) != [made.vkey]
    assert keys.rotate(place.runtime, ORDER)[0].vkey == made.vkey


def test_a_second_rotation_waits_for_the_end_of_the_first(place: Place) -> None:
    place.grow()
    with pytest.raises(UsageError, match="no rotation"):
        keys.finish(place.runtime, ORDER)
    keys.rotate(place.runtime, ORDER)
    with pytest.raises(UsageError, match="under way"):
        keys.rotate(place.runtime, ORDER)
    keys.finish(place.runtime, ORDER)
    keys.rotate(place.runtime, ORDER)
    assert list(place.states().values()) == [keys.RETIRED, keys.SIGNS, keys.SIGNS]


def test_nobody_changes_keys_alone(place: Place) -> None:
    alone = Order("carla", "Carla", "because")
    for change in (keys.rotate, keys.finish):
        with pytest.raises(UsageError, match="cannot approve"):
            change(place.runtime, alone)
    with pytest.raises(UsageError, match="cannot approve"):
        keys.compromise(place.runtime, alone, 1)


def test_a_revoked_key_alone_makes_no_checkpoint_any_more(place: Place) -> None:
    old = place.signed_by(place.grow().size)[0]
    with pytest.raises(UsageError, match="only key"):
        keys.revoke(place.runtime, ORDER, old)
    new, _ = keys.rotate(place.runtime, ORDER)
    revoked, at = keys.revoke(place.runtime, ORDER, old.split("+")[1])
    later = place.grow()
    assert (revoked.vkey, revoked.state) == (old, keys.REVOKED)
    assert place.signed_by(at.size) == place.signed_by(later.size) == [new.vkey]
    assert place.check().findings == ()
    place.forge(at.size - 1, old)
    assert place.check().findings == ()  # it was good until then
    place.forge(later.size, old)
    found = [f for f in place.check().findings if f.reason == "key-revoked"]
    assert [f.path for f in found] == [paths.checkpoint_at(YEAR, later.size)]
    with pytest.raises(UsageError, match="no such key"):
        keys.revoke(place.runtime, ORDER, old)


def test_an_entry_about_a_key_of_another_log_is_found(place: Place) -> None:
    place.grow()
    stranger = place.runtime.keyring.new_signer("other.example/log").vkey
    with place.runtime.catalog() as catalog:
        body = {"action": "revoke", "approver": "a", "key": stranger, "reason": "r", "requested_by": "b"}
        append_entry(place.runtime, catalog, "key", body)
        pipeline.publish(place.runtime, catalog)
    assert reasons(place.check()) == {"key-foreign"}


def test_a_compromised_log_ends_at_its_last_good_checkpoint(place: Place) -> None:
    good, lost = place.grow(), place.grow()
    uncapped = f"log {place.signed_by(good.size)[0]}\n"
    recovered = keys.compromise(place.runtime, ORDER, good.size)
    assert (recovered.shard, recovered.checkpoint.shard, recovered.checkpoint.size) == (YEAR + 1, YEAR + 1, 1)
    genesis = entry(place, 0, YEAR + 1)
    assert genesis["previous_shard"].encode() == place.store.inner.read(paths.checkpoint_at(YEAR, good.size))
    assert genesis["origin"] == place.runtime.origin(YEAR + 1)
    assert place.grow().shard == YEAR + 1
    assert place.states() == {genesis["revoked"][0]: keys.GIVEN_UP, recovered.vkey: keys.SIGNS}

    policy = recovered.policy.read_text()
    assert f"log-up-to {good.size} {genesis['revoked'][0]}\n" in policy
    assert place.store.inner.read(paths.policy(YEAR + 1)).decode() == policy
    for report in (place.check(), place.check(policy)):
        assert report.ok
        assert [shard.size for shard in report.shards] == [good.size, 2]
        assert reasons(report, Verdict.NOT_SEALED_YET) == {"checkpoint-beyond-limit", "sequence-pending"}
    assert reasons(place.check(f"{uncapped}log {recovered.vkey}\nquorum none\n")) == {"key-compromised"}
    with pytest.raises(VerificationError, match="checkpoint-beyond-limit"):
        parse_policy(policy).open_checkpoint(place.store.inner.read(paths.checkpoint_at(YEAR, lost.size)))


def test_nothing_needs_the_compromised_key_afterwards(place: Place) -> None:
    good = place.grow()
    keys.compromise(place.runtime, ORDER, good.size)
    (place.base / "state" / "keys" / f"signing-audit.example_test_{YEAR}.pem").unlink()
    runtime = place.open()
    assert place.grow(runtime).shard == YEAR + 1
    assert evidence.verify_store(runtime).ok


def test_what_the_thief_signs_later_changes_nothing(place: Place) -> None:
    """The thief of the key rewrites the end of the log and signs it; the recovery holds."""
    good = place.grow()
    thief = place.runtime.signer(YEAR)
    recovered = keys.compromise(place.runtime, ORDER, good.size)
    policy = recovered.policy.read_text()
    text = Checkpoint(thief.verifier.name, good.size + 5, b"\x07" * 32).text()
    forged = make_note(text, thief.sign(text))
    for path in (paths.checkpoint_at(YEAR, good.size + 5), paths.checkpoint(YEAR)):
        file = place.base / "store" / path
        file.unlink(missing_ok=True)
        file.write_bytes(forged)
    assert parse_checkpoint(text).size == good.size + 5
    assert place.grow().shard == YEAR + 1
    report = place.check(policy)
    assert report.ok
    assert report.shards[0].size == good.size
    assert reader.integrated(place.store.as_store(), YEAR) == good.size


def test_only_a_checkpoint_with_which_the_log_begins_can_be_the_last_good_one(place: Place) -> None:
    good = place.grow()
    with pytest.raises(UsageError, match="no checkpoint of 1 "):
        keys.compromise(place.runtime, ORDER, 1)
    thief = place.runtime.signer(YEAR)
    text = Checkpoint(thief.verifier.name, good.size, b"\x07" * 32).text()
    file = place.base / "store" / paths.checkpoint_at(YEAR, good.size)
    file.chmod(0o644)
    file.write_bytes(make_note(text, thief.sign(text)))
    with pytest.raises(VerificationError, match="root-mismatch"):
        keys.compromise(place.runtime, ORDER, good.size)
    assert not reader.has_shard(place.store.as_store(), YEAR + 1)


def test_a_log_without_a_key_in_this_keyring_cannot_declare_the_old_one_compromised(place: Place) -> None:
    """Who may write to the store, and has no key, must not make us believe keys of his own."""
    good = place.grow()
    stranger = FileKeyring.create(place.base / "stranger").new_signer(place.runtime.origin(YEAR))
    forged = {
        "action": "recover",
        "approver": "a",
        "format": "indelible/1",
        "origin": place.runtime.origin(YEAR + 1),
        "previous_shard": place.store.inner.read(paths.checkpoint_at(YEAR, good.size)).decode(),
        "reason": "r",
        "requested_by": "b",
        "revoked": [stranger.vkey],
        "sealed_at": "2026-11-24T10:00:00Z",
        "type": "genesis",
    }
    data = json.dumps(forged, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    place.store.inner.create(paths.sequence(YEAR + 1, 0), data, retain_until=None)
    with pytest.raises(KeyUnavailableError):
        own_policy(place.runtime)


def test_drops_sealed_after_the_last_good_checkpoint_are_sealed_again(tmp_path: Path) -> None:
    write_contract(tmp_path / "contracts")
    (tmp_path / "landing").mkdir()
    store = FaultyStore(LocalStore(tmp_path / "store"), clock=MOMENT)
    runtime = small_runtime(store.as_store(), tmp_path, tmp_path / "landing")
    first = land(tmp_path / "landing", 1, 2)
    _, good = pipeline.deliver(runtime, SOURCE)
    later = land(tmp_path / "landing", 3)
    pipeline.deliver(runtime, SOURCE)
    keys.compromise(runtime, ORDER, good.size)
    receipts, checkpoint = pipeline.deliver(runtime, SOURCE)
    assert [(receipt.shard, receipt.drops) for receipt in receipts] == [(YEAR + 1, len(later))]
    assert checkpoint.shard == YEAR + 1
    assert pipeline.deliver(runtime, SOURCE)[0] == []
    report = evidence.verify_store(runtime)
    assert report.ok
    assert report.counted["drops"] == len({*first, *later})


def test_commands_tell_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(getpass, "getuser", lambda: "dennis")
    monkeypatch.setenv("INDELIBLE_STORE__URI", f"file://{tmp_path}/store")

    def run(*words: str) -> Any:
        result = CliRunner().invoke(app, ["key", *words, "--json"], catch_exceptions=False)
        assert result.exit_code == 0
        return json.loads(result.stdout)

    approved = ("--approver", "carla", "--reason", "drill")
    rotated = run("rotate", *approved)
    assert rotated["key"]["state"] == "signs"
    assert run("rotate", "--finish", *approved)["key"]["state"] == "retired"
    recovered = run("compromise", "--last-good", str(rotated["checkpoint"]["size"]), *approved)
    assert {key["state"] for key in run("list")} == {"given-up", "signs"}
    assert Path(recovered["policy"]).read_text().count("log-up-to") == 2
