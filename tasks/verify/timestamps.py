"""RFC 3161 time-stamp tokens over checkpoints: what time they show, and whether a trusted authority says so.

`rfc3161-client` is needed and imported only when there is a token to read. Without it, or without the
authority's certificates, the time is "not measured".
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from tasks.errors import UsageError, VerificationError
from tasks.evidence import paths
from tasks.evidence.note import MAX_NOTE_BYTES
from tasks.verify import reasons
from tasks.verify.access import Tree

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

MAX_TOKEN_BYTES: Final = 1 << 16
MAX_CERTIFICATES_BYTES: Final = 1 << 20

_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_STEP: Final = "Compare the token with another copy; ask the log's owner which authority signed it."


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamping authority's certificates.

    Attributes:
        roots: self-signed ones, which are trusted.
        intermediates: those between.
        signers: those that sign tokens; empty accepts any that the roots vouch for.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    signers: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The newest time that a log's tokens show.

    Attributes:
        size: entries that existed at that time.
        time: aware UTC.
        trusted: an authority whose certificates were given has signed it.
    """

    size: int
    time: datetime
    trusted: bool

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"size": self.size, "time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}", "trusted": self.trusted}


def read_certificates(path: Path) -> Authority:
    """An authority's certificates, in one PEM file: its own, and those above it up to a self-signed one.

    Raises:
        UsageError: the file cannot be read, or has no self-signed certificate.
    """
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATES_BYTES))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} holds no certificates: {error}", next_step=_PEM) from error
    roots = tuple(one for one in found if one.issuer == one.subject)
    between = tuple(one for one in found if one not in roots and _is_authority(one))
    signers = tuple(one for one in found if one not in roots and one not in between)
    if not roots:
        raise UsageError(f"{path} has no self-signed certificate", next_step=_PEM)
    return Authority(roots, between, signers)


def check_token(data: bytes, digests: Collection[bytes], trusted: Authority | None) -> datetime:
    """The time that a token shows.

    Args:
        data: a DER TimeStampResp.
        digests: SHA-256 of each text that the token may be over.
        trusted: who must have signed it; None only reads it.

    Raises:
        VerificationError: `timestamp-bad`.
        UsageError: `rfc3161-client` is not installed.
    """
    try:
        import rfc3161_client
    except ImportError as error:
        raise UsageError("time-stamps need the package rfc3161-client", next_step=_INSTALL) from error
    try:
        response = rfc3161_client.decode_timestamp_response(data)
        if response.status != rfc3161_client.PKIStatus.GRANTED:
            raise _bad("the authority did not grant it")
        imprint = response.tst_info.message_imprint
        if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message not in digests:
            raise _bad("it is not over the SHA-256 of this log's checkpoint")
        if trusted is not None:
            _check_signature(response, imprint.message, trusted)
        return response.tst_info.gen_time
    except (ValueError, TypeError, OverflowError) as error:
        raise _bad("it is no RFC 3161 response") from error


def check_timestamps(
    tree: Tree, year: int, sizes: Sequence[int], trusted: Authority | None
) -> Timestamp | None:
    """Check each token of a log, and give the newest time that holds.

    Args:
        tree: the tree.
        year: the log.
        sizes: of the checkpoints that have a token, as listed.
        trusted: the authority; None reads the tokens and reports that they were not measured.
    """
    newest: Timestamp | None = None
    for size in sorted(sizes):
        path = paths.timestamp_at(year, size)
        token = tree.fetch(path, MAX_TOKEN_BYTES, (reasons.OBJECT_MISSING, "A listed token is not there."))
        if token is None:
            continue
        notes = (
            tree.peek(name(year, size), MAX_NOTE_BYTES) for name in (paths.cosigned_at, paths.checkpoint_at)
        )
        digests = [hashlib.sha256(note).digest() for note in notes if note is not None]
        try:
            newest = Timestamp(size, check_token(token, digests, trusted), trusted is not None)
        except VerificationError as error:
            tree.findings.changed(error.reason, path, f"The time-stamp does not hold ({error}).", _STEP)
        except UsageError:
            tree.findings.unmeasured(reasons.TIMESTAMPS_SKIPPED, path, _NO_PACKAGE, _INSTALL)
            return None
    if newest is not None and trusted is None:
        path = paths.timestamp_at(year, newest.size)
        sentence = f"A time-stamp says {newest.time:%Y-%m-%dT%H:%M:%SZ}; who signed it was not checked."
        tree.findings.unmeasured(reasons.TIMESTAMPS_SKIPPED, path, sentence, _GIVE)
    elif newest is None and trusted is not None:
        sentence = "No checkpoint of this log has a time-stamp of the authority that you trust."
        tree.findings.missing(reasons.TIMESTAMP_MISSING, paths.timestamps_prefix(year), sentence, _STEP)
    return newest


def _check_signature(response: TimeStampResponse, digest: bytes, trusted: Authority) -> None:
    from rfc3161_client import VerificationError as NotVerifiedError
    from rfc3161_client import VerifierBuilder

    for signer in trusted.signers or (None,):
        verifier = VerifierBuilder(
            roots=list(trusted.roots), intermediates=list(trusted.intermediates), tsa_certificate=signer
        ).build()
        try:
            verifier.verify(response, digest)
        except NotVerifiedError:
            continue
        return
    raise _bad("no certificate that you trust has signed it")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _bad(sentence: str) -> VerificationError:
    return VerificationError(reasons.TIMESTAMP_BAD, sentence, next_step=_STEP)


_PEM = "Give a PEM file with the authority's own certificate and those above it up to the self-signed one."
_NO_PACKAGE = "There are time-stamps, and the package that reads them is not installed."
_INSTALL = "Install rfc3161-client and verify again with the authority's certificates."
_GIVE = "Verify again with the authority's certificates, obtained from the authority."
