"""Row leaves, format `jcs-salted/2`: `SHA256(0x00 || JCS(row with its salt as "_s"))`.

The columns of the personal group do not stand in the row itself: `withhold` puts
`SHA256(0x02 || JCS(those columns with a salt of their own as "_s"))` in their place, as `_p`. Whoever is given
the rest of the row and `_p` recomputes the leaf and learns nothing about the person.

Salts are the AES-256-CTR keystream of a seed (zero IV), 16 bytes a row. A file has one seed for its leaves and an
independent one for its personal group, so what a proof discloses helps to guess neither other rows nor the person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tasks.evidence.canonical import canonical_json, column_texts, encode_utf8, key_order
from tasks.evidence.merkle import leaf_hash, leaf_hashes
from tasks.evidence.reasons import OUT_OF_RANGE, UNREPRESENTABLE_VALUE, failure

LEAF_FORMAT: Final = "jcs-salted/2"
SALT: Final = "_s"
SALT_SIZE: Final = 16
SEED_SIZE: Final = 32
WITHHELD: Final = "_p"
WITHHELD_PREFIX: Final = b"\x02"

# Keys of a file's Parquet metadata, each with hex. The roots are of its subtrees of `SUBTREE_ROWS` rows.
SALT_SEED: Final = b"indelible.salt_seed"
PERSONAL_SALT_SEED: Final = b"indelible.personal_salt_seed"
SUBTREE_ROOTS: Final = b"indelible.subtree_roots"
SUBTREE_ROWS: Final = 1_024


@dataclass(frozen=True, slots=True)
class PersonalGroup:
    """The columns of a file that are committed as one, and the seed of their salts.

    Attributes:
        columns: names, as the entry's `personal` has them; at least one.
        seed: 32 bytes, independent of the seed of the leaves.
    """

    columns: tuple[str, ...]
    seed: bytes


def salts(seed: bytes, start: int, count: int) -> bytes:
    """Packed salts of rows `start` to `start + count`, 16 bytes each.

    Raises:
        VerificationError: `out-of-range` for a seed that is not 32 bytes, or for negative rows.
    """
    if len(seed) != SEED_SIZE or start < 0 or count < 0:
        raise failure(OUT_OF_RANGE, "salts need a seed of 32 bytes and a range of rows")
    keystream = Cipher(algorithms.AES256(seed), modes.CTR(start.to_bytes(SALT_SIZE, "big"))).encryptor()
    return keystream.update(bytes(SALT_SIZE * count))


def withhold(row: Mapping[str, object], personal: Collection[str], salt: bytes) -> dict[str, object]:
    """The row with one salted hash in place of its personal columns.

    Args:
        row: every sealed column by name; timestamps as integer microseconds.
        personal: columns of the personal group, all of which the row has.
        salt: the 16 bytes of the row's personal group.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
    _check_row(row, salt)
    if WITHHELD in row or not personal or not set(personal) <= row.keys():
        raise failure(
            UNREPRESENTABLE_VALUE, f"a row lacks a personal column, or has its own column {WITHHELD}"
        )
    group = canonical_json({**{name: row[name] for name in personal}, SALT: salt.hex()})
    rest = {name: value for name, value in row.items() if name not in personal}
    return {**rest, WITHHELD: hashlib.sha256(WITHHELD_PREFIX + group).hexdigest()}


def row_leaf(row: Mapping[str, object], salt: bytes) -> bytes:
    """Leaf hash of one row.

    Args:
        row: every column of the row, or what `withhold` made of it where there is a personal group.
        salt: the row's 16 bytes.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
    _check_row(row, salt)
    return leaf_hash(canonical_json({**row, SALT: salt.hex()}))


def withhold_columns(
    columns: Mapping[str, Sequence[object]], personal: Collection[str], packed_salts: bytes
) -> dict[str, Sequence[object]]:
    """`withhold` for many rows that are given as columns.

    Args:
        columns: equally long columns by name.
        personal: columns of the personal group, all of which are there.
        packed_salts: 16 bytes a row.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
    if not {SALT, WITHHELD}.isdisjoint(columns) or not personal or not set(personal) <= columns.keys():
        raise failure(
            UNREPRESENTABLE_VALUE, f"a personal column is not there, or one is named {SALT} or {WITHHELD}"
        )
    group = {name: columns[name] for name in personal}
    rest = {name: values for name, values in columns.items() if name not in personal}
    hashes = [
        hashlib.sha256(WITHHELD_PREFIX + text).hexdigest() for text in _salted_texts(group, packed_salts)
    ]
    return {**rest, WITHHELD: hashes}


def column_leaves(columns: Mapping[str, Sequence[object]], packed_salts: bytes) -> bytes:
    """Packed leaf hashes of many rows that are given as columns; equal to `row_leaf` of each row.

    Args:
        columns: equally long columns by name.
        packed_salts: 16 bytes a row.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
    return leaf_hashes(_salted_texts(columns, packed_salts))


def _check_row(row: Mapping[str, object], salt: bytes) -> None:
    if SALT in row or len(salt) != SALT_SIZE:
        raise failure(UNREPRESENTABLE_VALUE, f"a row has its own column {SALT}, or its salt is not 16 bytes")


def _salted_texts(columns: Mapping[str, Sequence[object]], packed_salts: bytes) -> Iterator[bytes]:
    """Canonical JSON of each row with its salt. Key order and punctuation are settled once for all rows."""
    rows = len(packed_salts) // SALT_SIZE
    if SALT in columns or any(len(values) != rows for values in columns.values()):
        raise failure(UNREPRESENTABLE_VALUE, f"columns and salts differ in length, or one is named {SALT}")
    texts = {name: column_texts(values) for name, values in columns.items()}
    salt_text = packed_salts.hex()
    step = 2 * SALT_SIZE
    texts[SALT] = [f'"{salt_text[i : i + step]}"' for i in range(0, len(salt_text), step)]
    names = sorted(texts, key=key_order)
    template = "{" + ",".join(encode_basestring(name).replace("%", "%%") + ":%s" for name in names) + "}"
    rows_as_text = zip(*(texts[name] for name in names), strict=True)
    return (encode_utf8(template % row) for row in rows_as_text)
