"""What `key` entries and recoveries say of the keys that signed: whose signature was worth nothing any more.

A policy says whom to trust; a log says for how long. Both must hold.
"""

from __future__ import annotations

from collections import defaultdict

from tasks.evidence import paths
from tasks.evidence.entry import Entry
from tasks.verify import reasons
from tasks.verify.report import Findings
from tasks.verify.shard import Shard

_NEWER_POLICY = "Get the policy that the log's owner made after the compromise; it limits the key."


class Keys:
    """Follows the keys of one log."""

    def __init__(self, shard: Shard, findings: Findings) -> None:
        self._shard, self._findings = shard, findings
        self._withdrawn: dict[int, set[str]] = defaultdict(set)

    def take(self, index: int, entry: Entry) -> None:
        """Note one entry under a checkpoint."""
        if entry["type"] != "key" or "key" not in entry:
            return
        name = entry["key"].split("+", 1)[0]
        if self._shard.checkpoint is not None and name != self._shard.checkpoint.origin:
            sentence = f"Entry {index} is about a key of {name!r}, which is another log."
            self._findings.changed(reasons.KEY_FOREIGN, paths.sequence(self._shard.year, index), sentence)
        if entry["action"] != "announce":
            self._withdrawn[index].add(entry["key"])

    def judge(self) -> None:
        """Report checkpoints that are signed only by keys which the log had withdrawn by then."""
        withdrawn: set[str] = set()
        waiting = sorted(self._withdrawn.items(), reverse=True)
        for path, (size, keys) in sorted(self._shard.signers.items(), key=lambda item: item[1][0]):
            while waiting and waiting[-1][0] < size:
                withdrawn |= waiting.pop()[1]
            if keys <= withdrawn:
                sentence = "Only keys that the log had retired or revoked before have signed this checkpoint."
                self._findings.changed(reasons.KEY_REVOKED, path, sentence)


def check_recovery(before: Shard, last_good: int, findings: Findings) -> None:
    """Report that a log is believed beyond the size at which its successor gave it up."""
    if before.checkpoint is not None and before.checkpoint.size > last_good:
        path = paths.checkpoint_at(before.year, before.checkpoint.size)
        sentence = (
            f"The next log says that this log's key was compromised and holds up to size {last_good}, "
            "but the policy trusts the key beyond it."
        )
        findings.changed(reasons.KEY_COMPROMISED, path, sentence, _NEWER_POLICY)
