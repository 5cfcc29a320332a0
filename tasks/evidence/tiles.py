"""Tiles: C2SP tlog-tiles, a log's tree and entries as static objects of 256.

`new_tiles` makes the objects that a log grows by; `TileReader` answers questions from them. Neither
authenticates: compare `TileReader.root()` with a checkpoint that was opened under a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Final

from tasks.errors import NotFoundError
from tasks.evidence.encoding import HASH_SIZE
from tasks.evidence.merkle import (
    EMPTY_ROOT,
    consistency_ranges,
    inclusion_ranges,
    leaf_hashes,
    node_hash,
    root,
    split,
)
from tasks.evidence.reasons import MALFORMED_TILE, OUT_OF_RANGE, TILE_MISSING, failure

WIDTH: Final = 256
HEIGHT: Final = 8
MAX_ENTRY_BYTES: Final = 65_535
MAX_SIZE: Final = 2**63 - 1

Read = Callable[[str], bytes]

_LENGTH_SIZE: Final = 2
_CACHED_TILES: Final = 256


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Path of a hash tile, relative to the log's prefix."""
    return f"tile/{level}/{_numbered(index, width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """Path of an entry bundle, relative to the log's prefix."""
    return f"tile/entries/{_numbered(index, width)}"


def make_bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry after its length as big-endian uint16.

    Raises:
        VerificationError: `out-of-range` for an entry above 65,535 bytes.
    """
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise failure(OUT_OF_RANGE, f"an entry is longer than {MAX_ENTRY_BYTES} bytes")
    return b"".join([len(entry).to_bytes(_LENGTH_SIZE, "big") + entry for entry in entries])


def parse_bundle(data: bytes) -> list[bytes]:
    """Entries of a bundle.

    Raises:
        VerificationError: `malformed-tile`, for a cut bundle or more than 256 entries.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + _LENGTH_SIZE
        position = start + int.from_bytes(data[position:start], "big")
        entries.append(data[start:position])
        if start > len(data) or position > len(data) or len(entries) > WIDTH:
            raise failure(MALFORMED_TILE, f"an entry bundle is cut at byte {len(data)}, or too long")
    return entries


def new_tiles(read: Read, old_size: int, entries: Sequence[bytes]) -> dict[str, bytes]:
    """Objects that a log of `old_size` needs to become one of `old_size + len(entries)`.

    Equal arguments give equal objects, so a writer that was killed runs again. At most one hash tile a
    level and one bundle of the old log are read; the caller has compared the old root with its checkpoint.

    Args:
        read: gives an object of the old log by its path; raises `NotFoundError`.
        old_size: entries that the existing tiles cover.
        entries: bytes of the entries after these.

    Returns:
        Content by path, relative to the log's prefix.
    """
    old = TileReader(read, old_size)
    size = old_size + len(entries)
    bundle_start = old_size - old_size % WIDTH
    bundled = [*old.entries(bundle_start), *entries]
    made = {
        entries_path(index, width): make_bundle(
            bundled[index * WIDTH - bundle_start : index * WIDTH - bundle_start + width]
        )
        for index, width in _grown(old_size, size)
    }
    level, fresh = 0, leaf_hashes(entries)
    while fresh:
        count, old_count = size >> HEIGHT * level, old_size >> HEIGHT * level
        row = old.tail(level) + fresh
        row_start = old_count - old_count % WIDTH
        for index, width in _grown(old_count, count):
            start = (index * WIDTH - row_start) * HASH_SIZE
            made[tile_path(level, index, width)] = row[start : start + width * HASH_SIZE]
        full = len(row) // (WIDTH * HASH_SIZE) * WIDTH * HASH_SIZE
        fresh = b"".join(
            [root(row[start : start + WIDTH * HASH_SIZE]) for start in range(0, full, WIDTH * HASH_SIZE)]
        )
        level += 1
    return made


