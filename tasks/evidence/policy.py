"""Trust policies: C2SP tlog-policy. Which logs may sign, and which witnesses must have seen a checkpoint.

A policy is the auditor's own file: trust comes from it and from nowhere in the store.

A log may have several keys, one `log` line each: while keys are rotated, and for the checkpoints before.
One line is an extension of ours, `log-up-to <size> <vkey>`: a key that was compromised later, trusted for
checkpoints of at most that size. Other tools refuse a policy with it, which is the safe way to not know it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tasks.errors import VerificationError
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import CosignatureVerifier, NoteVerifier, cosigned_at, open_note
from tasks.evidence.reasons import (
    CHECKPOINT_BEYOND_LIMIT,
    CHECKPOINT_UNKNOWN_KEY,
    MALFORMED_POLICY,
    WITNESS_QUORUM_MISSING,
    failure,
)

MAX_POLICY_BYTES: Final = 1 << 16
NO_QUORUM: Final = "none"
WITNESSES: Final = "witnesses"

_BLANKS: Final = re.compile(r"[ \t]+")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,4}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,14}")


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
        limits: for keys that are not trusted without end, the largest size that they may sign.
    """

    logs: tuple[NoteVerifier, ...]
    witnesses: Mapping[str, CosignatureVerifier]
    groups: Mapping[str, Group]
    quorum: str
    limits: Mapping[NoteVerifier, int] = field(default_factory=dict)

    def open_checkpoint(self, note: bytes) -> Checkpoint:
        """The checkpoint of a note that satisfies this policy.

        Raises:
            VerificationError: as `open_note` and `parse_checkpoint`; `checkpoint-unknown-key` when no
                trusted log of that origin signed; `checkpoint-beyond-limit` when those that did are not
                trusted that far; `witness-quorum-missing`.
        """
        checkpoint = self.open_signed(note)
        if self.asks_for_witnesses and self.witnessed_at(note) is None:
            raise failure(WITNESS_QUORUM_MISSING, f"the quorum {self.quorum} has not cosigned")
        return checkpoint

    def open_signed(self, note: bytes) -> Checkpoint:
        """The checkpoint of a note that a trusted log signed, whether or not witnesses have seen it.

        Raises:
            VerificationError: as `open_checkpoint`, without `witness-quorum-missing`.
        """
        return self._open(note)[0]

    def signed_by(self, note: bytes) -> tuple[NoteVerifier, ...]:
        """The keys of the note's log that signed it and are trusted that far; raises as `open_signed`."""
        return self._open(note)[1]

    def _open(self, note: bytes) -> tuple[Checkpoint, tuple[NoteVerifier, ...]]:
        text, signers = open_note(note, [*self.logs, *self.witnesses.values()])
        checkpoint = parse_checkpoint(text)
        keys = [log for log in self.logs if log in signers and log.name == checkpoint.origin]
        if not keys:
            raise failure(CHECKPOINT_UNKNOWN_KEY, "no log of the policy signed under the note's origin")
        keys = [log for log in keys if checkpoint.size <= self.limits.get(log, checkpoint.size)]
        if not keys:
            raise failure(CHECKPOINT_BEYOND_LIMIT, f"the key is not trusted up to size {checkpoint.size}")
        return checkpoint, tuple(keys)

    def text(self) -> str:
        """The policy spelled out, without URLs; `parse_policy` makes an equal one of it."""
        limits = {key.vkey: size for key, size in self.limits.items()}
        lines = [_log_line(key.vkey, limits) for key in self.logs]
        lines += [f"witness {name} {key.vkey}\n" for name, key in self.witnesses.items()]
        lines += [
            f"group {name} {group.threshold} {' '.join(group.members)}\n"
            for name, group in self.groups.items()
        ]
        return "".join([*lines, f"quorum {self.quorum}\n"])

    @property
    def asks_for_witnesses(self) -> bool:
        """Whether a signature of the log alone is not enough."""
        return self.quorum != NO_QUORUM

    def witnessed_at(self, note: bytes) -> int | None:
        """The latest time, in Unix seconds, from which on a quorum has cosigned; None without a quorum.

        Raises:
            VerificationError: `malformed-note`; `checkpoint-signature-bad`.
        """
        times = cosigned_at(note, list(self.witnesses.values()))
        for since in sorted(times.values(), reverse=True):
            if self._has_quorum({n for n, key in self.witnesses.items() if times.get(key, -1) >= since}):
                return since
        return None

    def _has_quorum(self, seen: set[str]) -> bool:
        for name, group in self.groups.items():
            if sum(member in seen for member in group.members) >= group.threshold:
                seen.add(name)
        return self.quorum == NO_QUORUM or self.quorum in seen


def policy_text(
    log_keys: Sequence[str],
    witnesses: Mapping[str, tuple[str, str]] | None = None,
    threshold: int | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """A policy that trusts some logs and asks for some of the witnesses.

    Args:
        log_keys: vkeys of the logs.
        witnesses: vkey and URL by name.
        threshold: how many must have cosigned; None asks for all.
        limits: vkey -> largest size that it may sign, for keys that were compromised.
    """
    logs = [_log_line(key, limits) for key in log_keys]
    if not witnesses:
        return "".join([*logs, f"quorum {NO_QUORUM}\n"])
    members = [f"witness {name} {vkey} {url}\n" for name, (vkey, url) in witnesses.items()]
    group = f"group {WITNESSES} {threshold or 'all'} {' '.join(witnesses)}\n"
    return "".join([*logs, *members, group, f"quorum {WITNESSES}\n"])


def _log_line(vkey: str, limits: Mapping[str, int]) -> str:
    return f"log-up-to {limits[vkey]} {vkey}\n" if vkey in limits else f"log {vkey}\n"


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
    limits: dict[NoteVerifier, int] = field(default_factory=dict)

    def add(self, keyword: str, *words: str) -> None:
        match keyword, words:
            case "log", (vkey,) | (vkey, _):
                self._log(NoteVerifier.from_vkey(vkey))
            case "log-up-to", (size, vkey) | (size, vkey, _) if _SIZE.fullmatch(size):
                key = NoteVerifier.from_vkey(vkey)
                self._log(key)
                self.limits[key] = int(size)
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
        return Policy(tuple(self.logs), self.witnesses, self.groups, self.quorum, self.limits)

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
