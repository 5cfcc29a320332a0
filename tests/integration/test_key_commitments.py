"""The log and the key table tell the same: bound before use, destroyed once, and no backup brings a key back."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import entries, key_backups, keys, pipeline, subject_keys
from flows.commitments import commit_keys, seal_destructions
from flows.holding import Order, Scope
from flows.trust import own_policy
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.errors import KeyServiceUnreachableError, KeyUnavailableError, StoreRefusedError, UsageError
from tasks.evidence import merkle, paths
from tasks.evidence.key_table_entry import SUBJECT, commitment
from tasks.log import reader
from tasks.storage.local import LocalStore
from tasks.subjects import Cause, destroy_subject
from tasks.subjects.engine import Database
from tasks.verify import DirectoryReader, Report, verify
from tests.support.faults import MOMENT, SOURCE, FaultyStore, land, small_runtime, write_contract

ORDER = Order("carla", "dennis", "nobody has to keep it")
PSEUDONYM, QUARANTINE = "pseudonym/2026-11", "quarantine/2026-11"
EMPTY = hashlib.sha256(b"").hexdigest()
LATER = datetime(2040, 1, 1, tzinfo=UTC)


class Place:
    """A deployment whose store has a clock."""

    def __init__(self, base: Path) -> None:
        self.base, self.landing = base, base / "landing"
        self.landing.mkdir()
        write_contract(base / "contracts")
        self.store = FaultyStore(LocalStore(base / "store"), clock=MOMENT)
        self.runtime = self.open()

    def open(self, **sections: Any) -> Runtime:
        return small_runtime(self.store.as_store(), self.base, self.landing, **sections)

    def deliver(self, *numbers: int) -> None:
        land(self.landing, *numbers)
        pipeline.deliver(self.runtime, SOURCE)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return run_query(self.runtime.session(), self.runtime.catalog_path, sql)[1]

    def check(self) -> Report:
        return verify(DirectoryReader(self.base / "store"), own_policy(self.runtime))

    def shred_entry(self, key: bytes, name: str) -> dict[str, Any]:
        leaf = commitment(name, key)
        facts = {"commitment": leaf.hex(), "root": merkle.leaf_hash(leaf).hex(), "name": name}
        who = {"approver": "carla", "requested_by": "dennis", "reason": "a lie"}
        return {"action": "shred", "count": 1, "index": 0, "proof": [], **facts, **who}

    def append(self, body: dict[str, Any], kind: str = "key") -> str:
        with self.runtime.catalog() as catalog:
            shard, index = entries.append_entry(self.runtime, catalog, kind, body)
            pipeline.publish(self.runtime, catalog)
        return f"{shard}-{index}"

    def hold(self, scope: Scope) -> str:
        """Seal a hold of records; a directory has no locks to set."""
        listed = {"bytes": 0, "count": 0, "sha256": EMPTY, "version_id": "1"}
        facts = {
            "case": None,
            "objects": listed | {"path": paths.object_list(EMPTY)},
            "scope": scope.as_json(),
        }
        return self.append({**asdict(ORDER), **facts}, "hold")

    def release(self, hold: str) -> None:
        self.append({**asdict(ORDER), "hold": hold}, "release")

    def lose_table(self) -> None:
        for file in (self.base / "keys").glob("table.db*"):
            file.unlink()
        self.runtime = self.open()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_log_is_bound_to_a_key_before_it_names_it(place: Place) -> None:
    place.deliver(1, 2)
    place.deliver(3)
    order = place.query("SELECT type FROM entries ORDER BY shard, entry")
    assert [kind for (kind,) in order] == ["genesis", "retention", "key", "key", "seal", "seal"]
    table = place.runtime.key_table
    for name in (PSEUDONYM, QUARANTINE):
        leaf = commitment(name, table.month_key(*name.split("/")))
        ((count, root),) = place.query(f"SELECT count, root FROM keys WHERE key = '{name}'")
        assert (count, root) == (1, merkle.leaf_hash(leaf).hex())
    assert place.check().ok


def test_two_key_tables_for_one_log_are_refused(place: Place) -> None:
    place.deliver(1)
    place.runtime = place.open(key_table={"url": f"sqlite:///{place.base / 'other.db'}"})
    with pytest.raises(KeyUnavailableError, match="commits to another key"):
        place.deliver(2)


def test_a_month_is_destroyed_when_nobody_has_to_keep_it(place: Place) -> None:
    place.deliver(1, 2)
    roots = [place.store.inner.read(info.path) for info in place.store.list("data/")]
    with pytest.raises(UsageError, match="must be kept until"):
        subject_keys.destroy_epoch(place.runtime, ORDER, PSEUDONYM)
    with pytest.raises(UsageError, match="knows no key"):
        subject_keys.destroy_epoch(place.runtime, ORDER, "pseudonym/2025-01")
    with pytest.raises(UsageError, match="cannot approve"):
        subject_keys.destroy_epoch(place.runtime, replace(ORDER, approver="Dennis"), PSEUDONYM)
    place.store.clock = LATER
    gone, _ = subject_keys.destroy_epoch(place.runtime, ORDER, PSEUDONYM)
    sealed = place.query("SELECT key, commitment, approver FROM keys WHERE action = 'shred'")
    assert sealed == [(PSEUDONYM, gone.commitment.hex(), "carla")]
    with place.runtime.catalog() as catalog:
        months = {key.name: (key.state, key.sources) for key in subject_keys.list_months(catalog)}
    assert months == {PSEUDONYM: ("destroyed", (SOURCE,)), QUARANTINE: ("in-use", (SOURCE,))}
    with pytest.raises(KeyUnavailableError, match="destroyed before"):
        subject_keys.destroy_epoch(place.runtime, ORDER, PSEUDONYM)
    assert [place.store.inner.read(info.path) for info in place.store.list("data/")] == roots
    assert place.check().ok


def test_what_comes_after_its_month_was_destroyed_is_set_aside(place: Place) -> None:
    place.deliver(1)
    (before,) = place.query(f"SELECT count(*) FROM {SOURCE}")
    place.store.clock = LATER
    subject_keys.destroy_epoch(place.runtime, ORDER, PSEUDONYM)
    land(place.landing, 2)
    receipts, _ = pipeline.deliver(place.runtime, SOURCE)
    # Also the record that was sealed before: what would tell is a fingerprint under the key that is gone.
    assert [(r.accepted, r.rules["key.destroyed"]) for r in receipts] == [(0, 4)]
    assert place.query(f"SELECT count(*) FROM {SOURCE}") == [before]
    assert place.query("SELECT count(*) FROM set_aside WHERE rules = ['key.destroyed']") == [(4,)]
    assert place.check().ok


@pytest.mark.parametrize(
    ("key", "scope", "refused"),
    [
        (PSEUDONYM, Scope(SOURCE), True),
        (PSEUDONYM, Scope(SOURCE, since=date(2026, 11, 30)), True),
        (PSEUDONYM, Scope(SOURCE, until=date(2026, 11, 1)), True),
        (PSEUDONYM, Scope(SOURCE, since=date(2026, 12, 1)), False),
        (PSEUDONYM, Scope(SOURCE, until=date(2026, 10, 31)), False),
        (QUARANTINE, Scope(SOURCE, since=date(2026, 12, 1)), True),  # events of any day can lie there
    ],
    ids=["all", "last day", "first day", "later", "earlier", "quarantine"],
)
def test_a_key_that_held_records_depend_on_is_destroyed_after_the_release(
    place: Place, key: str, scope: Scope, refused: bool
) -> None:
    place.deliver(1)
    hold = place.hold(scope)
    place.store.clock = LATER
    if refused:
        with pytest.raises(StoreRefusedError, match=f"legal hold {hold} covers records that depend on {key}"):
            subject_keys.destroy_epoch(place.runtime, ORDER, key)
        place.release(hold)
    subject_keys.destroy_epoch(place.runtime, ORDER, key)
    assert place.query("SELECT key FROM keys WHERE action = 'shred'") == [(key,)]


def test_a_destruction_that_a_crash_kept_from_the_log_is_sealed_later_and_once(place: Place) -> None:
    place.deliver(1)
    table = place.runtime.key_table
    (key,) = table.subject_keys(["ada@example.org"])
    destroy_subject(table, table.subject_ids(["ada@example.org"])[0], Cause("dennis", "carla", "request 17"))
    for _ in range(2):
        with place.runtime.catalog() as catalog:
            seal_destructions(place.runtime, catalog)
            pipeline.publish(place.runtime, catalog)
    shredded = place.query("SELECT key, commitment, reason FROM keys WHERE action = 'shred'")
    assert shredded == [(SUBJECT, commitment(SUBJECT, key).hex(), "request 17")]
    assert place.check().ok


def test_a_destruction_is_not_sealed_before_the_database_is_scrubbed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.deliver(1)
    table = place.runtime.key_table
    table.subject_keys(["ada@example.org"])
    (subject,) = table.subject_ids(["ada@example.org"])
    shreds = "SELECT count(*) FROM keys WHERE action = 'shred'"

    def busy(_: Database) -> None:
        raise KeyServiceUnreachableError("somebody reads", next_step="Wait.")

    with place.runtime.catalog() as catalog:
        with monkeypatch.context() as patch:
            patch.setattr(Database, "scrub", busy)
            for _ in range(2):
                with pytest.raises(KeyServiceUnreachableError):
                    subject_keys.shred_subject(place.runtime, catalog, ORDER, subject)
        pipeline.publish(place.runtime, catalog)
        assert place.query(shreds) == [(0,)]
        assert subject_keys.shred_subject(place.runtime, catalog, ORDER, subject) is None
        pipeline.publish(place.runtime, catalog)
    assert place.query(shreds) == [(1,)]


def test_a_destruction_of_what_was_never_committed_is_found(place: Place) -> None:
    place.deliver(1)
    place.append(place.shred_entry(b"k" * 32, PSEUDONYM))
    assert [(f.reason, f.path) for f in place.check().findings if f.reason.startswith("key")] == [
        ("key-not-committed", f"log/{MOMENT.year}/seq/{5:020}")
    ]


def test_a_key_that_is_used_after_its_destruction_is_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.deliver(1)
    key = place.runtime.key_table.month_key("pseudonym", "2026-11")
    place.append(place.shred_entry(key, PSEUDONYM))
    with pytest.raises(KeyUnavailableError, match="destroyed while this batch was made"):
        place.deliver(2)
    monkeypatch.setattr(pipeline, "commit_keys", lambda *_: None)
    place.deliver(2)
    assert [finding.reason for finding in place.check().findings] == ["key-shredded"]


def test_what_a_compromise_gave_up_is_committed_to_again(place: Place) -> None:
    place.deliver(1)
    good = reader.integrated(place.store.as_store(), MOMENT.year)
    place.runtime.key_table.subject_keys(["ada@example.org"])
    place.deliver(2)
    with place.runtime.catalog() as catalog:
        commit_keys(place.runtime, catalog, ())
        pipeline.publish(place.runtime, catalog)
    keys.compromise(place.runtime, ORDER, good)
    place.deliver(2)
    assert place.query(f"SELECT shard FROM keys WHERE key = '{SUBJECT}'") == [(MOMENT.year + 1,)]


def test_a_backup_brings_keys_back_and_no_destroyed_one(place: Place) -> None:
    place.deliver(1)
    table, people = place.runtime.key_table, ["ada@example.org", "grace@example.org"]
    before, ids = table.subject_keys(people), table.subject_ids(people)
    month = table.month_key("pseudonym", "2026-11")
    table.note_places(SOURCE, {"data/a": {ids[0]: [0], ids[1]: [1, 2]}})
    file = place.base / "table.backup"
    made = key_backups.back_up(place.runtime, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [key for key in (*before, month, *map(bytes.fromhex, ids)) if key in file.read_bytes()]
    assert made.expires_at == (MOMENT + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(UsageError, match="exists already"):
        key_backups.back_up(place.runtime, file)
    with place.runtime.catalog() as catalog:
        subject_keys.shred_subject(place.runtime, catalog, ORDER, ids[0])
    place.lose_table()
    restored = key_backups.restore(place.runtime, file)
    assert (restored.keys, restored.destroyed) == (3, 1)
    assert key_backups.restore(place.runtime, file) == restored
    table = place.runtime.key_table
    assert table.month_key("pseudonym", "2026-11") == month
    assert (table.known_key(ids[0]), table.places(ids[0])) == (None, [])
    assert (table.known_key(ids[1]), list(table.row_numbers(ids[1]))) == (
        before[1],
        [(table.places(ids[1])[0], [1, 2])],
    )
    place.deliver(2)
    assert place.check().ok


def test_an_expired_or_changed_backup_is_refused(place: Place) -> None:
    place.deliver(1)
    file, other = place.base / "table.backup", place.base / "changed.backup"
    key_backups.back_up(place.runtime, file, days=1)
    data = file.read_bytes()
    head = len(data.partition(b"\n")[0]) + 1
    changed = {
        "expiry": data.replace(b'"expires_at":"2026', b'"expires_at":"2036', 1),
        "frame": data[: head + 40] + bytes([data[head + 40] ^ 1]) + data[head + 41 :],
        "cut off": data[:-20],
        "extended": data + b"x",
    }
    for name, content in changed.items():
        other.write_bytes(content)
        with pytest.raises(KeyUnavailableError):
            key_backups.restore(place.runtime, other)
        assert content != data, name
    other.write_bytes(b"something else\n")
    with pytest.raises(UsageError, match="no backup"):
        key_backups.restore(place.runtime, other)
    place.store.clock = MOMENT + timedelta(days=1)
    with pytest.raises(UsageError, match="expired at"):
        key_backups.restore(place.runtime, file)
    subject_keys.rewrap_all(place.runtime)
    place.store.clock = MOMENT
    with pytest.raises(KeyUnavailableError, match="does not exist"):
        key_backups.restore(place.runtime, file)
