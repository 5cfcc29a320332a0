"""Trust policies: C2SP tlog-policy. Which logs may sign, and which witnesses must have seen a checkpoint.

A policy is the auditor's own file: trust comes from it and from nowhere in the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tasks.errors import VerificationError
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import CosignatureVerifier, NoteVerifier, open_note
from tasks.evidence.reasons import (
    CHECKPOINT_UNKNOWN_KEY,
    MALFORMED_POLICY,
    WITNESS_QUORUM_MISSING,
    failure,
)

MAX_POLICY_BYTES: Final = 1 << 16
NO_QUORUM: Final = "none"

_BLANKS: Final = re.compile(r"[ \t]+")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups of which at least `threshold` must have seen a checkpoint."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Whom to believe.

    Attributes:
        logs: keys of the accepted logs; a key's name is the log's origin.
        witnesses: by their name in the policy.
        groups: by name, each after its members.
        quorum: name of a witness or group, or `none`.
    """

    logs: tuple[NoteVerifier, ...]
    witnesses: Mapping[str, CosignatureVerifier]
    groups: Mapping[str, Group]
    quorum: str

    def open_checkpoint(self, note: bytes) -> Checkpoint:
        """The checkpoint of a note that satisfies this policy.

        Raises:
            VerificationError: as `open_note` and `parse_checkpoint`; `checkpoint-unknown-key` when no
                trusted log of that origin signed; `witness-quorum-missing`.
        """
        text, signers = open_note(note, [*self.logs, *self.witnesses.values()])
        checkpoint = parse_checkpoint(text)
        if not any(log in signers and log.name == checkpoint.origin for log in self.logs):
            raise failure(CHECKPOINT_UNKNOWN_KEY, "no log of the policy signed under the note's origin")
        if not self._has_quorum({name for name, key in self.witnesses.items() if key in signers}):
            raise failure(WITNESS_QUORUM_MISSING, f"the quorum {self.quorum} has not cosigned")
        return checkpoint

    def _has_quorum(self, seen: set[str]) -> bool:
        for name, group in self.groups.items():
            if sum(member in seen for member in group.members) >= group.threshold:
                seen.add(name)
        return self.quorum == NO_QUORUM or self.quorum in seen


def parse_policy(text: str | bytes) -> Policy:
    """The policy that `text` spells. Non-ASCII bytes in names are opaque; URLs are accepted and dropped.

    Raises:
        VerificationError: `malformed-policy`, with the line.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if len(text) > MAX_POLICY_BYTES or _FORBIDDEN.search(text) or not text.endswith("\n"):
        raise failure(
            MALFORMED_POLICY,
            f"holds a control character, exceeds {MAX_POLICY_BYTES} characters, or lacks its last newline",
        )
    draft = _Draft()
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        words = _BLANKS.split(line.strip(" \t"))
        if words[0] and not words[0].startswith("#"):
            try:
                draft.add(*words)
            except (ValueError, VerificationError) as error:
                raise failure(MALFORMED_POLICY, f"line {number}: {error}") from error
    return draft.finish()


@dataclass(slots=True)
class _Draft:
    """A policy while its lines are read."""

    logs: list[NoteVerifier] = field(default_factory=list)
    witnesses: dict[str, CosignatureVerifier] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)
    quorum: str | None = None

    def add(self, keyword: str, *words: str) -> None:
        match keyword, words:
            case "log", (vkey,) | (vkey, _):
                self._log(NoteVerifier.from_vkey(vkey))
            case "witness", (name, vkey) | (name, vkey, _):
                self._witness(name, CosignatureVerifier.from_vkey(vkey))
            case "group", (name, threshold, *members) if members:
                self._group(name, threshold, tuple(members))
            case "quorum", (name,):
                self._quorum(name)
            case _:
                raise ValueError("unknown keyword or wrong number of words")

    def finish(self) -> Policy:
        if self.quorum is None:
            raise failure(MALFORMED_POLICY, "there is no quorum line; write `quorum none` to ask for none")
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum)

    def _log(self, key: NoteVerifier) -> None:
        if key.public_key in {log.public_key for log in self.logs}:
            raise ValueError("this log key is listed twice")
        self.logs.append(key)

    def _witness(self, name: str, key: CosignatureVerifier) -> None:
        self._check_new(name)
        if key.public_key in {witness.public_key for witness in self.witnesses.values()}:
            raise ValueError("this witness key is listed twice")
        self.witnesses[name] = key

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            if member in self.grouped:
                raise ValueError("a name is a member twice")
            self.grouped.add(member)
        count = {"any": 1, "all": len(members)}.get(threshold) or _group_count(threshold, len(members))
        self.groups[name] = Group(count, members)

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise ValueError("there is a second quorum line")
        if name != NO_QUORUM:
            self._check_defined(name)
        self.quorum = name

    def _check_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self.witnesses or name in self.groups:
            raise ValueError("this name is reserved or already defined")

    def _check_defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise ValueError("a name is used before it is defined")


def _group_count(text: str, members: int) -> int:
    if not _COUNT.fullmatch(text) or int(text) > members:
        raise ValueError("a group's threshold is `all`, `any` or 1 to the number of its members")
    return int(text)
