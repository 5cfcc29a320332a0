"""Any bytes into any parser: a value, or exactly `VerificationError` with a listed reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import NotFoundError, VerificationError
from tasks.evidence import canonical, checkpoint, entry, merkle, note, paths, policy, proof, tiles, tlog_proof
from tasks.evidence.reasons import MEANINGS
from tests.support.proofs import record_proof, seal_entry

PROOF, LOG = record_proof()
POLICY = LOG.policy(cosigned=True)
GROUPS = f"log {LOG.signer.vkey}\nwitness w {LOG.witness.vkey}\ngroup g 1 w\nquorum g\n"


def as_text(parse: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def reason_of(question: Callable[[], object]) -> str | None:
    """The reason for which `question` was refused; None when it was answered."""
    try:
        question()
    except VerificationError as error:
        return error.reason
    return None


def read_tiles(data: bytes) -> list[Any]:
    reader = tiles.TileReader(lambda _path: data, 5)
    return [reader.root(), reader.leaf_hash(4), reader.inclusion_proof(2), reader.consistency_proof(3)]


def read_entries(data: bytes) -> list[bytes]:
    return list(tiles.TileReader(lambda _path: data, 3).entries())


PARSERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "json": (canonical.parse_canonical, entry.encode_entry(seal_entry())),
    "entry": (entry.parse_entry, entry.encode_entry(seal_entry())),
    "note": (lambda data: note.open_note(data, POLICY.logs), PROOF.checkpoint),
    "checkpoint-note": (POLICY.open_checkpoint, PROOF.checkpoint),
    "checkpoint": (as_text(checkpoint.parse_checkpoint), PROOF.checkpoint.split(b"\n\n")[0] + b"\n"),
    "log-key": (as_text(note.NoteVerifier.from_vkey), LOG.signer.vkey.encode()),
    "witness-key": (as_text(note.CosignatureVerifier.from_vkey), LOG.witness.vkey.encode()),
    "policy": (policy.parse_policy, GROUPS.encode()),
    "policy-text": (as_text(policy.parse_policy), GROUPS.encode()),
    "bundle": (tiles.parse_bundle, tiles.make_bundle([b"one", b"", b"two"])),
    "tiles": (read_tiles, LOG.objects["tile/0/000.p/5"]),
    "entries": (read_entries, tiles.make_bundle([b"one", b"", b"two"])),
    "hashes": (merkle.root, bytes(64)),
    "tlog-proof": (tlog_proof.parse_tlog_proof, proof.build(PROOF)),
    "record-proof": (lambda data: proof.check(proof.parse(data), POLICY), proof.build(PROOF)),
    "record-id": (as_text(paths.parse_record_id), b"ab" * 16 + b"-12"),
    "path": (as_text(paths.parse_number), paths.sequence(2026, 1).encode()),
}


MARKS = [b"\n", b"\n\n", b" ", b"{", b"[", b'"', b"0", b"-1", b"1e9", b"null", b"=", b"+", b"\xff"]


def mutations(valid: bytes) -> st.SearchStrategy[bytes]:
    """`valid` with one slice replaced, most often by something that its parser half understands."""
    places = st.integers(0, len(valid))
    chunks = st.one_of(
        st.binary(max_size=8),
        st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from(MARKS),
        places.map(lambda start: valid[start : start + 40]),
    )
    spans = st.tuples(places, st.integers(0, 80))
    return st.builds(lambda span, chunk: valid[: span[0]] + chunk + valid[sum(span) :], spans, chunks)


@pytest.mark.parametrize("name", PARSERS)
def test_each_parser_takes_the_sample_that_is_mutated(name: str) -> None:
    parse, valid = PARSERS[name]
    assert reason_of(lambda: parse(valid)) is None


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_bytes_become_a_value_or_a_verification_error(name: str, data: st.DataObject) -> None:
    parse, valid = PARSERS[name]
    content = data.draw(st.one_of(st.binary(max_size=200), mutations(valid)))
    assert reason_of(lambda: parse(content)) in {None, *MEANINGS}


@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_a_mutated_record_proof_never_gives_another_record(data: st.DataObject) -> None:
    content = data.draw(mutations(proof.build(PROOF)))
    try:
        record = proof.check(proof.parse(content), POLICY)
    except VerificationError:
        return
    assert record == PROOF.record


def absent(path: str) -> bytes:
    raise NotFoundError(path)


@given(st.integers(0, 2**63 - 1), st.integers(-(2**70), 2**70))
def test_questions_about_a_log_without_tiles_end_in_a_reason(size: int, index: int) -> None:
    reader = tiles.TileReader(absent, size)
    answers = {
        reason_of(lambda: reader.leaf_hash(index)),
        reason_of(lambda: reader.inclusion_proof(index)),
        reason_of(lambda: reader.consistency_proof(index)),
    }
    assert answers <= {"tile-missing", "out-of-range", None}


@given(
    st.integers(-2, 2**64), st.integers(-2, 2**64), st.lists(st.binary(min_size=31, max_size=33), max_size=70)
)
def test_proof_checks_end_for_any_sizes(first: int, size: int, path: list[bytes]) -> None:
    some = bytes(32)
    inclusion = reason_of(lambda: merkle.verify_inclusion(some, first, size, path, some))
    consistency = reason_of(lambda: merkle.verify_consistency(first, size, path, some, some))
    assert {inclusion, consistency} <= {None, *MEANINGS}
