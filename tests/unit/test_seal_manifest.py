"""A manifest is believed when an enrolled worker signed exactly these bytes, and only as a manifest."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.evidence.canonical import canonical_json
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import NoteSigner, make_note
from tasks.seal.manifest import (
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestRefusedError,
    open_manifest,
    sign_manifest,
)
from tests.support.logs import private_key

WORKER = NoteSigner("worker-1.example", private_key("worker"))
IMPOSTOR = NoteSigner("worker-1.example", private_key("impostor"))
LOG = "audit.example/2026"
SHA = "ab" * 32
BODY: dict[str, Any] = {
    "contract": {"path": f"contracts/app/{SHA}.yaml", "sha256": SHA, "version": "1.0.0", "version_id": "v"},
    "files": [],
    "format": "indelible/1",
    "gate": {
        "bytes": 2, "held": False, "path": f"gate/source=app/{SHA}.json", "sha256": SHA, "success": True,
        "version_id": "v",
    },
    "identities": [],
    "keys": [],
    "leaf": "jcs-salted/2",
    "ledger": {
        "bytes": 2, "drops": 1, "path": f"ledger/source=app/{SHA}.jsonl", "root": SHA, "sha256": SHA,
        "version_id": "v",
    },
    "personal": [],
    "quarantine": [],
    "redaction": {"bytes": 2, "path": f"redaction/source=app/{SHA}.json", "sha256": SHA, "version_id": "v"},
    "rego": None,
    "retain_until": "2033-11-24T00:00:00Z",
    "sealed_at": "2026-11-24T10:00:00Z",
    "software": "indelible/0.1.0",
    "source": "app",
    "sums": dict.fromkeys(("accepted", "blank", "bytes", "drops", "duplicate", "lines", "quarantined"), 0),
    "type": "seal",
}  # fmt: skip


def signed(value: Any, *, first: str = "indelible manifest/1", end: str = "\n") -> bytes:
    text = f"{first}\n{canonical_json(value).decode()}{end}"
    return make_note(text, WORKER.sign(text))


def refusal(note: bytes) -> str:
    with pytest.raises(ManifestRefusedError) as caught:
        open_manifest(note, [WORKER.verifier])
    return caught.value.reason


def test_what_a_worker_signed_is_what_the_sequencer_reads() -> None:
    note = sign_manifest(LOG, 4, BODY, WORKER)
    other = NoteSigner("worker-2.example", private_key("other"))
    assert open_manifest(note, [other.verifier, WORKER.verifier]) == Manifest(
        LOG, 4, BODY, "worker-1.example"
    )


@pytest.mark.parametrize(
    "note",
    [
        sign_manifest(LOG, 4, BODY, IMPOSTOR),
        sign_manifest(LOG, 4, BODY, WORKER).replace(b'"planned_seq":4', b'"planned_seq":5'),
        b"",
        b"\xff\n\n",
        b"x" * (MAX_MANIFEST_BYTES + 1),
    ],
    ids=["a key of the same name", "changed after signing", "empty", "not text", "too long"],
)
def test_bytes_without_an_enrolled_signature_are_refused(note: bytes) -> None:
    assert refusal(note) == "manifest-signature"


def test_nobody_is_believed_where_nobody_is_enrolled() -> None:
    with pytest.raises(ManifestRefusedError, match="manifest-signature"):
        open_manifest(sign_manifest(LOG, 4, BODY, WORKER), [])


def test_a_checkpoint_that_the_same_key_signed_is_no_manifest() -> None:
    text = Checkpoint("worker-1.example", 5, bytes(32)).text()
    assert refusal(make_note(text, WORKER.sign(text))) == "manifest-form"


VALUE: dict[str, Any] = {"body": BODY, "log": LOG, "planned_seq": 4}


@pytest.mark.parametrize(
    "note",
    [
        signed(VALUE, first="indelible manifest/2"),
        signed(VALUE, end="\nmore\n"),
        signed([VALUE]),
        signed(VALUE | {"more": 1}),
        signed(VALUE | {"planned_seq": True}),
        signed(VALUE | {"planned_seq": "4"}),
        signed(VALUE | {"body": BODY | {"previous": None}}),
        signed(VALUE | {"body": BODY | {"type": "genesis"}}),
        signed(VALUE | {"body": BODY | {"hidden": 1}}),
        signed(VALUE | {"body": BODY | {"ledger": BODY["ledger"] | {"path": f"log/2026/{SHA}"}}}),
        signed(VALUE | {"body": BODY | {"sealed_at": "yesterday"}}),
    ],
)
def test_a_worker_cannot_ask_for_what_is_no_seal_entry(note: bytes) -> None:
    assert refusal(note) == "manifest-form"
