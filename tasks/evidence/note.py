"""Signed notes: C2SP signed-note (Ed25519, type 0x01) and tlog-cosignature (`cosignature/v1`, type 0x04).

A note is text, a blank line and signature lines. A signature of a known key that does not fit condemns
the whole note; signatures of unknown keys are ignored, so keys can be rotated and witnesses added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol, Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tasks.evidence.encoding import decode_base64, encode_base64
from tasks.evidence.reasons import (
    CHECKPOINT_SIGNATURE_BAD,
    CHECKPOINT_UNKNOWN_KEY,
    MALFORMED_KEY,
    MALFORMED_NOTE,
    failure,
)

MAX_NOTE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 100

_SIGNATURE_PREFIX: Final = "\u2014 "
_KEY_ID_SIZE: Final = 4
_PUBLIC_KEY_SIZE: Final = 32
_TIMESTAMP_SIZE: Final = 8


class SigningKey(Protocol):
    """An Ed25519 private key, wherever it is kept. `cryptography`'s `Ed25519PrivateKey` is one."""

    def sign(self, data: bytes, /) -> bytes:
        """The 64-byte signature over `data` itself (PureEdDSA, RFC 8032)."""
        ...

    def public_key(self) -> Ed25519PublicKey:
        """The key that verifies it."""
        ...


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public key that signs note texts.

    Attributes:
        name: key name; for a log it equals the origin of its checkpoints.
        public_key: 32 bytes, RFC 8032.
    """

    name: str
    public_key: bytes
    kind: ClassVar[int] = 0x01

    @classmethod
    def from_vkey(cls, vkey: str) -> Self:
        """The verifier that `<name>+<8 hex digits>+<base64>` encodes.

        Raises:
            VerificationError: `malformed-key`, also for a key of another signature type.
        """
        try:
            name, key_id, encoded = vkey.split("+", 2)
            key = decode_base64(encoded)
            verifier = cls(name, key[1:])
            fits = _is_key_name(name) and len(key) == 1 + _PUBLIC_KEY_SIZE and verifier.key_id.hex() == key_id
        except ValueError as error:
            raise failure(MALFORMED_KEY, "expected <name>+<8 hex digits>+<base64>") from error
        if not fits or key[0] != cls.kind:
            raise failure(MALFORMED_KEY, f"key id, length or type does not fit a type {cls.kind:#04x} key")
        return verifier

    @property
    def vkey(self) -> str:
        """The key as text, for people and policies."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public_key)}"

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, find the key of a signature line."""
        preimage = self.name.encode("utf-8") + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(preimage).digest()[:_KEY_ID_SIZE]

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (without key id) is this key's over `text`."""
        return _is_signed(self.public_key, signature, text.encode("utf-8"))


@dataclass(frozen=True, slots=True)
class CosignatureVerifier(NoteVerifier):
    """A witness's public key: its signature also covers the time at which the witness saw the text."""

    kind: ClassVar[int] = 0x04

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (8 bytes of Unix seconds, then Ed25519) is this witness's over `text`."""
        timestamp = int.from_bytes(signature[:_TIMESTAMP_SIZE], "big")
        return _is_signed(self.public_key, signature[_TIMESTAMP_SIZE:], _cosigned_message(text, timestamp))


_V = TypeVar("_V", bound=NoteVerifier)


class NoteSigner:
    """A log's private key."""

    def __init__(self, name: str, private_key: SigningKey) -> None:
        """Hold `private_key` under the key name `name`.

        Raises:
            VerificationError: `malformed-key` for a name with spaces or `+`.
        """
        self.verifier = NoteVerifier(_key_name(name), private_key.public_key().public_bytes_raw())
        self._private_key = private_key

    @property
    def vkey(self) -> str:
        """The public key as text."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        """The signature line over `text`, with its newline."""
        return _signature_line(self.verifier, self._private_key.sign(text.encode("utf-8")))


class CosignatureSigner:
    """A witness's private key."""

    def __init__(self, name: str, private_key: SigningKey) -> None:
        """Hold `private_key` under the key name `name`.

        Raises:
            VerificationError: `malformed-key` for a name with spaces or `+`.
        """
        self.verifier = CosignatureVerifier(_key_name(name), private_key.public_key().public_bytes_raw())
        self._private_key = private_key

    @property
    def vkey(self) -> str:
        """The public key as text."""
        return self.verifier.vkey

    def sign(self, text: str, timestamp: int) -> str:
        """The cosignature line over `text`, with its newline.

        Args:
            text: a checkpoint's text.
            timestamp: Unix seconds at which the witness saw it.
        """
        signature = self._private_key.sign(_cosigned_message(text, timestamp))
        return _signature_line(self.verifier, timestamp.to_bytes(_TIMESTAMP_SIZE, "big") + signature)


