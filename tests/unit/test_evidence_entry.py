from __future__ import annotations

import copy
from typing import Any

import pytest

from tasks.errors import VerificationError
from tasks.evidence.canonical import canonical_json
from tasks.evidence.entry import MAX_ENTRY_BYTES, encode_entry, parse_entry
from tests.support.entries import filler
from tests.support.proofs import seal_entry

GENESIS: dict[str, Any] = {
    "format": "indelible/1",
    "origin": "audit.example/acme/2026",
    "previous_shard": None,
    "sealed_at": "2026-01-01T00:00:00Z",
    "type": "genesis",
}


def refused(value: Any) -> str:
    with pytest.raises(VerificationError) as error:
        parse_entry(canonical_json(value))
    assert error.value.reason == "malformed-entry"
    return str(error.value)


def changed(path: str, value: Any) -> dict[str, Any]:
    """A seal entry with `value` at a dotted path; `...` removes the key."""
    entry: Any = copy.deepcopy(seal_entry())
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target = entry
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    assert isinstance(entry, dict)
    return entry


def test_a_seal_entry_comes_back() -> None:
    entry = seal_entry()
    assert parse_entry(encode_entry(entry)) == entry
    first: Any = changed("previous", None)
    assert parse_entry(encode_entry(first)) == first


def test_genesis_comes_back_with_and_without_the_year_before() -> None:
    for previous in (None, "audit.example/2025\n1\nroot\n\n\u2014 sig\n"):
        entry = {**GENESIS, "previous_shard": previous}
        assert parse_entry(canonical_json(entry)) == entry


@pytest.mark.parametrize(
    "kind",
    ["disposition"],
)
def test_types_that_come_later_have_a_place(kind: str) -> None:
    entry = {"format": "indelible/1", "type": kind, "whatever": {"later": [1]}}
    assert parse_entry(canonical_json(entry)) == entry
    refused({**entry, "format": "indelible/2"})
    refused({"type": kind})


@pytest.mark.parametrize("entry", [None, [], "seal", 1, {}, {"type": "other", "format": "indelible/1"}])
def test_what_is_no_known_entry_is_refused(entry: Any) -> None:
    refused(entry)
    refused({"type": entry, "format": "indelible/1"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("unknown", 1),
        ("gate", ...),
        ("gate.held", ...),
        ("gate.held", 0),
        ("gate.extra", True),
        ("format", "indelible/2"),
        ("leaf", "jcs/1"),
        ("files", {}),
        ("files.0.rows", -1),
        ("files.0.rows", True),
        ("files.0.rows", "1"),
        ("files.0.sha256", "AB" * 32),
        ("files.0.root", "ab" * 31),
        ("files.0.event_date", "2026-13-01"),
        ("files.0.path", "data/source=gateway/event_date=2026-11-01/../x.parquet"),
        ("files.0.event_date", "2026-11-02"),
        ("files.0.version_id", None),
        ("quarantine.0.path", "data/x"),
        ("identities", ...),
        ("identities.0.path", "data/x"),
        ("ledger.path", "ledger/x"),
        ("gate.path", "gate/x"),
        ("redaction", ...),
        ("redaction.rows", 1),
        ("redaction.path", "redaction/x"),
        ("rego", ...),
        ("rego.path", "policies/x"),
        ("rego.tenant", ""),
        ("rego.purpose", None),
        ("contract.path", "contracts/x"),
        ("contract.version", ""),
        ("keys", ["a\nb"]),
        ("keys", [1]),
        ("previous", {}),
        ("previous.entry", None),
        ("retain_until", "2033-11-24"),
        ("sealed_at", "2026-11-24T10:00:00+00:00"),
        ("sealed_at", "2026-11-24T10:00:00Z\n"),
        ("source", "../gateway"),
        ("source", "gate way"),
        ("source_seq", -1),
        ("sums.lines", ...),
        ("sums.lines", None),
    ],
)
def test_a_seal_entry_of_another_form_is_refused_by_the_name_of_the_key(path: str, value: Any) -> None:
    message = refused(changed(path, value))
    assert path.split(".", maxsplit=1)[0] in message or "should lie at" in message


def test_only_the_canonical_spelling_is_an_entry() -> None:
    data = encode_entry(seal_entry())
    for other in (
        data + b"\n",
        data.replace(b":", b": ", 1),
        data.replace(b'"bytes":', b'"bytes":0,"bytes":', 1),
    ):
        with pytest.raises(VerificationError) as error:
            parse_entry(other)
        assert error.value.reason == "malformed-entry"


def test_an_entry_fits_a_bundle() -> None:
    entry = filler(0, store="")
    longest = "x" * (MAX_ENTRY_BYTES - len(canonical_json(entry)))
    data = canonical_json(filler(0, store=longest))
    assert canonical_json(parse_entry(data)) == data
    assert "longer than 65535" in refused(filler(0, store=longest + "x"))


def test_what_cannot_be_parsed_cannot_be_encoded() -> None:
    broken: Any = changed("sums.lines", -1)
    with pytest.raises(VerificationError):
        encode_entry(broken)


def test_messages_hold_no_values() -> None:
    assert "SECRET" not in refused(changed("retain_until", "SECRET"))
    assert "SECRET" not in refused(changed("SECRET", 1))
