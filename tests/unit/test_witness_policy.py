"""What a deployment's settings make of witnesses: a policy, its quorum, and since when it holds."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from flows.settings import load_settings
from tasks.errors import UsageError, VerificationError
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import cosigned_at, make_note
from tasks.evidence.policy import parse_policy, policy_text
from tests.support.sealed_store import signer
from tests.support.witnesses import witness_signer

LOG = signer()
NAMES = ("w1", "w2", "w3")
PARTIES = {name: (witness_signer(name).vkey, f"https://{name}.example") for name in NAMES}
TEXT = Checkpoint(LOG.verifier.name, 5, bytes(32)).text()


def note(*seen: tuple[str, int]) -> bytes:
    return make_note(TEXT, LOG.sign(TEXT), *(witness_signer(name).sign(TEXT, at) for name, at in seen))


def test_a_policy_lists_each_witness_with_its_url_and_asks_for_all_by_default() -> None:
    text = policy_text([LOG.vkey], PARTIES)
    assert f"witness w2 {PARTIES['w2'][0]} https://w2.example\n" in text
    policy = parse_policy(text)
    with pytest.raises(VerificationError, match="witness-quorum-missing"):
        policy.open_checkpoint(note(("w1", 1), ("w2", 1)))
    assert policy.open_checkpoint(note(("w1", 1), ("w2", 1), ("w3", 1))).size == 5


@pytest.mark.parametrize("quorum", [None, 2])
def test_a_policy_that_is_spelled_out_is_read_as_the_same_one(quorum: int | None) -> None:
    policy = parse_policy(policy_text([LOG.vkey], PARTIES, quorum, {LOG.vkey: 7}))
    assert parse_policy(policy.text()) == policy


def test_no_witness_is_no_quorum() -> None:
    assert policy_text([LOG.vkey]) == f"log {LOG.vkey}\nquorum none\n"
    assert not parse_policy(policy_text([LOG.vkey])).asks_for_witnesses


@pytest.mark.parametrize(("quorum", "since"), [(1, 30), (2, 20), (3, 10)])
def test_a_quorum_counts_from_when_enough_witnesses_have_signed(quorum: int, since: int) -> None:
    policy = parse_policy(policy_text([LOG.vkey], PARTIES, quorum))
    for order in permutations([("w1", 10), ("w2", 20), ("w3", 30)]):
        assert policy.witnessed_at(note(*order)) == since


def test_of_several_cosignatures_of_one_witness_the_latest_counts_and_no_two() -> None:
    policy = parse_policy(policy_text([LOG.vkey], PARTIES, 2))
    twice = note(("w1", 10), ("w1", 40))
    assert cosigned_at(twice, [witness_signer("w1").verifier]) == {witness_signer("w1").verifier: 40}
    assert policy.witnessed_at(twice) is None


def test_a_log_s_signature_is_enough_where_no_quorum_is_asked_for_yet() -> None:
    policy = parse_policy(policy_text([LOG.vkey], PARTIES))
    assert policy.open_signed(note()).size == 5


def member(**changes: str) -> dict[str, Any]:
    return {"url": "https://w1.example", "vkey": PARTIES["w1"][0], **changes}


def test_settings_of_witnesses_are_refused_before_anything_is_sealed() -> None:
    with pytest.raises(UsageError, match="no witness's vkey"):
        load_settings(witness={"members": {"w1": member(vkey=LOG.vkey)}})
    with pytest.raises(UsageError, match=r"witness\.members\.w1\.url"):
        load_settings(witness={"members": {"w1": member(url="w1.example")}})
    with pytest.raises(UsageError, match="larger than the number of members"):
        load_settings(witness={"members": {"w1": member()}, "quorum": 2})
    settings = load_settings(witness={"members": {"w1": member()}, "quorum": 1})
    assert settings.witness.parties == {"w1": (PARTIES["w1"][0], "https://w1.example")}
