"""What lies under one log's prefix, sorted by kind; and which tiles a log of a given size needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.errors import VerificationError
from tasks.evidence import paths, tiles

_TILE = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile's coordinates; `level` is None for an entry bundle."""

    level: int | None
    index: int
    width: int

    def path(self) -> str:
        """Path relative to the log's prefix."""
        if self.level is None:
            return tiles.entries_path(self.index, self.width)
        return tiles.tile_path(self.level, self.index, self.width)


@dataclass(slots=True)
class Listing:
    """What lies under one log's prefix, by kind."""

    checkpoints: list[int] = field(default_factory=list)
    sequence: set[int] = field(default_factory=set)
    cosigned: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    tiles: list[TileName] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def numbered(self, rest: str) -> list[int] | None:
        """The sizes of the kind of checkpoint that `rest` belongs to, None for another object."""
        kinds = {"checkpoints": self.checkpoints, "cosigned": self.cosigned, "timestamps": self.timestamps}
        return kinds.get(rest.partition("/")[0])


def sort_listing(year: int, listed: Sequence[str]) -> Listing:
    """Sort the paths of one log by kind."""
    prefix = paths.log_prefix(year)
    listing = Listing()
    for path in listed:
        rest = path.removeprefix(prefix)
        tile = _tile_name(rest)
        if tile is not None:
            listing.tiles.append(tile)
        elif rest.startswith("seq/") and (number := _number(path)) is not None:
            listing.sequence.add(number)
        elif (kind := listing.numbered(rest)) is not None and (number := _number(path)) is not None:
            kind.append(number)
        elif rest not in ("checkpoint", "policy"):
            listing.unknown.append(path)
    return listing


def needed_tiles(size: int) -> Iterator[TileName]:
    """Tiles of a log of `size` entries; a partial one may have been replaced by the full one."""
    for level in (None, 0, 1, 2, 3, 4, 5, 6, 7):
        count = size >> tiles.HEIGHT * (level or 0)
        for index in range(-(-count // tiles.WIDTH)):
            yield TileName(level, index, min(tiles.WIDTH, count - index * tiles.WIDTH))


def _tile_name(text: str) -> TileName | None:
    match = _TILE.fullmatch(text)
    if match is None:
        return None
    index = int(match[2].replace("x", "").replace("/", ""))
    width = tiles.WIDTH if match[3] is None else int(match[3])
    name = TileName(None if match[1] == "entries" else int(match[1]), index, width)
    return name if 1 <= width <= tiles.WIDTH and name.path() == text else None


def _number(path: str) -> int | None:
    try:
        return paths.parse_number(path)
    except VerificationError:
        return None
