"""The interfaces between the pipeline and whoever keeps the keys.

Callers name a purpose and an epoch, or a log, and never see how the key was made. Where signing keys are kept
is a matter of its own, `SigningKeys`: files, a key management service, a hardware module.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from tasks.evidence.note import NoteSigner, SigningKey

KEY_BYTES = 32

Purpose = Literal["pseudonym", "quarantine", "salt", "index"]


class ErasableKeys(Protocol):
    """Random keys that exist in one place outside the store, so that destroying one there destroys it.

    A person is named by a subject id, which only a holder of the `index` key can make from an identifier. It
    must not be sealed: whoever holds that key could find the person again after the erasure.
    """

    def month_key(self, purpose: str, epoch: str) -> bytes:
        """The key of a month, made on first use.

        Raises:
            KeyUnavailableError: it was destroyed, or it cannot be had.
        """
        ...

    def subject_ids(self, identifiers: Sequence[str]) -> list[str]:
        """32 hex digits for each identifier, the same for ever."""
        ...

    def subject_keys(self, identifiers: Sequence[str]) -> list[bytes]:
        """See `Keyring.subject_keys`."""
        ...

    def line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `Keyring.line_keys`."""
        ...

    def known_line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """See `Keyring.known_line_keys`."""
        ...

    def note_places(self, source: str, rows: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """See `Keyring.note_places`."""
        ...


class Keyring(Protocol):
    """Keys by purpose and epoch, keys of persons, and signers by name."""

    def secret(self, purpose: Purpose, epoch: str = "") -> bytes:
        """The key of `purpose` for `epoch` (`YYYY-MM`, or empty for a key that is not rotated).

        Returns:
            32 bytes; always the same for the same arguments. Keys of months are random and made on first use;
            the others are derived from the keyring's root.

        Raises:
            KeyUnavailableError: the key was destroyed or cannot be had.
        """
        ...

    def key_id(self, purpose: Purpose, epoch: str = "") -> str:
        """The public name of a key, for example `pseudonym/2026-11`; safe to seal and to print."""
        ...

    def subject_ids(self, identifiers: Sequence[str]) -> list[str]:
        """The subject id of each identifier, 32 hex digits, the same for ever; never to be sealed."""
        ...

    def subject_keys(self, identifiers: Sequence[str]) -> list[bytes]:
        """The random key of each person, made in one transaction where there is none.

        Args:
            identifiers: normalised and distinct.

        Returns:
            32 bytes for each; the same for the same identifier until its key is destroyed, then another one.

        Raises:
            KeyUnavailableError: the keys cannot be had.
        """
        ...

    def line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """Keys of single lines of a drop, made on first use.

        Args:
            drop: SHA-256 of its stored bytes, in hex.
            lines: numbers from 1.

        Returns:
            32 bytes for each; always the same, until the key of the line is destroyed: then nothing, for ever.

        Raises:
            KeyUnavailableError: the keys cannot be had.
        """
        ...

    def known_line_keys(self, drop: str, lines: Collection[int]) -> dict[int, bytes]:
        """As `line_keys`, to read what was encrypted: for a drop whose keys were lost, none are made."""
        ...

    def note_places(self, source: str, rows: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
        """Write down where persons occur, before an entry names the files; safe to repeat.

        What a crash leaves behind does no harm: a file that no entry names is passed over.

        Args:
            source: whose files.
            rows: by path of a data file, then by subject id: the 0-based numbers, ascending, of the rows about
                that person.

        Raises:
            KeyUnavailableError: one of the keys was destroyed meanwhile; make the batch again.
        """
        ...

    def signer(self, name: str) -> NoteSigner:
        """The newest key of the log whose origin is `name`.

        Raises:
            KeyUnavailableError: there is no such key, or it cannot be had.
        """
        ...

    def signers(self, name: str) -> tuple[NoteSigner, ...]:
        """All keys that the log was given since it began, oldest first; raises as `signer`."""
        ...

    def new_signer(self, name: str, number: int = 0) -> NoteSigner:
        """Key `number` of a log, 0 being the one that it begins with; made if there is none."""
        ...


class SigningKeys(Protocol):
    """Where signing keys are kept, by label (letters, digits, `.`, `_`, `-`)."""

    def find(self, label: str) -> SigningKey | None:
        """The key, or None if there is none.

        Raises:
            KeyUnavailableError: it cannot be had, or it is no Ed25519 key.
            KeyServiceUnreachableError: nobody answers now.
        """
        ...

    def create(self, label: str) -> SigningKey:
        """The key, made if there is none; raises as `find`."""
        ...
