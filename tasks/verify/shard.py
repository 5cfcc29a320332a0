"""One log, `log/<year>/`: checkpoints, entries, tiles and sequence against each other.

An entry's hash stands in three places: a hash tile, an entry bundle and the sequence. The signed root
decides which of them are right, so damage to one is named and the check goes on with the others.
Implements the reading side of C2SP tlog-tiles and tlog-checkpoint over RFC 6962 trees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tasks.errors import VerificationError
from tasks.evidence import merkle, paths, tiles
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import MAX_NOTE_BYTES
from tasks.evidence.policy import Policy
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.growth import Frontier, tile_levels
from tasks.verify.listing import Listing, TileName, needed_tiles

MAX_BUNDLE_BYTES = tiles.WIDTH * (tiles.MAX_ENTRY_BYTES + 2)
MAX_TILE_BYTES = tiles.WIDTH * 32


class Shard:
    """One log while it is checked. `leaves` are the entry hashes that the check goes by."""

    def __init__(self, tree: Tree, year: int, policy: Policy | None, listing: Listing) -> None:
        self.year, self.listing = year, listing
        self.checkpoint: Checkpoint | None = None
        self.signed: dict[int, Checkpoint] = {}
        self.signers: dict[str, tuple[int, frozenset[str]]] = {}
        self.leaves: list[bytes | None] = []
        self.holds = False
        self._tree, self._policy, self._findings = tree, policy, tree.findings
        self._prefix = paths.log_prefix(year)
        self._page: tuple[int, list[bytes]] = (-1, [])

    @property
    def size(self) -> int:
        """Entries under the newest checkpoint (or in the sequence, when there is no checkpoint)."""
        return len(self.leaves)

    @property
    def pending(self) -> list[int]:
        """Indexes in the sequence that no checkpoint covers."""
        return sorted(index for index in self.listing.sequence if index >= self.size)

    def check(self) -> None:
        """Run all checks of this log's own objects."""
        for path in self.listing.unknown:
            self._findings.changed(reasons.LOG_EXTRA, path, "The format defines no such object under log/.")
        self._open_checkpoints()
        self._resolve_leaves(self._bounded_size())
        self._check_prefixes()
        self._check_tiles()
        self._check_pending()

    def entries(self) -> Iterator[tuple[int, bytes | None]]:
        """Index and bytes of each entry; None where no place holds the entry that was sealed."""
        for index, leaf in enumerate(self.leaves):
            entry = self._bundled(index)
            if entry is None or merkle.leaf_hash(entry) != leaf:
                entry = self._sequenced(index)
            if entry is None or merkle.leaf_hash(entry) != leaf:
                entry = None
                sentence = f"The bytes of entry {index} are neither in its bundle nor in the sequence."
                self._tree.absent(paths.sequence(self.year, index), reasons.ENTRY_MISSING, sentence)
            yield index, entry

    def begins_with(self, checkpoint: Checkpoint) -> bool:
        """Whether this log's first entries are the tree that `checkpoint` signs."""
        leaves = self.leaves[: checkpoint.size]
        same_log = self.checkpoint is not None and self.checkpoint.origin == checkpoint.origin
        return same_log and len(leaves) == checkpoint.size and _root(leaves) == checkpoint.root

    def pending_entries(self) -> Iterator[tuple[int, bytes]]:
        """Index and bytes of the entries that no checkpoint covers."""
        for index in self.pending:
            entry = self._sequenced(index)
            if entry is not None:
                yield index, entry

    # Checkpoints

    def _open_checkpoints(self) -> None:
        for size in sorted(self.listing.checkpoints):
            path = paths.checkpoint_at(self.year, size)
            checkpoint = self._open(path)
            if checkpoint is not None and checkpoint.size != size:
                sentence = f"The checkpoint's name says size {size}, its signed text says {checkpoint.size}."
                self._findings.changed(reasons.CHECKPOINT_NAME, path, sentence)
            elif checkpoint is not None:
                self.signed[size] = checkpoint
        pointer_path = paths.checkpoint(self.year)
        pointer = self._open(pointer_path)
        newest = max(self.signed, default=-1)
        if pointer is not None and pointer.size < newest:
            sentence = f"The pointer shows size {pointer.size}, but a checkpoint of size {newest} is stored."
            step = "Go by the stored checkpoint. Delivering once more renews the pointer."
            self._findings.pending(reasons.CHECKPOINT_STALE, pointer_path, sentence, step)
        elif pointer is not None and pointer.size > newest:
            stored = paths.checkpoint_at(self.year, pointer.size)
            self._tree.absent(
                stored, reasons.CHECKPOINT_MISSING, "The pointer shows a checkpoint that is not stored."
            )
            self.signed[pointer.size] = pointer
        elif pointer is not None and pointer != self.signed[newest]:
            sentence = "Two signed checkpoints of one size differ: the log was shown in two versions."
            self._findings.changed(reasons.CHECKPOINT_INCONSISTENT, pointer_path, sentence)
        self.checkpoint = self.signed[max(self.signed)] if self.signed else None

    def _open(self, path: str) -> Checkpoint | None:
        missing = (reasons.CHECKPOINT_MISSING, "The log's checkpoint is not there.")
        note = self._tree.fetch(path, MAX_NOTE_BYTES, missing)
        if note is None or self._policy is None:
            return None
        try:
            checkpoint = self._policy.open_signed(note)
            keys = frozenset(key.vkey for key in self._policy.signed_by(note))
            self.signers[path] = checkpoint.size, keys
            return checkpoint
        except VerificationError as error:
            if error.reason == reasons.CHECKPOINT_BEYOND_LIMIT:
                sentence = "The policy does not trust the key that signed this checkpoint up to its size."
                self._findings.pending(error.reason, path, sentence, _GIVEN_UP)
                return None
            self._findings.changed(error.reason, path, f"The checkpoint is not to be believed ({error}).")
            return None

    # Leaves

    def _bounded_size(self) -> int:
        """Size to check: the signed one, but no more than the listed objects could hold."""
        sequence = 0
        while sequence in self.listing.sequence:
            sequence += 1
        if self.checkpoint is None:
            return sequence
        held = Counter(tile.level for tile in self.listing.tiles)
        room = max(sequence, len(self.listing.sequence), tiles.WIDTH * max(held[None], held[0]))
        if self.checkpoint.size > room:
            sentence = (
                f"The checkpoint covers {self.checkpoint.size} entries; the objects here hold at most {room}."
            )
            self._findings.missing(reasons.TILE_MISSING, self._prefix + "tile/", sentence)
        return min(self.checkpoint.size, room)

    def _resolve_leaves(self, size: int) -> None:
        sources = (self._bundle_leaves(size), self._tile_leaves(size), self._sequence_leaves(size))
        agreed = [_most_common(candidates) for candidates in zip(*sources, strict=True)]
        self.leaves = agreed
        if self.checkpoint is None:
            return
        for candidate in (agreed, *sources):
            if size == self.checkpoint.size and _root(candidate) == self.checkpoint.root:
                self.leaves, self.holds = candidate, True
                break
        else:
            sentence = "The log's entries do not hash to the newest signed root; no place holds all of them."
            self._findings.changed(
                reasons.ROOT_MISMATCH, paths.checkpoint_at(self.year, self.checkpoint.size), sentence
            )
        self._check_sequence(sources[2])

    def _bundle_leaves(self, size: int) -> list[bytes | None]:
        leaves: list[bytes | None] = []
        for start in range(0, size, tiles.WIDTH):
            width = min(tiles.WIDTH, size - start)
            hashes = [merkle.leaf_hash(entry) for entry in self._load_page(start // tiles.WIDTH)[:width]]
            leaves += [*hashes, *[None] * (width - len(hashes))]
        return leaves

    def _tile_leaves(self, size: int) -> list[bytes | None]:
        leaves: list[bytes | None] = []
        for start in range(0, size, tiles.WIDTH):
            width = min(tiles.WIDTH, size - start)
            data = self._peek_tile(TileName(0, start // tiles.WIDTH, width), MAX_TILE_BYTES)
            hashes = [data[i : i + 32] for i in range(0, min(len(data), 32 * width) // 32 * 32, 32)]
            leaves += [*hashes, *[None] * (width - len(hashes))]
        return leaves

    def _sequence_leaves(self, size: int) -> list[bytes | None]:
        entries = (self._sequenced(index) for index in range(size))
        return [None if entry is None else merkle.leaf_hash(entry) for entry in entries]

    def _check_sequence(self, found: Sequence[bytes | None]) -> None:
        for index, (leaf, expected) in enumerate(zip(found, self.leaves, strict=True)):
            path = paths.sequence(self.year, index)
            if leaf is None:
                sentence = f"Entry {index} is under the newest checkpoint and not in the sequence."
                self._tree.absent(path, reasons.SEQUENCE_MISSING, sentence)
            elif leaf != expected:
                sentence = f"The object is not the entry that was sealed at index {index}."
                self._findings.changed(reasons.SEQUENCE_MISMATCH, path, sentence)

    # Older checkpoints, tiles, what is not covered yet

    def _check_prefixes(self) -> None:
        frontier = Frontier()
        for leaf in [*self.leaves, None]:
            checkpoint = self.signed.get(frontier.size)
            if (
                checkpoint is not None
                and checkpoint != self.checkpoint
                and frontier.root() != checkpoint.root
            ):
                path = paths.checkpoint_at(self.year, checkpoint.size)
                sentence = (
                    "This signed checkpoint is not a beginning of the newest one: the log was rewritten."
                )
                self._findings.changed(reasons.CHECKPOINT_INCONSISTENT, path, sentence)
            if leaf is None:
                break
            frontier.add(leaf)

    def _check_tiles(self) -> None:
        listed = set(self.listing.tiles)
        for tile in needed_tiles(self.size):
            if tile not in listed and TileName(tile.level, tile.index, tiles.WIDTH) not in listed:
                sentence = "A tile that the newest checkpoint needs is not there."
                self._tree.absent(self._prefix + tile.path(), reasons.TILE_MISSING, sentence)
        levels = tile_levels(self._known_leaves())
        for tile in self.listing.tiles:
            self._check_tile(tile, levels)

    def _check_tile(self, tile: TileName, levels: Sequence[bytes]) -> None:
        path, level = self._prefix + tile.path(), tile.level or 0
        start = tile.index * tiles.WIDTH * 32
        expected = levels[level][start : start + 32 * tile.width] if level < len(levels) else b""
        if len(expected) < 32 * tile.width:
            # With an entry lost the tree above it is unknown, and its absence has been reported.
            if None not in self.leaves:
                self._findings.changed(reasons.LOG_EXTRA, path, "This tile lies outside the log's tree.")
            return
        limit = MAX_BUNDLE_BYTES if tile.level is None else MAX_TILE_BYTES
        data = self._tree.fetch(path, limit, (reasons.TILE_MISSING, "A listed tile is not there."))
        if data is None:
            return
        if tile.level is not None:
            if data != expected:
                sentence = "The tile does not hold the hashes of the entries that were sealed."
                self._findings.changed(reasons.TILE_MISMATCH, path, sentence)
        elif (
            merkle.leaf_hashes(entries := _parse_bundle(data)) != expected
            or tiles.make_bundle(entries) != data
        ):
            sentence = "The bundle does not hold the entries that were sealed" + _first_difference(
                entries, expected, tile.index * tiles.WIDTH
            )
            self._findings.changed(reasons.ENTRY_BUNDLE_MISMATCH, path, sentence)

    def _check_pending(self) -> None:
        expected = self.size
        for index in self.pending:
            path = paths.sequence(self.year, index)
            if index != expected:
                sentence = f"The sequence has index {index}, but not {expected}."
                self._findings.changed(reasons.SEQUENCE_GAP, path, sentence)
            sentence = f"Entry {index} stands in the sequence, and no checkpoint covers it yet."
            step = "Deliver once more, which signs a checkpoint over it, and verify again."
            self._findings.pending(reasons.SEQUENCE_PENDING, path, sentence, step)
            expected = index + 1

    def _known_leaves(self) -> list[bytes]:
        """Leaf hashes up to the first that is unknown, with those that no checkpoint covers yet."""
        known: list[bytes] = []
        for leaf in self.leaves:
            if leaf is None:
                return known
            known.append(leaf)
        # By name and not by the listing: a writer may have gone on since the listing was made.
        while (entry := self._sequenced(len(known))) is not None:
            known.append(merkle.leaf_hash(entry))
        return known

    # Reading

    def _sequenced(self, index: int) -> bytes | None:
        return self._tree.peek(paths.sequence(self.year, index), tiles.MAX_ENTRY_BYTES)

    def _bundled(self, index: int) -> bytes | None:
        page, place = divmod(index, tiles.WIDTH)
        if self._page[0] != page:
            self._page = (page, self._load_page(page))
        return self._page[1][place] if place < len(self._page[1]) else None

    def _load_page(self, page: int) -> list[bytes]:
        size = self.checkpoint.size if self.checkpoint is not None else self.size
        width = max(1, min(tiles.WIDTH, size - page * tiles.WIDTH))
        return _parse_bundle(self._peek_tile(TileName(None, page, width), MAX_BUNDLE_BYTES))

    def _peek_tile(self, tile: TileName, limit: int) -> bytes:
        """A tile, or the full one that has taken its place; empty when there is neither."""
        full = TileName(tile.level, tile.index, tiles.WIDTH)
        data = self._tree.peek(self._prefix + tile.path(), limit)
        return data if data is not None else self._tree.peek(self._prefix + full.path(), limit) or b""


_GIVEN_UP = "Nothing beyond that size is evidence; what was worth it is sealed again in the log that follows."


def _most_common(candidates: Sequence[bytes | None]) -> bytes | None:
    known = Counter(candidate for candidate in candidates if candidate is not None)
    return known.most_common(1)[0][0] if known else None


def _root(leaves: Sequence[bytes | None]) -> bytes | None:
    known = [leaf for leaf in leaves if leaf is not None]
    return merkle.root(known) if len(known) == len(leaves) else None


def _parse_bundle(data: bytes) -> list[bytes]:
    try:
        return tiles.parse_bundle(data)
    except VerificationError:
        return []


def _first_difference(entries: Sequence[bytes], expected: bytes, first: int) -> str:
    for i, entry in enumerate(entries):
        if merkle.leaf_hash(entry) != expected[32 * i : 32 * i + 32]:
            return f"; the first that differs is entry {first + i}."
    return "."
