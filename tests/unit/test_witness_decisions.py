"""What a witness answers, and what it remembers: pure decisions, then compare and set, without sockets."""

from __future__ import annotations

import base64
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evidence import merkle
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import NoteSigner, cosigned_at, make_note
from tasks.witness.decision import Claim, Refused, judge, read_claim
from tasks.witness.memory import MAX_CONTRADICTIONS, Contradiction, Memory
from tasks.witness.request import MAX_REQUEST_BYTES, AddCheckpoint, parse_request
from tasks.witness.service import Answer, Witness
from tests.support.logs import WITNESSED_AT, private_key
from tests.support.witnesses import by_origin, make_witness, witness_signer

ORIGIN = "audit.example/acme/2026"
LOG = NoteSigner(ORIGIN, private_key("log"))
STRANGER = NoteSigner(ORIGIN, private_key("stranger"))
LEAVES = [bytes([n]) * 32 for n in range(20)]
FORKED = [*LEAVES[:4], bytes(32), *LEAVES[5:]]


def note(size: int, leaves: list[bytes] = LEAVES, key: NoteSigner = LOG) -> bytes:
    text = Checkpoint(key.verifier.name, size, merkle.root(leaves[:size])).text()
    return make_note(text, key.sign(text))


def body(old: int, size: int, leaves: list[bytes] = LEAVES, key: NoteSigner = LOG) -> bytes:
    proof = merkle.consistency_proof(leaves[:size], old) if 0 < old <= size else []
    return AddCheckpoint(old, proof, note(size, leaves, key)).encode()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return make_witness(tmp_path, lambda: [LOG.verifier])


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """The memory of `witness`."""
    return Memory(tmp_path / "w1.sqlite")


def assert_cosigned(answer: Answer, size: int) -> None:
    assert answer.status == 200, answer
    key = witness_signer().verifier
    assert cosigned_at(note(size) + answer.body, [key]) == {key: WITNESSED_AT}


def test_a_log_is_cosigned_as_it_grows(witness: Witness) -> None:
    for old, size in [(0, 3), (3, 3), (3, 8), (8, 20), (20, 20)]:
        assert_cosigned(witness.add_checkpoint(body(old, size)), size)


def test_a_wrong_old_size_is_answered_with_the_size_that_the_witness_knows(witness: Witness) -> None:
    assert witness.add_checkpoint(body(3, 8)) == Answer(409, b"0\n", "text/x.tlog.size")
    assert_cosigned(witness.add_checkpoint(body(0, 8)), 8)
    assert witness.add_checkpoint(body(3, 9)) == Answer(409, b"8\n", "text/x.tlog.size")


def test_the_replay_of_an_old_checkpoint_is_refused_and_rolls_nothing_back(
    witness: Witness, memory: Memory
) -> None:
    witness.add_checkpoint(body(0, 3))
    witness.add_checkpoint(body(3, 8))
    for replay in (body(0, 3), body(3, 3), body(0, 8), body(3, 8)):
        assert witness.add_checkpoint(replay) == Answer(409, b"8\n", "text/x.tlog.size")
    seen = memory.seen(ORIGIN)
    assert seen is not None
    assert seen.checkpoint.size == 8


@pytest.mark.parametrize("old", [0, 3, 8])
def test_another_root_of_the_same_size_is_refused_and_both_notes_are_kept(
    witness: Witness, memory: Memory, old: int
) -> None:
    witness.add_checkpoint(body(0, 8))
    assert witness.add_checkpoint(body(old, 8, FORKED)).status == 422
    assert memory.contradictions() == [Contradiction(ORIGIN, WITNESSED_AT, note(8), note(8, FORKED))]
    assert_cosigned(witness.add_checkpoint(body(8, 9)), 9)


def test_a_rewritten_log_that_grew_is_refused_and_both_notes_are_kept(
    witness: Witness, memory: Memory
) -> None:
    witness.add_checkpoint(body(0, 8))
    for _ in range(2):
        assert witness.add_checkpoint(body(8, 12, FORKED)).status == 422
    (kept,) = memory.contradictions()
    assert (kept.cosigned, kept.claimed) == (note(8), note(12, FORKED))


def test_a_wrong_proof_is_refused(witness: Witness) -> None:
    witness.add_checkpoint(body(0, 3))
    assert witness.add_checkpoint(AddCheckpoint(3, [], note(8)).encode()).status == 422
    assert witness.add_checkpoint(AddCheckpoint(3, LEAVES[:2], note(8)).encode()).status == 422
    assert witness.add_checkpoint(AddCheckpoint(3, LEAVES[:1], note(3)).encode()).status == 422


def test_a_proof_from_nothing_must_be_empty(witness: Witness, memory: Memory) -> None:
    assert witness.add_checkpoint(AddCheckpoint(0, LEAVES[:1], note(8)).encode()).status == 422
    assert memory.contradictions() == []


def test_an_unknown_origin_is_not_found(witness: Witness) -> None:
    other = NoteSigner("audit.example/other/2026", private_key("log"))
    assert witness.add_checkpoint(body(0, 3, key=other)).status == 404


def test_an_unknown_key_and_a_broken_signature_are_forbidden(witness: Witness, memory: Memory) -> None:
    assert witness.add_checkpoint(body(0, 3, key=STRANGER)).status == 403
    broken = note(3).replace(b"\n3\n", b"\n4\n")
    assert witness.add_checkpoint(AddCheckpoint(0, [], broken).encode()).status == 403
    assert memory.seen(ORIGIN) is None


