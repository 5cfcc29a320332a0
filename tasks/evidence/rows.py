"""Row leaves: `SHA256(0x00 || JCS(row with its salt as "_s"))`, format `jcs-salted/1`.

Salts are the AES-256-CTR keystream of a file's seed (zero IV), 16 bytes a row: whoever holds one row's
proof can recompute that leaf, but cannot guess its neighbours from their hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tasks.evidence.canonical import canonical_json, column_texts, encode_utf8, key_order
from tasks.evidence.merkle import leaf_hash, leaf_hashes
from tasks.evidence.reasons import OUT_OF_RANGE, UNREPRESENTABLE_VALUE, failure

LEAF_FORMAT: Final = "jcs-salted/1"
SALT: Final = "_s"
SALT_SIZE: Final = 16
SEED_SIZE: Final = 32


def salts(seed: bytes, start: int, count: int) -> bytes:
    """Packed salts of rows `start` to `start + count`, 16 bytes each.

    Raises:
        VerificationError: `out-of-range` for a seed that is not 32 bytes, or for negative rows.
    """
    if len(seed) != SEED_SIZE or start < 0 or count < 0:
        raise failure(OUT_OF_RANGE, "salts need a seed of 32 bytes and a range of rows")
    keystream = Cipher(algorithms.AES256(seed), modes.CTR(start.to_bytes(SALT_SIZE, "big"))).encryptor()
    return keystream.update(bytes(SALT_SIZE * count))


def row_leaf(row: Mapping[str, object], salt: bytes) -> bytes:
    """Leaf hash of one row.

    Args:
        row: every sealed column by name; timestamps as integer microseconds.
        salt: the row's 16 bytes.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
    if SALT in row or len(salt) != SALT_SIZE:
        raise failure(UNREPRESENTABLE_VALUE, f"a row has its own column {SALT}, or its salt is not 16 bytes")
    return leaf_hash(canonical_json({**row, SALT: salt.hex()}))


def column_leaves(columns: Mapping[str, Sequence[object]], packed_salts: bytes) -> bytes:
    """Packed leaf hashes of many rows that are given as columns; equal to `row_leaf` of each row.

    Key order and punctuation are settled once for all rows, which is several times faster.

    Args:
        columns: equally long columns by name.
        packed_salts: 16 bytes a row.

    Raises:
        VerificationError: `unrepresentable-value`.
    """
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
    return leaf_hashes(encode_utf8(template % row) for row in rows_as_text)
