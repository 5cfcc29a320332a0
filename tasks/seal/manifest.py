"""What a worker asks the sequencer to seal, signed with the worker's own key.

Whoever can write to the bucket can put objects there, but not make the sequencer seal them: that takes a
key which the sequencer's settings enrol. A manifest is a C2SP signed note. Its text is two lines: one that no
checkpoint has, so that no signature of one kind passes for the other, and canonical JSON (RFC 8785):

    indelible manifest/1
    {"body":{...},"log":"<origin>/<year>","planned_seq":4}

`body` is the seal entry without its place (`previous`, `source_seq`), `planned_seq` the number of seal entries
that the source had in all logs when its drops were found to be new. It rises with each entry of the source,
so a manifest that was sealed, or that another batch overtook, never fits again. Pure; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json, parse_canonical
from tasks.evidence.entry import encode_entry
from tasks.evidence.note import MAX_NOTE_BYTES, NoteSigner, NoteVerifier, make_note, open_note
from tasks.evidence.seal_entry import SealEntry

MAX_MANIFEST_BYTES: Final = MAX_NOTE_BYTES
_FIRST_LINE: Final = "indelible manifest/1"


class ManifestRefusedError(VerificationError):
    """The sequencer does not seal what a manifest asks for; `reason` says why."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What to seal, and when that was decided.

    Attributes:
        log: origin of the log shard that it is meant for.
        planned_seq: the source's seal entries in all logs, when it was planned.
        body: the seal entry without `previous` and `source_seq`.
        worker: name of the key that signed.
    """

    log: str
    planned_seq: int
    body: Mapping[str, Any]
    worker: str


def sign_manifest(log: str, planned_seq: int, body: Mapping[str, Any], signer: NoteSigner) -> bytes:
    """The signed manifest; see `Manifest`."""
    content = canonical_json({"body": dict(body), "log": log, "planned_seq": planned_seq}).decode()
    text = f"{_FIRST_LINE}\n{content}\n"
    return make_note(text, signer.sign(text))


def open_manifest(note: bytes, workers: Sequence[NoteVerifier]) -> Manifest:
    """Check who signed, then the form; what the manifest says of the store is not checked here.

    Raises:
        ManifestRefusedError: `manifest-signature`: no enrolled worker signed these bytes;
            `manifest-form`: one did, and they are not a manifest of a well-formed entry.
    """
    try:
        opened = open_note(note, workers)
    except VerificationError as error:
        raise ManifestRefusedError(
            "manifest-signature",
            f"it bears no valid signature of an enrolled worker ({error})",
            next_step="If a worker is new, enrol its key; else find out who writes to the inbox.",
        ) from error
    try:
        first, content, rest = opened.text.split("\n", 2)
        value = parse_canonical(content.encode())
        _check_form(first, rest, value)
        encode_entry(cast(SealEntry, {**value["body"], "previous": None, "source_seq": 0}))
    except (ValueError, VerificationError) as error:
        raise ManifestRefusedError(
            "manifest-form",
            f"{opened.signers[0].name} signed something that is no manifest of a seal entry ({error})",
            next_step="Let worker and sequencer run the same version.",
        ) from error
    return Manifest(value["log"], value["planned_seq"], value["body"], opened.signers[0].name)


def _check_form(first: str, rest: str, value: Any) -> None:
    well_formed = (
        first == _FIRST_LINE
        and not rest
        and isinstance(value, dict)
        and value.keys() == {"body", "log", "planned_seq"}
        and isinstance(value["body"], dict)
        and not value["body"].keys() & {"previous", "source_seq"}
        and value["body"].get("type") == "seal"
        and isinstance(value["log"], str)
        and type(value["planned_seq"]) is int
    )
    if not well_formed:
        raise ValueError("its lines or keys are not those of a manifest")
