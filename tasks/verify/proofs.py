"""Many proofs of records: a directory or an archive of `.proof` files, each judged alone.

That a record is among them says something about it; that one is absent says nothing. Format: FORMAT.md, "Proof of one
record".
"""

from __future__ import annotations

from tasks.errors import StoreRefusedError, VerificationError
from tasks.evidence import paths
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.policy import Policy
from tasks.evidence.proof import check, parse
from tasks.evidence.reasons import MALFORMED_PROOF
from tasks.evidence.tlog_proof import MAX_PROOF_BYTES
from tasks.verify import reasons
from tasks.verify.access import Progress
from tasks.verify.bundle import MANIFEST
from tasks.verify.readers import Reader
from tasks.verify.report import Findings, Report, ShardSummary

SUFFIX = ".proof"
_AGAIN = "Ask for the proof again; if it stays so, the record was altered or never sealed."


def are_proofs(reader: Reader) -> bool:
    """Whether the tree is no copy of a store and no bundle, and has proofs of records."""
    if reader.size(MANIFEST) is not None or any(True for _ in reader.list(paths.LOG_PREFIX)):
        return False
    return any(path.endswith(SUFFIX) for path in reader.list())


def verify_proofs(reader: Reader, policy: Policy, progress: Progress) -> Report:
    """Check every proof. Goes on after each finding.

    Args:
        reader: where they lie.
        policy: whom to trust, obtained from outside.
        progress: called with a stage, what is done and how much there is.
    """
    findings = Findings()
    logs: dict[str, Checkpoint] = {}
    names = list(reader.list())
    for done, path in enumerate(names):
        progress("proofs", done, len(names))
        if not path.endswith(SUFFIX):
            findings.unmeasured(reasons.OBJECT_UNNAMED, path, "It is no proof of a record and was not read.")
            continue
        try:
            checkpoint = _check(reader, path, policy)
        except VerificationError as error:
            findings.changed(
                error.reason, path, f"The record is not proven ({error}).", error.next_step or _AGAIN
            )
        except StoreRefusedError as error:
            findings.missing(reasons.OBJECT_UNREADABLE, path, f"Its bytes cannot be had: {error}.")
        else:
            findings.counted["records"] += 1
            newest = logs.setdefault(checkpoint.origin, checkpoint)
            logs[checkpoint.origin] = max(newest, checkpoint, key=lambda known: known.size)
    return Report(
        shards=tuple(_summary(checkpoint) for _, checkpoint in sorted(logs.items())),
        findings=tuple(findings.listed),
        totals=dict(findings.totals),
        counted=dict(findings.counted),
        key_source="outside",
    )


def _check(reader: Reader, path: str, policy: Policy) -> Checkpoint:
    size = reader.size(path)
    if size is None or size > MAX_PROOF_BYTES:
        raise VerificationError(MALFORMED_PROOF, f"longer than {MAX_PROOF_BYTES} bytes", next_step=_AGAIN)
    proof = parse(reader.read(path))
    check(proof, policy)
    return policy.open_checkpoint(proof.checkpoint)


def _summary(checkpoint: Checkpoint) -> ShardSummary:
    year = checkpoint.origin.rpartition("/")[2]
    return ShardSummary(year, checkpoint.origin, checkpoint.size, checkpoint.root.hex(), 1, 0, signed=True)
