from __future__ import annotations

import pytest

from tasks.errors import NotFoundError, StoreUnavailableError, VerificationError
from tasks.evidence import merkle
from tasks.evidence.tiles import (
    TileReader,
    entries_path,
    make_bundle,
    new_tiles,
    parse_bundle,
    tile_path,
)
from tests.support.logs import MemoryLog


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def grown(*sizes: int) -> MemoryLog:
    log = MemoryLog()
    entries = numbered(sizes[-1])
    for size in sizes:
        log.grow(entries[log.size : size])
    return log


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (tile_path(0, 0), "tile/0/000"),
        (tile_path(3, 999, 255), "tile/3/999.p/255"),
        (tile_path(0, 1000), "tile/0/x001/000"),
        (tile_path(1, 1_234_067, 1), "tile/1/x001/x234/067.p/1"),
        (tile_path(0, 1067), "tile/0/x001/067"),
        (entries_path(123_456, 7), "tile/entries/x123/456.p/7"),
        (entries_path(0), "tile/entries/000"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected


def test_a_log_of_70000_has_the_tiles_of_the_specification() -> None:
    """C2SP tlog-tiles, "Partial Tiles": the worked example."""
    objects = new_tiles(MemoryLog().read, 0, numbered(70_000))
    hash_tiles = {path for path in objects if not path.startswith("tile/entries/")}
    level_0 = {tile_path(0, index) for index in range(273)} | {tile_path(0, 273, 112)}
    assert hash_tiles == level_0 | {tile_path(1, 0), tile_path(1, 1, 17), tile_path(2, 0, 1)}
    assert len(objects) == len(hash_tiles) + 274
    log = MemoryLog(objects, 70_000)
    leaves = merkle.leaf_hashes(numbered(70_000))
    assert log.reader().root() == merkle.root(leaves)
    for index in (0, 65_535, 65_536, 69_999):
        assert log.reader().inclusion_proof(index) == merkle.inclusion_proof(leaves, index)
    for size in (1, 256, 65_536, 65_537, 69_888, 70_000):
        assert log.reader().consistency_proof(size) == merkle.consistency_proof(leaves, size)


def test_a_log_of_256_has_a_full_tile_and_a_partial_one_above() -> None:
    assert set(grown(256).objects) == {"tile/0/000", "tile/1/000.p/1", "tile/entries/000"}


def test_growing_writes_only_what_is_new() -> None:
    log = grown(300)
    made = new_tiles(log.read, 300, numbered(520)[300:])
    assert set(made) == {
        "tile/0/001",
        "tile/0/002.p/8",
        "tile/1/000.p/2",
        "tile/entries/001",
        "tile/entries/002.p/8",
    }
    assert new_tiles(log.read, 300, []) == {}


@pytest.mark.parametrize("sizes", [(1, 2, 3, 700), (255, 256, 257, 700), (256, 512, 700), (300, 301, 700)])
def test_growing_in_steps_ends_in_the_objects_of_growing_at_once(sizes: tuple[int, ...]) -> None:
    at_once, in_steps = grown(700), grown(*sizes)
    assert at_once.objects.items() <= in_steps.objects.items()
    assert list(in_steps.reader().entries()) == numbered(700)


def test_a_partial_tile_may_have_been_replaced_by_the_full_one() -> None:
    log = grown(300, 512)
    for path in [path for path in log.objects if ".p/44" in path]:
        del log.objects[path]
    old = TileReader(log.read, 300)
    leaves = merkle.leaf_hashes(numbered(300))
    assert old.root() == merkle.root(leaves)
    assert list(old.entries()) == numbered(300)
    assert old.leaf_hash(299) == merkle.leaf_hash(b"299")


def test_entries_can_be_read_from_the_middle() -> None:
    log = grown(700)
    for start in (0, 1, 255, 256, 600, 699, 700, 800):
        assert list(log.reader().entries(start)) == numbered(700)[start:]


def test_a_missing_tile_is_not_a_changed_one() -> None:
    log = grown(300)
    del log.objects["tile/0/000"]
    with pytest.raises(VerificationError) as error:
        log.reader().inclusion_proof(3)
    assert error.value.reason == "tile-missing"
    assert "tile/0/000" in str(error.value)


def test_a_store_that_is_away_is_no_finding() -> None:
    def away(path: str) -> bytes:
        raise StoreUnavailableError(path)

    with pytest.raises(StoreUnavailableError):
        TileReader(away, 5).root()


@pytest.mark.parametrize("size", [0, 31, 43 * 32, 44 * 32 - 1, 44 * 32 + 1, 45 * 32, 256 * 32])
def test_a_tile_of_another_length_is_malformed(size: int) -> None:
    log = grown(300)
    path = "tile/0/001.p/44"
    log.objects[path] = (log.objects[path] * 6)[:size]
    with pytest.raises(VerificationError) as error:
        log.reader().root()
    assert error.value.reason == "malformed-tile"


@pytest.mark.parametrize("added", [b"\x00", b"\x00\x00", b"\x00\x01x"])
def test_a_bundle_with_more_or_less_than_its_entries_is_malformed(added: bytes) -> None:
    log = grown(300)
    path = "tile/entries/001.p/44"
    for data in (log.objects[path] + added, log.objects[path][:-1], log.objects[path][:-5]):
        log.objects[path] = data
        with pytest.raises(VerificationError) as error:
            list(log.reader().entries())
        assert error.value.reason == "malformed-tile"


def test_bundles_come_back_with_empty_and_longest_entries() -> None:
    entries = [b"", b"x" * 65_535, b"y"]
    assert parse_bundle(make_bundle(entries)) == entries
    with pytest.raises(VerificationError) as error:
        make_bundle([b"x" * 65_536])
    assert error.value.reason == "out-of-range"


def test_a_bundle_of_257_entries_is_malformed() -> None:
    assert len(parse_bundle(b"\x00\x00" * 256)) == 256
    with pytest.raises(VerificationError):
        parse_bundle(b"\x00\x00" * 257)


def test_the_empty_log() -> None:
    reader = MemoryLog().reader()
    assert reader.root() == merkle.EMPTY_ROOT
    assert list(reader.entries()) == []
    with pytest.raises(VerificationError):
        reader.leaf_hash(0)


@pytest.mark.parametrize("size", [-1, 2**63])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(VerificationError) as error:
        TileReader(MemoryLog().read, size)
    assert error.value.reason == "out-of-range"


def test_memory_log_reports_what_it_lacks() -> None:
    with pytest.raises(NotFoundError):
        MemoryLog().read("tile/0/000")
