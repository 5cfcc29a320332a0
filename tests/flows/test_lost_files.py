"""A sealed file that was really deleted: deliveries and queries go on for the rest, and everybody is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows import evidence, pipeline
from flows.cli import lake
from flows.cli.app import app
from flows.wiring import Runtime
from tasks.catalog.query import run_query
from tasks.evidence import paths
from tasks.storage.local import LocalStore
from tests.support.faults import SOURCE, land, remembered_gate, small_runtime, write_contract

COUNT = f"SELECT count(*) AS n FROM {SOURCE}"


@pytest.fixture(scope="module", autouse=True)
def gate() -> Iterator[None]:
    with remembered_gate():
        yield


@pytest.fixture
def delivered(tmp_path: Path) -> Runtime:
    write_contract(tmp_path / "contracts")
    land(tmp_path / "landing", 0, 1)
    runtime = small_runtime(LocalStore(tmp_path / "store"), tmp_path, tmp_path / "landing")
    assert pipeline.deliver(runtime, SOURCE)[1].lost == ()
    return runtime


def remove_a_file(runtime: Runtime, kind: str = paths.DATA_PREFIX) -> str:
    path = next(info.path for info in runtime.store.list(kind))
    (runtime.settings.state.parent / "store" / path).unlink()
    return path


def count(runtime: Runtime) -> int:
    return int(run_query(runtime.session(), runtime.catalog_path, COUNT)[1][0][0])


@pytest.mark.parametrize("kind", [paths.DATA_PREFIX, paths.QUARANTINE_PREFIX])
def test_the_next_delivery_seals_and_publishes_the_rest(delivered: Runtime, kind: str) -> None:
    lost = remove_a_file(delivered, kind)
    land(delivered.settings.state.parent / "landing", 2)
    receipts, checkpoint = pipeline.deliver(delivered, SOURCE)
    assert [receipt.drops for receipt in receipts] == [1]
    assert checkpoint.lost == (lost,)
    assert count(delivered) > 0
    report = evidence.verify_store(delivered)
    assert [(f.verdict.value, f.path) for f in report.findings if f.verdict != "not-measured"] == [
        ("missing", lost)
    ]


def damage(runtime: Runtime, kind: str) -> str:
    path = next(info.path for info in runtime.store.list(kind))
    file = runtime.settings.state.parent / "store" / path
    file.chmod(0o600)
    data = file.read_bytes()
    # Where the footer begins is a matter of its last eight bytes; both the pages and the footer are hit.
    file.write_bytes(data[:64] + bytes(b ^ 0x55 for b in data[64:-16]) + data[-16:])
    return path


@pytest.mark.parametrize("kind", [paths.DATA_PREFIX, paths.QUARANTINE_PREFIX])
def test_a_damaged_file_does_not_stop_deliveries_either(delivered: Runtime, kind: str) -> None:
    damaged = damage(delivered, kind)
    land(delivered.settings.state.parent / "landing", 2)
    receipts, checkpoint = pipeline.deliver(delivered, SOURCE)
    assert [receipt.drops for receipt in receipts] == [1]
    assert checkpoint.lost == (damaged,)
    assert count(delivered) > 0
    assert ("changed", damaged) in [
        (f.verdict.value, f.path) for f in evidence.verify_store(delivered).findings
    ]


def test_damaged_pages_do_not_stop_deliveries(delivered: Runtime) -> None:
    path = next(info.path for info in delivered.store.list(paths.DATA_PREFIX))
    file = delivered.settings.state.parent / "store" / path
    file.chmod(0o600)
    data = bytearray(file.read_bytes())
    data[4:1000] = bytes(996)
    file.write_bytes(data)
    land(delivered.settings.state.parent / "landing", 2)
    receipts, _ = pipeline.deliver(delivered, SOURCE)
    assert [receipt.drops for receipt in receipts] == [1]


def test_the_delivery_names_the_file_for_people(
    delivered: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.cli.run import print_receipts

    lost = remove_a_file(delivered)
    land(delivered.settings.state.parent / "landing", 2)
    print_receipts(*pipeline.deliver(delivered, SOURCE))
    shown = capsys.readouterr().out
    assert f"missing {lost}" in shown
    assert "indelible verify" in shown


def asked(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(lake, "runtime_with", lambda **_: runtime)
    return CliRunner().invoke(app, ["query", COUNT, "--json"])


def test_a_query_makes_a_lost_catalog_again_and_signs_nothing(
    delivered: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [info.path for info in delivered.store.list()]
    expected = count(delivered)
    delivered.catalog_path.unlink()
    monkeypatch.setattr(
        "tasks.keyring.file.FileKeyring.signers", lambda *_: pytest.fail("it asked for a key")
    )
    result = asked(delivered, monkeypatch)
    assert json.loads(result.stdout) == [{"n": expected}]
    assert [info.path for info in delivered.store.list()] == before


def test_a_query_shows_only_what_a_checkpoint_covers(
    delivered: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = count(delivered)
    land(delivered.settings.state.parent / "landing", 2)
    with delivered.catalog() as catalog:
        for drops in pipeline.find_new(delivered, SOURCE, pipeline.Window(), catalog):
            pipeline.deliver_batch(delivered, SOURCE, drops, catalog)
    delivered.catalog_path.unlink()
    assert json.loads(asked(delivered, monkeypatch).stdout) == [{"n": expected}]


def test_a_query_without_a_catalog_names_the_file_that_is_gone(
    delivered: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = remove_a_file(delivered)
    delivered.catalog_path.unlink()
    result = asked(delivered, monkeypatch)
    assert result.exit_code == 0
    assert lost in result.stderr


def test_a_query_before_the_first_delivery_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_contract(tmp_path / "contracts")
    runtime = small_runtime(LocalStore(tmp_path / "store"), tmp_path, tmp_path / "landing")
    monkeypatch.setattr(lake, "runtime_with", lambda **_: runtime)
    result = CliRunner().invoke(app, ["query", "SELECT count(*) AS n FROM access_events", "--json"])
    assert json.loads(result.stdout) == [{"n": 0}]
