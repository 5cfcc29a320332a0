"""Prefix-preserving pseudonyms of IP addresses: two of them share as many leading bits as the addresses do.

Crypto-PAn (Xu, Fan, Ammar, Moon: "Prefix-Preserving IP Address Anonymization", ICNP 2002), with AES-128: bit
`i` of an address is flipped by the first bit of the encryption of its `i` bits before, filled up with the
bits of a secret pad. Whoever has the key can turn it back; nobody else can tell more than who shares a
network with whom. All addresses are worked on at once, one bit level after the other.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

KEY_BYTES: Final = 32
_BLOCK: Final = 16
# Message domains of pseudonyms begin with a letter, so that no value's HMAC is ever this key.
_LABEL: Final = b"\x00crypto-pan/1\x00"

Bytes = NDArray[np.uint8]


def prefix_key(secret: bytes, domain: str) -> bytes:
    """The Crypto-PAn key of one pseudonym domain: 16 bytes of AES key, 16 of pad secret."""
    return hmac.digest(secret, _LABEL + domain.encode(), "sha256")


def prefix_pseudonyms(addresses: pl.Series, key: bytes) -> pl.Series:
    """The pseudonym of each address, an address of the same family in canonical text (RFC 5952).

    Args:
        addresses: IPv4 and IPv6 addresses without port, zone or prefix length, in any order; no nulls.
        key: 32 bytes, as the published program takes them.
    """
    parsed = [ipaddress.ip_address(text) for text in addresses.to_list()]
    result: list[str | None] = [None] * len(parsed)
    for family, size in ((ipaddress.IPv4Address, 4), (ipaddress.IPv6Address, 16)):
        rows = [row for row, address in enumerate(parsed) if isinstance(address, family)]
        packed = b"".join(parsed[row].packed for row in rows)
        named = anonymise(np.frombuffer(packed, np.uint8).reshape(-1, size), key).tobytes()
        for place, row in enumerate(rows):
            result[row] = str(family(named[place * size : (place + 1) * size]))
    return pl.Series(addresses.name, result, dtype=pl.String)


def anonymise(addresses: Bytes, key: bytes) -> Bytes:
    """Crypto-PAn of addresses in network byte order.

    Args:
        addresses: one row an address, 4 or 16 bytes wide.
        key: 32 bytes.

    Returns:
        An array of the same shape.
    """
    encryptor = Cipher(algorithms.AES128(key[:_BLOCK]), modes.ECB()).encryptor()  # noqa: S305  the algorithm's own
    pad = np.frombuffer(encryptor.update(key[_BLOCK:]), np.uint8)
    blocks = np.tile(pad, (len(addresses), 1))
    flips = np.zeros_like(addresses)
    for bit in range(8 * addresses.shape[1]):
        byte, keep = bit // 8, 0xFF00 >> bit % 8 & 0xFF
        blocks[:, byte] = addresses[:, byte] & keep | pad[byte] & (0xFF ^ keep)
        encrypted = np.frombuffer(encryptor.update(blocks.tobytes()), np.uint8)
        flips[:, byte] |= (encrypted[::_BLOCK] & 0x80) >> bit % 8
        if bit % 8 == 7:
            blocks[:, byte] = addresses[:, byte]
    return addresses ^ flips
