"""`indelible-verify`: the auditor's command. Standard library only, no network, nothing is written but --state.

    indelible-verify PATH [--policy FILE] [--tsa-certificates FILE] [--json] [--no-rows] [--quiet]
                     [--only OBJECT] [--state FILE]

PATH is a directory copy of a store, an evidence bundle (.zip), a record's proof file, or a directory or .zip of those.
Exit codes: 0 nothing is changed or missing, 1 unexpected error, 2 usage, 6 findings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

from tasks.errors import IndelibleError, StoreRefusedError, UsageError, VerificationError
from tasks.evidence import proof as record_proof
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.policy import MAX_POLICY_BYTES, Policy, parse_policy
from tasks.evidence.terms import instant
from tasks.evidence.tlog_proof import MAX_PROOF_BYTES
from tasks.verify import printing, proofs, withheld
from tasks.verify.bundle import bundle_format
from tasks.verify.readers import DirectoryReader, Reader, ZipReader
from tasks.verify.state import Journal
from tasks.verify.timestamps import read_certificates
from tasks.verify.tree import verify

EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_FINDINGS = 0, 1, 2, VerificationError.exit_code

_PROGRESS_AFTER_S = 1.0
_PROGRESS_EVERY_S = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the program's name; None takes them from the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        policy = None if options.policy is None else _read_policy(options.policy)
        if _is_proof(options.path):
            return _run_proof(options, policy)
        return _run_tree(options, _reader(options.path), policy)
    except UsageError as error:
        return _fail(error, EXIT_USAGE)
    except StoreRefusedError as error:
        return _fail(error, EXIT_FINDINGS)
    except IndelibleError as error:
        return _fail(error, error.exit_code)
    except BrokenPipeError:
        return EXIT_UNEXPECTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="indelible-verify",
        description="Check sealed evidence: a copy of a store, an evidence bundle, or proofs of records.",
        epilog="Exit codes: 0 nothing changed or missing, 1 unexpected error, 2 usage, 6 findings.",
    )
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="directory, bundle or proofs (.zip), or a proof file"
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="trust policy (C2SP tlog-policy), got apart from the copy"
    )
    parser.add_argument(
        "--tsa-certificates",
        type=Path,
        metavar="FILE",
        help="PEM certificates of the time-stamping authority (needs rfc3161-client)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--no-rows", action="store_true", help="do not open data and quarantine files")
    parser.add_argument(
        "--only", metavar="OBJECT", help="of all objects, only data/source=..., with the logs"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep here what is checked, and go on from it after a run that was killed",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing when all is well; no progress")
    return parser


def _fail(error: IndelibleError, code: int) -> int:
    print(f"indelible-verify: {error}", file=sys.stderr)
    if error.next_step:
        print(f"  {error.next_step}", file=sys.stderr)
    return code


def _read_policy(path: Path) -> Policy:
    try:
        return parse_policy(_read_bounded(path, MAX_POLICY_BYTES))
    except VerificationError as error:
        raise UsageError(f"{path.name} is no trust policy ({error})", next_step=error.next_step) from error


def _read_bounded(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", next_step="Check the path.") from error
    if len(data) > limit:
        raise UsageError(f"{path.name} is larger than {limit} bytes", next_step="Check the path.")
    return data


def _is_proof(path: Path) -> bool:
    if not path.exists():
        raise UsageError(
            f"there is nothing at {path}", next_step="Give a directory, a bundle or a proof file."
        )
    return path.is_file() and path.suffix != ".zip" and not zipfile.is_zipfile(path)


def _reader(path: Path) -> Reader:
    return DirectoryReader(path) if path.is_dir() else ZipReader(path)


def _run_tree(options: argparse.Namespace, reader: Reader, policy: Policy | None) -> int:
    progress = _Progress(sys.stderr, quiet=options.quiet)
    authority = None if options.tsa_certificates is None else read_certificates(options.tsa_certificates)
    rows = not options.no_rows
    if bundle_format(reader) == withheld.FORMAT:
        report = withheld.verify_withheld(reader, policy or _no_policy(), progress, rows=rows)
    elif proofs.are_proofs(reader):
        report = proofs.verify_proofs(reader, policy or _no_policy(), progress)
    else:
        journal = None if options.state is None else _journal(options)
        report = verify(
            reader,
            policy,
            progress=progress,
            rows=rows,
            authority=authority,
            only=options.only,
            journal=journal,
        )
        if journal is not None:
            journal.end()
    progress.close()
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
    elif not options.quiet or not report.ok:
        printing.print_report(report, sys.stdout)
    return EXIT_OK if report.ok else EXIT_FINDINGS


def _journal(options: argparse.Namespace) -> Journal:
    subject = {
        "copy": str(options.path.resolve()),
        "rows": not options.no_rows,
        "verifier": _own_version(),
    }
    began_at = instant(datetime.now(UTC))
    return Journal(options.state, subject, began_at, resume=True)


def _own_version() -> str:
    """Names this verifier: what another one began is not gone on with."""
    try:
        return f"indelible/{version('indelible')}"
    except PackageNotFoundError:  # the archive of a bundle, which nobody installs
        return f"archive/{hashlib.sha256(Path(sys.argv[0]).read_bytes()).hexdigest()}"


def _run_proof(options: argparse.Namespace, policy: Policy | None) -> int:
    try:
        proof = record_proof.parse(_read_bounded(options.path, MAX_PROOF_BYTES))
        signed_by = policy or _no_policy()
        record = record_proof.check(proof, signed_by)
        result = _proof_result(proof, record, signed_by.open_checkpoint(proof.checkpoint))
    except VerificationError as error:
        if options.json:
            failure = {
                "ok": False,
                "reason": error.reason,
                "sentence": str(error),
                "next_step": error.next_step,
            }
            print(json.dumps({"format": "indelible-report/1", **failure}, indent=2))
        else:
            printing.print_failed_proof(error, sys.stdout)
        return EXIT_FINDINGS
    if options.json:
        print(json.dumps(result, indent=2))
    elif not options.quiet:
        printing.print_proof(result, sys.stdout)
    return EXIT_OK


def _no_policy() -> Policy:
    raise UsageError(
        "a proof holds no public key, so it needs --policy",
        next_step="Get the policy file from the log's owner by another way and pass it with --policy.",
    )


def _proof_result(
    proof: record_proof.RecordProof, record: Mapping[str, Any], checkpoint: Checkpoint
) -> dict[str, Any]:
    entry, file = proof.seal(), proof.data_file()
    return {
        "format": "indelible-report/1",
        "ok": True,
        "record_id": str(proof.record_id()),
        "record": dict(record),
        "source": entry["source"],
        "file": file["path"],
        "row": proof.row,
        "rows": file["rows"],
        "sealed_at": entry["sealed_at"],
        "entry": proof.index,
        "checkpoint": {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
        },
    }


class _Progress:
    """One line on a terminal that is rewritten, for work of more than a second."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._silent = quiet or not stream.isatty()
        self._next = time.monotonic() + _PROGRESS_AFTER_S
        self._shown = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` of a stage is checked."""
        now = time.monotonic()
        if not self._silent and now >= self._next:
            self._next, self._shown = now + _PROGRESS_EVERY_S, True
            self._stream.write(f"\r\x1b[K{stage}: {done:,} of {total:,}")
            self._stream.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")


if __name__ == "__main__":
    sys.exit(main())