def test_signatures_of_unknown_keys_do_not_matter_beside_a_known_one(witness: Witness) -> None:
    text = Checkpoint(ORIGIN, 3, merkle.root(LEAVES[:3])).text()
    both = make_note(text, STRANGER.sign(text), LOG.sign(text))
    assert witness.add_checkpoint(AddCheckpoint(0, [], both).encode()).status == 200


HASH = base64.b64encode(bytes(32))


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\n\n",
        note(3),
        b"old 0\n" + note(3),
        b"old 00\n\n" + note(3),
        b"old -1\n\n" + note(3),
        b"old 4\n\n" + note(3),
        b"old 0\r\n\r\n" + note(3),
        b"old 0\n\n",
        b"old 0\n\n" + note(3)[:-1],
        b"old 0\nAAAA\n\n" + note(3),
        b"old 0\n\xff\n\n" + note(3),
        b"old 0\n" + 64 * (HASH + b"\n") + b"\n" + note(3),
        b"old 0\n\n" + note(3).replace(b"\n3\n", b"\n3\n\n"),
        b"old 0\n\n" + note(3) + bytes(MAX_REQUEST_BYTES),
    ],
)
def test_a_malformed_request_is_a_bad_request(witness: Witness, malformed: bytes) -> None:
    assert witness.add_checkpoint(malformed).status == 400


@given(data=st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    answer = read_claim(data, by_origin([LOG.verifier]))
    assert isinstance(answer, Refused)
    assert answer.status == 400


@given(position=st.integers(0, len(body(3, 8)) - 1), value=st.integers(0, 255))
def test_no_changed_byte_of_a_request_moves_the_witness_elsewhere(position: int, value: int) -> None:
    changed = bytearray(body(3, 8))
    changed[position] = value
    claim = read_claim(bytes(changed), by_origin([LOG.verifier]))
    seen = read_claim(body(0, 3), by_origin([LOG.verifier]))
    assert isinstance(seen, Claim)
    if isinstance(claim, Claim):
        assert claim.checkpoint == Checkpoint(ORIGIN, 8, merkle.root(LEAVES[:8]))
        assert (
            isinstance(judge(claim, seen.seen), Refused)
            or claim.request.proof == parse_request(body(3, 8)).proof
        )


@given(old=st.integers(0, 20), size=st.integers(0, 20), known=st.integers(0, 20), fork=st.booleans())
def test_only_what_continues_the_known_tree_is_accepted(old: int, size: int, known: int, fork: bool) -> None:
    keys = by_origin([LOG.verifier])
    before = read_claim(body(0, known), keys)
    claim = read_claim(body(old, size, FORKED if fork else LEAVES), keys)
    if isinstance(claim, Refused):
        assert old > size
        return
    assert isinstance(before, Claim)
    same_beginning = not fork or known <= 4
    accepted = not isinstance(judge(claim, before.seen), Refused)
    assert accepted == (old == known and same_beginning)


def test_of_two_requests_judged_on_one_state_one_is_remembered(memory: Memory) -> None:
    keys = by_origin([LOG.verifier])
    first, second, third = (read_claim(body(0, size), keys) for size in (3, 5, 8))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert isinstance(third, Claim)
    assert memory.advance(None, first)
    assert not memory.advance(None, second)
    assert memory.advance(first.seen, third)
    assert not memory.advance(first.seen, second)
    assert memory.seen(ORIGIN) == third.seen


def test_requests_that_race_never_roll_the_witness_back(witness: Witness, memory: Memory) -> None:
    witness.add_checkpoint(body(0, 3))
    start, answers = Barrier(8), list[Answer]()

    def add(size: int) -> None:
        start.wait()
        answers.append(witness.add_checkpoint(body(3, size)))

    threads = [Thread(target=add, args=[size]) for size in range(4, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, *[409] * 7]
    seen = memory.seen(ORIGIN)
    assert seen is not None
    (cosigned,) = (answer.body for answer in answers if answer.status == 200)
    assert cosigned_at(seen.note + cosigned, [witness_signer().verifier])
    assert {answer.body for answer in answers if answer.status == 409} == {b"%d\n" % seen.checkpoint.size}


def test_what_is_kept_of_a_log_that_forks_without_end_is_bounded(memory: Memory) -> None:
    for number in range(MAX_CONTRADICTIONS + 5):
        memory.keep(Contradiction(ORIGIN, number, b"a", b"%d" % number))
    memory.keep(Contradiction("other.example", 0, b"a", b"b"))
    kept = memory.contradictions()
    assert sum(one.origin == ORIGIN for one in kept) == MAX_CONTRADICTIONS
    assert any(one.origin == "other.example" for one in kept)


def test_the_memory_outlives_the_process(tmp_path: Path) -> None:
    make_witness(tmp_path, lambda: [LOG.verifier]).add_checkpoint(body(0, 8))
    again = make_witness(tmp_path, lambda: [LOG.verifier])
    assert again.add_checkpoint(body(0, 3)) == Answer(409, b"8\n", "text/x.tlog.size")


def test_a_request_is_read_as_it_is_written() -> None:
    request = AddCheckpoint(3, tuple(merkle.consistency_proof(LEAVES[:8], 3)), note(8))
    assert parse_request(request.encode()) == request
