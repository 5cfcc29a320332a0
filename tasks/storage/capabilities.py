"""What each kind of server is known not to do, and what Indelible does about it.

A declaration, not a licence: the start-up probe still asks the server at hand. Each row names the finding of
`tasks.storage.probe`; the tests on real servers hold the table to what they measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that a server does not do.

    Attributes:
        code: the probe's finding that shows it.
        answer: what Indelible does about it.
    """

    code: str
    answer: str


_READ_BACK = "what was written is read again and hashed, because the server reports no SHA-256"
_ONE_PUT = "each object is one PutObject; a lock that the read-back misses is set alone and checked"
_NO_WORM = "not for evidence: `indelible store probe` fails"

KNOWN_GAPS: Mapping[str, tuple[Gap, ...]] = {
    "SeaweedFS 4.48": (),
    "Ceph RGW 16.2": (
        Gap(
            "create-if-absent",
            "refused before anything is sealed, unless creators take turns by `create_lock`",
        ),
        Gap("checksum", _READ_BACK),
        Gap("multipart-lock", _ONE_PUT),
    ),
    "moto 5.2": (
        Gap("checksum", _READ_BACK),
        Gap("multipart-lock", _ONE_PUT),
        Gap("shorten-lock", _NO_WORM),
        Gap("downgrade-lock", _NO_WORM),
        Gap("remove-lock", _NO_WORM),
        Gap("suspend-versioning", _NO_WORM),
    ),
    "directory": (Gap("not-worm", "for trials and landing places: its owner can change everything"),),
}
