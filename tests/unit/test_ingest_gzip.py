"""Compressed drops: what is sound is read, what is cut is salvaged, what is damaged is held whole."""

from __future__ import annotations

import gzip
import hashlib
import random
import tracemalloc
import zlib

import pytest

from tasks.ingest.inflate import inflate
from tasks.ingest.limits import Limits
from tests.support.ingest import contract, field, read, rules, slices

SOURCE = contract(("ndjson",), field("a", "integer"), field("s"))
_CHOICE = random.Random(1)
LINES = [b'{"a":%d,"s":"%032x"}' % (i, _CHOICE.getrandbits(128)) for i in range(2000)]
PLAIN = b"\n".join(LINES) + b"\n"
PACKED = gzip.compress(PLAIN, mtime=0)


def test_gzip_is_known_by_its_magic_and_not_by_its_name() -> None:
    batch = read(SOURCE, PACKED, PLAIN, names=("a.json", "b.json.gz"))
    assert [drop.lines for drop in batch.drops] == [2000, 2000]
    assert batch.drops[0].sha256 == hashlib.sha256(PACKED).hexdigest()
    assert {drop.raw_sha256 for drop in batch.drops} == {hashlib.sha256(PLAIN).hexdigest()}
    assert {drop.raw_size for drop in batch.drops} == {len(PLAIN)}
    assert batch.drops[1].sha256 == batch.drops[1].raw_sha256


def test_members_are_joined_even_inside_a_line() -> None:
    batch = read(SOURCE, gzip.compress(PLAIN[:100]) + gzip.compress(b"") + gzip.compress(PLAIN[100:]))
    assert slices(batch, batch.frame) == LINES
    assert batch.drops[0].flags == ()


def test_very_many_members_are_no_trouble() -> None:
    batch = read(SOURCE, b"".join(gzip.compress(line + b"\n", mtime=0) for line in LINES))
    assert slices(batch, batch.frame) == LINES


def test_truncated_drop_gives_its_whole_lines() -> None:
    batch = read(SOURCE, PACKED[: len(PACKED) // 2])
    whole = batch.frame.height
    assert 500 < whole < 1500
    assert slices(batch, batch.frame) == LINES[:whole]
    assert batch.drops[0].flags == ("gzip.truncated",)
    assert rules(batch) == [(whole + 1, "gzip.truncated")]


@pytest.mark.parametrize("kept", [2, 5, 9, 10, 12])
def test_truncated_header_has_no_lines(kept: int) -> None:
    batch = read(SOURCE, PACKED[:kept])
    assert (batch.drops[0].lines, batch.drops[0].flags) == (0, ("empty", "gzip.truncated"))


def test_no_byte_that_a_torn_drop_still_tells_is_left_out() -> None:
    whole = gzip.compress(b"before\n", mtime=0)
    for end in range(20, len(PACKED) - 8, 397):
        torn = inflate(whole + PACKED[:end], Limits())
        assert torn.truncated
        assert torn.data == b"before\n" + zlib.decompressobj(31).decompress(PACKED[:end])


def test_lost_trailer_is_truncation() -> None:
    batch = read(SOURCE, PACKED[:-3])
    assert batch.frame.height == 2000
    assert batch.drops[0].flags == ("gzip.truncated",)


@pytest.mark.parametrize(
    ("damaged", "rule"),
    [
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gzip.crc"),
        (PACKED[:-4] + b"\0\0\0\1", "gzip.crc"),
        (PACKED[:2] + b"\x07" + PACKED[3:], "gzip.corrupt"),
        (PACKED[:10] + b"\xff" * 50 + PACKED[60:], "gzip.corrupt"),
        (gzip.compress(b"x") + PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gzip.crc"),
    ],
)
def test_damaged_drop_is_held_whole(damaged: bytes, rule: str) -> None:
    batch = read(SOURCE, damaged)
    assert batch.set_aside.row(0) == (0, 1, 0, len(damaged), "quarantined", [rule])
    assert slices(batch, batch.set_aside) == [damaged]
    assert batch.drops[0].flags == (rule,)


@pytest.mark.parametrize("position", range(20, len(PACKED) - 8, 4001))
def test_flipped_byte_is_never_read(position: int) -> None:
    damaged = PACKED[:position] + bytes([PACKED[position] ^ 0x55]) + PACKED[position + 1 :]
    batch = read(SOURCE, damaged)
    sound = [text for text in slices(batch, batch.frame) if text in LINES]
    # A flip may also look like an early end of the data; lines before it are then sound.
    assert len(sound) == batch.frame.height
    assert batch.drops[0].flags


def test_trailing_junk_is_set_aside() -> None:
    batch = read(SOURCE, PACKED + b"JUNK")
    assert batch.frame.height == 2000
    assert rules(batch) == [(2001, "gzip.trailing_junk")]
    assert slices(batch, batch.set_aside) == [b"JUNK"]
    assert batch.drops[0].raw_sha256 == hashlib.sha256(PLAIN).hexdigest()


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = b"\0" * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize(
    "limits",
    [Limits(max_drop_bytes=1 << 20), Limits(max_ratio=20, ratio_floor_bytes=1 << 20)],
)
def test_bomb_is_held_whole_and_never_unpacked(limits: Limits) -> None:
    stored = bomb(64 << 20)
    tracemalloc.start()
    batch = read(SOURCE, stored, stored * 2, limits=limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rules(batch) == [(1, "gzip.bomb"), (1, "gzip.bomb")]
    assert slices(batch, batch.set_aside) == [stored, stored * 2]
    assert peak < 32 << 20


def test_ratio_counts_only_above_the_floor() -> None:
    stored = gzip.compress(b" " * 1_000_000)
    assert inflate(stored, Limits()).held is None
    assert inflate(stored, Limits(ratio_floor_bytes=999_999)).held == "gzip.bomb"
    assert inflate(stored, Limits(max_drop_bytes=1_000_000)).held is None