class TileReader:
    """A log of one size, read from its tiles."""

    def __init__(self, read: Read, size: int) -> None:
        """Look at the first `size` entries.

        Args:
            read: gives an object by its path relative to the log's prefix; raises `NotFoundError`.
            size: from a checkpoint.

        Raises:
            VerificationError: `out-of-range`.
        """
        if not 0 <= size <= MAX_SIZE:
            raise failure(OUT_OF_RANGE, "a log's size lies between 0 and 2**63-1")
        self.size = size
        self._read = read
        self._tile = lru_cache(maxsize=_CACHED_TILES)(self._load_tile)

    def root(self) -> bytes:
        """The root that the tiles give; compare it with the checkpoint's."""
        return self._range_root(0, self.size) if self.size else EMPTY_ROOT

    def leaf_hash(self, index: int) -> bytes:
        """Hash of entry `index`."""
        if not 0 <= index < self.size:
            raise failure(OUT_OF_RANGE, f"entry {index} is not in a log of {self.size}")
        return self._range_root(index, index + 1)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Siblings of entry `index`, from leaf to root."""
        return [self._range_root(lo, hi) for lo, hi in inclusion_ranges(index, self.size)]

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """Proof that this log begins with the log of `old_size`."""
        return [self._range_root(lo, hi) for lo, hi in consistency_ranges(old_size, self.size)]

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Entries from `start` on, one bundle in memory at a time."""
        for index in range(start // WIDTH, -(-self.size // WIDTH)):
            width = min(WIDTH, self.size - index * WIDTH)
            data, stored = self._load(partial(entries_path, index), width)
            bundle = parse_bundle(data)
            if len(bundle) != stored:
                raise failure(
                    MALFORMED_TILE, f"{entries_path(index, stored)} holds {len(bundle)} entries, not {stored}"
                )
            yield from bundle[max(0, start - index * WIDTH) : width]

    def tail(self, level: int) -> bytes:
        """Hashes of the last, partial tile of `level`; empty where the level ends in a full one."""
        index, width = divmod(self.size >> HEIGHT * level, WIDTH)
        return self._tile(level, index) if width else b""

    def _range_root(self, lo: int, hi: int) -> bytes:
        """Root of leaves `lo` to `hi`, a range as the proofs of RFC 6962 need it: `lo` is aligned."""
        width = hi - lo
        if width & (width - 1):
            middle = lo + split(width)
            return node_hash(self._range_root(lo, middle), self._range_root(middle, hi))
        level, height = divmod(width.bit_length() - 1, HEIGHT)
        index, offset = divmod(lo >> HEIGHT * level, WIDTH)
        tile = self._tile(level, index)
        return root(tile[offset * HASH_SIZE : (offset + (1 << height)) * HASH_SIZE])

    def _load_tile(self, level: int, index: int) -> bytes:
        width = min(WIDTH, (self.size >> HEIGHT * level) - index * WIDTH)
        tile, stored = self._load(partial(tile_path, level, index), width)
        if len(tile) != stored * HASH_SIZE:
            raise failure(MALFORMED_TILE, f"{tile_path(level, index, stored)} has {len(tile)} bytes")
        return tile[: width * HASH_SIZE]

    def _load(self, path: Callable[[int], str], width: int) -> tuple[bytes, int]:
        """Content and stored width of a tile, or of the full one that has replaced it.

        tlog-tiles, "Partial Tiles": a partial tile may be gone once the full one is there.
        """
        for stored in (width, WIDTH):
            try:
                return self._read(path(stored)), stored
            except NotFoundError:
                continue
        raise failure(TILE_MISSING, f"{path(width)} is missing")


def _grown(old_count: int, count: int) -> Iterator[tuple[int, int]]:
    """Index and width of each tile that differs between a level of `old_count` and of `count`."""
    if count > old_count:
        for index in range(old_count // WIDTH, -(-count // WIDTH)):
            yield index, min(WIDTH, count - index * WIDTH)


def _numbered(index: int, width: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups)) + ("" if width == WIDTH else f".p/{width}")
