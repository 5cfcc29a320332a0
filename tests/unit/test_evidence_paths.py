from __future__ import annotations

import pytest

from tasks.errors import VerificationError
from tasks.evidence import paths

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.checkpoint(2026), "log/2026/checkpoint"),
        (paths.checkpoint_at(2026, 12), "log/2026/checkpoints/00000000000000000012"),
        (paths.log_prefix(2026) + "tile/0/000", "log/2026/tile/0/000"),
        (paths.sequence(2026, 2**63 - 1), "log/2026/seq/09223372036854775807"),
        (paths.policy(2026), "log/2026/policy"),
        (
            paths.data_file("gateway", "2026-11-01", DIGEST),
            f"data/source=gateway/event_date=2026-11-01/{DIGEST}.parquet",
        ),
        (paths.quarantine_file("gateway", DIGEST), f"quarantine/source=gateway/{DIGEST}.parquet"),
        (paths.ledger("gateway", DIGEST), f"ledger/source=gateway/{DIGEST}.jsonl"),
        (paths.gate("gateway", DIGEST), f"gate/source=gateway/{DIGEST}.json"),
        (paths.redaction("gateway", DIGEST), f"redaction/source=gateway/{DIGEST}.json"),
        (paths.contract("gateway", DIGEST), f"contracts/gateway/{DIGEST}.yaml"),
        (paths.catalog(2026, 3), "catalog/2026/00000000000000000003.duckdb"),
    ],
)
def test_objects_lie_where_the_format_says(path: str, expected: str) -> None:
    assert path == expected


def test_numbers_come_back_from_listed_paths() -> None:
    for path in (paths.sequence(2026, 7), paths.checkpoint_at(2026, 7), paths.catalog(2026, 7)):
        assert paths.parse_number(path) == 7


@pytest.mark.parametrize(
    "path",
    ["", "log/2026/seq/7", "log/2026/tile/0/000", paths.sequence(2026, 7) + ".tmp", "log/2026/checkpoint"],
)
def test_other_paths_have_no_number(path: str) -> None:
    with pytest.raises(VerificationError) as error:
        paths.parse_number(path)
    assert error.value.reason == "malformed-path"


def test_record_ids_come_back() -> None:
    record = paths.record_id(DIGEST, 65_536)
    assert str(record) == f"{DIGEST[:32]}-65536"
    assert paths.parse_record_id(str(record)) == record
    assert paths.parse_record_id(f"{DIGEST[:32]}-0").row == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        DIGEST[:32],
        f"{DIGEST[:32]}-",
        f"{DIGEST[:32]}--1",
        f"{DIGEST[:32]}-01",
        f"{DIGEST[:31]}-1",
        f"{DIGEST[:32].upper()}-1",
        f"{DIGEST[:32]}-1\n",
        f"{DIGEST[:32]}-\u0661",
        f"{DIGEST[:32]}-{10**15}",
    ],
)
def test_what_is_no_record_id_is_refused(text: str) -> None:
    with pytest.raises(VerificationError) as error:
        paths.parse_record_id(text)
    assert error.value.reason == "malformed-record-id"
