"""Reason codes: why evidence does not hold, in words that stay the same between versions.

Each code has one meaning and one next step. Raise with `failure`, so that no code goes without either.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tasks.errors import VerificationError

UNREPRESENTABLE_VALUE: Final = "unrepresentable-value"
OUT_OF_RANGE: Final = "out-of-range"
MALFORMED_JSON: Final = "malformed-json"
MALFORMED_KEY: Final = "malformed-key"
MALFORMED_NOTE: Final = "malformed-note"
MALFORMED_CHECKPOINT: Final = "malformed-checkpoint"
MALFORMED_POLICY: Final = "malformed-policy"
MALFORMED_HASHES: Final = "malformed-hashes"
MALFORMED_TILE: Final = "malformed-tile"
MALFORMED_ENTRY: Final = "malformed-entry"
MALFORMED_PROOF: Final = "malformed-proof"
MALFORMED_RECORD_ID: Final = "malformed-record-id"
MALFORMED_PATH: Final = "malformed-path"
TILE_MISSING: Final = "tile-missing"
INCLUSION_PROOF_BAD: Final = "inclusion-proof-bad"
CONSISTENCY_PROOF_BAD: Final = "consistency-proof-bad"
CHECKPOINT_UNKNOWN_KEY: Final = "checkpoint-unknown-key"
CHECKPOINT_SIGNATURE_BAD: Final = "checkpoint-signature-bad"
CHECKPOINT_BEYOND_LIMIT: Final = "checkpoint-beyond-limit"
WITNESS_QUORUM_MISSING: Final = "witness-quorum-missing"
RECORD_CHANGED: Final = "record-changed"
FILE_ROOT_MISMATCH: Final = "file-root-mismatch"
ENTRY_NOT_IN_LOG: Final = "entry-not-in-log"

_AGAIN = "Fetch this evidence again from its store; if it stays so, treat it as damaged or altered."
_POLICY = "Compare the policy with the one you received from the log's owner by another way."

_CODES: Final = {
    UNREPRESENTABLE_VALUE: (
        "a value has no canonical form (float, huge integer, lone surrogate, unknown type)",
        "Map the value to a string or to an integer within 2**53-1 before it is sealed.",
    ),
    OUT_OF_RANGE: (
        "an index or size lies outside the tree",
        "Ask for an index below the size of the checkpoint that you hold.",
    ),
    MALFORMED_JSON: ("bytes are not canonical JSON (RFC 8785) as this format allows it", _AGAIN),
    MALFORMED_KEY: ("a verifier key is not a C2SP vkey of the needed kind", _POLICY),
    MALFORMED_NOTE: ("bytes are not a C2SP signed note", _AGAIN),
    MALFORMED_CHECKPOINT: ("a note's text is not a checkpoint of origin, size and root", _AGAIN),
    MALFORMED_POLICY: ("a trust policy breaks the C2SP tlog-policy syntax", _POLICY),
    MALFORMED_HASHES: ("hashes are not a whole number of 32-byte values", _AGAIN),
    MALFORMED_TILE: ("a hash tile or entry bundle has the wrong length or form", _AGAIN),
    MALFORMED_ENTRY: ("a log entry breaks its type's form", _AGAIN),
    MALFORMED_PROOF: ("a proof file breaks its form", _AGAIN),
    MALFORMED_RECORD_ID: (
        "a record id is not <32 hex digits>-<row>",
        "Copy the record id as the catalog or a proof shows it.",
    ),
    MALFORMED_PATH: ("an object path is none that this format defines", _AGAIN),
    TILE_MISSING: ("a tile or entry bundle that the checkpoint needs is not there", _AGAIN),
    INCLUSION_PROOF_BAD: ("an inclusion proof does not lead from the leaf to the root", _AGAIN),
    CONSISTENCY_PROOF_BAD: (
        "the smaller tree is not shown to be the beginning of the larger one",
        "Keep both checkpoints: two signed trees that do not fit are proof of a rewritten log.",
    ),
    CHECKPOINT_UNKNOWN_KEY: ("no log that the policy trusts has signed the checkpoint", _POLICY),
    CHECKPOINT_SIGNATURE_BAD: ("a signature under a trusted key does not fit the checkpoint", _AGAIN),
    CHECKPOINT_BEYOND_LIMIT: (
        "the checkpoint is larger than the size up to which the policy trusts its key",
        "Ask for a checkpoint or proof of the log that continues this one: this log's key was compromised.",
    ),
    WITNESS_QUORUM_MISSING: (
        "too few of the policy's witnesses have cosigned the checkpoint",
        "Wait for a cosigned checkpoint, or ask the log's owner why its witnesses do not sign.",
    ),
    RECORD_CHANGED: (
        "the record, its salt or its path does not lead to the file root that the entry names",
        "Take the record's proof again from the sealed file; if it stays so, the record was altered.",
    ),
    FILE_ROOT_MISMATCH: (
        "a file's rows do not have the root that the entry names",
        "Read the file's sealed version by the version id in the entry; if it stays so, it was altered.",
    ),
    ENTRY_NOT_IN_LOG: (
        "the entry is not in the tree of the signed checkpoint",
        "Take the proof again against the newest checkpoint; if it stays so, the entry was never sealed.",
    ),
}

MEANINGS: Final = MappingProxyType({code: meaning for code, (meaning, _) in _CODES.items()})


def failure(reason: str, message: str) -> VerificationError:
    """The error to raise for `reason`, with the code's next step.

    Args:
        reason: a code of this module.
        message: what was found and where; never a record value.
    """
    return VerificationError(reason, message, next_step=_CODES[reason][1])