class OpenedNote(NamedTuple):
    """A note whose known signatures hold.

    Attributes:
        text: with its final newline.
        signers: the verifiers whose signature it bears; at least one.
    """

    text: str
    signers: tuple[NoteVerifier, ...]


def make_note(text: str, *signature_lines: str) -> bytes:
    """A note of `text` (which ends in a newline) and its signature lines."""
    return (text + "\n" + "".join(signature_lines)).encode("utf-8")


def open_note(note: bytes, verifiers: Sequence[NoteVerifier]) -> OpenedNote:
    """Check a note against known keys.

    Raises:
        VerificationError: `malformed-note`; `checkpoint-signature-bad` when the signature of a known
            key does not fit; `checkpoint-unknown-key` when no known key signed.
    """
    text, signatures = _known_signatures(note, verifiers)
    if not signatures:
        raise failure(CHECKPOINT_UNKNOWN_KEY, "the note bears no signature of a known key")
    return OpenedNote(text, tuple(dict.fromkeys(verifier for verifier, _ in signatures)))


def cosigned_at(note: bytes, witnesses: Sequence[CosignatureVerifier]) -> dict[CosignatureVerifier, int]:
    """When each witness that cosigned a note saw it, in Unix seconds; of several cosignatures, the latest.

    Raises:
        VerificationError: `malformed-note`; `checkpoint-signature-bad`.
    """
    _, signatures = _known_signatures(note, witnesses)
    seen: dict[CosignatureVerifier, int] = {}
    for verifier, signature in signatures:
        time = int.from_bytes(signature[:_TIMESTAMP_SIZE], "big")
        seen[verifier] = max(time, seen.get(verifier, 0))
    return seen


def signature_count(note: bytes, name: str) -> int:
    """How many signatures a note bears under a key name, of known keys or not.

    Raises:
        VerificationError: `malformed-note`.
    """
    return sum(signer == name for signer, _ in _split_note(note)[1])


def _known_signatures(note: bytes, verifiers: Sequence[_V]) -> tuple[str, list[tuple[_V, bytes]]]:
    """Text, and the signatures of `verifiers` without their key ids; each of them fits."""
    text, signatures = _split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    found: list[tuple[_V, bytes]] = []
    for name, signature in signatures:
        verifier = known.get((name, signature[:_KEY_ID_SIZE]))
        if verifier is None:
            continue
        if not verifier.verify(text, signature[_KEY_ID_SIZE:]):
            raise failure(CHECKPOINT_SIGNATURE_BAD, f"the signature of {verifier.name} does not fit the text")
        found.append((verifier, signature[_KEY_ID_SIZE:]))
    return text, found


def _split_note(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Text and (key name, key id with signature) pairs; nothing is verified yet."""
    if len(note) > MAX_NOTE_BYTES:
        raise failure(MALFORMED_NOTE, f"longer than {MAX_NOTE_BYTES} bytes")
    try:
        content = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise failure(MALFORMED_NOTE, f"not UTF-8 at byte {error.start}") from error
    if any(character < " " and character != "\n" for character in content):
        raise failure(MALFORMED_NOTE, "holds a control character")
    text, separator, block = content.rpartition("\n\n")
    lines = block.split("\n")
    if not separator or lines.pop() != "" or not 1 <= len(lines) <= MAX_SIGNATURES:
        raise failure(MALFORMED_NOTE, f"expected text, a blank line and 1 to {MAX_SIGNATURES} signatures")
    return text + "\n", [_parse_signature_line(line) for line in lines]


def _parse_signature_line(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    try:
        signature = decode_base64(encoded)
    except ValueError as error:
        raise failure(MALFORMED_NOTE, "a signature is not canonical base64") from error
    fits = line.startswith(_SIGNATURE_PREFIX) and _is_key_name(name) and len(signature) > _KEY_ID_SIZE
    if not fits:
        raise failure(MALFORMED_NOTE, "a signature line is not <em dash> <key name> <base64>")
    return name, signature


def _signature_line(verifier: NoteVerifier, signature: bytes) -> str:
    return f"{_SIGNATURE_PREFIX}{verifier.name} {encode_base64(verifier.key_id + signature)}\n"


def _cosigned_message(text: str, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def _is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def _key_name(name: str) -> str:
    if not _is_key_name(name):
        raise failure(MALFORMED_KEY, "a key name is not empty and has neither spaces nor +")
    return name
