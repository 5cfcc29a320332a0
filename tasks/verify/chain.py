"""What entries say of each other: the genesis entry, and each source's chain of seal entries."""

from __future__ import annotations

from tasks.errors import VerificationError
from tasks.evidence import merkle, paths
from tasks.evidence.entry import Entry, GenesisEntry, RecoveryEntry, parse_entry
from tasks.evidence.seal_entry import SealEntry
from tasks.verify import reasons
from tasks.verify.report import Findings


class Chain:
    """Follows the entries of one log in their order."""

    def __init__(self, year: int, origin: str | None, findings: Findings) -> None:
        self.genesis: GenesisEntry | RecoveryEntry | None = None
        self._year, self._origin, self._findings = year, origin, findings
        self._last: dict[str, tuple[int, int, str]] = {}
        self._broken = False

    def lose(self) -> None:
        """An entry could not be read: whose it was is unknown, so no chain can be followed past it."""
        self._broken = True

    def take(self, index: int, data: bytes) -> Entry | None:
        """Parse entry `index` and check that it follows from those before it."""
        path = paths.sequence(self._year, index)
        try:
            entry = parse_entry(data)
        except VerificationError as error:
            self._findings.changed(error.reason, path, f"Entry {index} breaks the format ({error}).")
            self._broken = True
            return None
        if (index == 0) != (entry["type"] == "genesis"):
            sentence = "A log has one genesis entry, at index 0."
            self._findings.changed(reasons.GENESIS, path, sentence)
        elif entry["type"] == "genesis":
            self._take_genesis(entry, path)
        elif entry["type"] == "seal":
            self._take_seal(index, entry, merkle.leaf_hash(data).hex(), path)
        return entry

    def _take_genesis(self, entry: GenesisEntry | RecoveryEntry, path: str) -> None:
        self.genesis = entry
        if self._origin is not None and entry["origin"] != self._origin:
            sentence = "The genesis entry names another origin than the signed checkpoint."
            self._findings.changed(reasons.GENESIS, path, sentence)

    def _take_seal(self, index: int, entry: SealEntry, leaf: str, path: str) -> None:
        source, number, previous = entry["source"], entry["source_seq"], entry["previous"]
        before = self._last.get(source)
        self._last[source] = (index, number, leaf)
        if self._broken:
            return
        if before is None:
            follows = previous is None and number == 0
        else:
            follows = previous == {"entry": before[0], "leaf": before[2]} and number == before[1] + 1
        if not follows:
            sentence = (
                f"Entry {index} does not continue the chain of source {source}: an entry is lost or added."
            )
            self._findings.changed(reasons.CHAIN, path, sentence)
