"""A journal of what a long verification has checked, so that a killed one goes on where it stopped.

One JSON line an entry, appended when its objects, rows and lines are done, with all that was found: what was found
stays found, also when the object looks right afterwards. Logs, checkpoints and listings are always checked anew, and
a line counts only for the same entry (by its leaf hash), checked the same way by the same version of the verifier.

The journal is not signed: whoever can write it can make a resumed check skip entries. It lies with whoever checks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tasks.errors import UsageError
from tasks.verify.report import Finding, Findings, Verdict

FORMAT = "indelible-verify-state/1"


class Journal:
    """Results by entry, in one file. Whoever opens it closes it, or ends it when all is checked."""

    def __init__(self, path: Path, subject: Mapping[str, Any], began_at: str, *, resume: bool) -> None:
        """Open the file, or begin it anew.

        Args:
            path: the file.
            subject: what is checked and how: every value must be the same to go on. JSON values.
            began_at: the time now, as the report is to show it.
            resume: go on with what an earlier run left, if there is anything.

        Raises:
            UsageError: the file belongs to another check, or cannot be written.
        """
        self._began_at, self._recalled = began_at, 0
        self._path, self._known = path, dict[str, Mapping[str, Any]]()
        try:
            if not resume or not path.exists():
                self._begin(subject)
            with path.open("r+b") as file:
                file.truncate(self._load(file, subject))
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}", next_step="Name another file."
            ) from error

    @property
    def summary(self) -> Mapping[str, Any] | None:
        """Entries that an interrupted run had checked, and when it began; None when there are none."""
        return {"entries": self._recalled, "began_at": self._began_at} if self._recalled else None

    def recall(self, leaf: str) -> Findings | None:
        """What was found for the entry with this leaf hash, or None when it has not been checked."""
        line = self._known.get(leaf)
        if line is None:
            return None
        self._recalled += 1
        return _findings(line)

    def record(self, leaf: str, found: Findings) -> None:
        """Keep what was found for one entry."""
        line = {
            "leaf": leaf,
            "counted": dict(found.counted),
            "totals": {verdict.value: count for verdict, count in found.totals.items()},
            "findings": [finding.as_dict() for finding in found.listed],
        }
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Let go of the file; a later run can go on with it."""
        self._file.close()

    def end(self) -> None:
        """All is checked: there is nothing to go on with."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _begin(self, subject: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        header = {"format": FORMAT, "subject": dict(subject), "began_at": self._began_at}
        new = self._path.with_name(self._path.name + ".new")
        new.write_bytes(json.dumps(header).encode() + b"\n")
        new.replace(self._path)

    def _load(self, file: BinaryIO, subject: Mapping[str, Any]) -> int:
        """Read the lines up to one that a killed run left unfinished; where that one begins."""
        header = _parse(file.readline())
        if header is None or (header.get("format"), header.get("subject")) != (FORMAT, dict(subject)):
            raise UsageError(
                f"{self._path} belongs to another check, or to another version of the verifier",
                next_step="Check from the beginning: leave out --resume, or name another --state file.",
            )
        self._began_at = header["began_at"]
        end = file.tell()
        while (line := _parse(file.readline())) is not None:
            self._known[line["leaf"]] = line
            end = file.tell()
        return end


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if text.endswith(b"\n") else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _findings(line: Mapping[str, Any]) -> Findings:
    listed = [Finding(**{**item, "verdict": Verdict(item["verdict"])}) for item in line["findings"]]
    found = Findings(listed)
    found.counted.update(line["counted"])
    found.totals.update({Verdict(name): count for name, count in line["totals"].items()})
    return found
