"""The analysts' notebook runs on the bundled samples, and what is committed is what it shows of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from flows import pipeline
from tasks.contracts.load import list_sources
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment

REPO = Path(__file__).resolve().parents[2]
SOURCES = REPO / "data_contracts" / "sources"
NOTEBOOK = REPO / "notebooks" / "access_review.ipynb"
# Cells whose outputs depend on the samples alone, not on keys or the day.
STABLE = ("hours", "sums", "aside")
COLUMNS = ("lines", "accepted", "quarantined", "duplicate", "blank")
# Accepted events of the samples with an error code (5), a status from 400 (10) or the level error (4).
FAILURES = 19


def read() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.reads(NOTEBOOK.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def shown(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """What each code cell shows as text, by its id."""
    return {
        cell.id: "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def table(text: str) -> list[list[str]]:
    """The rows below the head of a table drawn by Polars."""
    return [
        [cell.strip() for cell in re.split("[│┆]", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ][1:]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook, run where nothing but its settings leads to the delivered samples."""
    place = tmp_path_factory.mktemp("review")
    store, state = LocalStore(place / "store"), place / "state"
    for source in list_sources():
        drops = (SOURCES / source / "samples" / "drops").as_uri()
        pipeline.deliver(deployment(store, state, {source: drops}), source)
    settings = place / "indelible.toml"
    settings.write_text(
        f'state = "{state}"\n[store]\nuri = "{store.uri}"\n[log]\norigin = "audit.example/test"\n'
    )
    notebook = read()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INDELIBLE_CONFIG", str(settings))
        elsewhere = tmp_path_factory.mktemp("kernel")
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(elsewhere)}}).execute()
    assert list(elsewhere.iterdir()) == []  # it leaves nothing behind
    return notebook


def test_every_line_of_the_samples_is_accounted_for(executed: nbformat.NotebookNode) -> None:
    unaccounted, rest = 0, ["0", "not measured"]  # no heartbeat was sealed
    intended = []
    for source in sorted(list_sources()):
        expected = json.loads((SOURCES / source / "samples" / "expected.json").read_text())
        numbers = [len(expected["drops"]), *(expected["sums"][name] for name in COLUMNS), unaccounted]
        intended.append([source, *map(str, numbers), *rest])
    assert table(shown(executed)["sums"]) == intended


def test_quarantine_is_shown_by_rule(executed: nbformat.NotebookNode) -> None:
    rules = {(source, rule) for source, rule, *_ in table(shown(executed)["aside"])}
    assert {("cloudtrail", "gzip.truncated"), ("gateway", "encoding.utf8"), ("app", "json.syntax")} <= rules


def test_failures_are_listed_counted_by_hour_and_drawn(executed: nbformat.NotebookNode) -> None:
    text = shown(executed)
    assert len(table(text["refused"])) == FAILURES
    assert sum(int(count) for _, *counts in table(text["hours"]) for count in counts) == FAILURES
    (picture,) = [o for cell in executed.cells if cell.id == "picture" for o in cell.outputs]
    assert "image/png" in picture["data"]


def test_the_record_is_proven_by_the_auditors_command(executed: nbformat.NotebookNode) -> None:
    text = shown(executed)["proof"]
    assert "exit code 0" in text
    assert "PROVEN: this record is in the signed log, unaltered." in text
    assert "The checkpoint satisfies the policy" in text
    assert '"errorCode": "AccessDenied"' in text


def test_what_is_committed_is_what_the_samples_give(executed: nbformat.NotebookNode) -> None:
    committed, now = shown(read()), shown(executed)
    assert {name: committed[name] for name in STABLE} == {name: now[name] for name in STABLE}


def test_the_committed_notebook_is_whole_and_names_no_machine() -> None:
    committed = NOTEBOOK.read_text()
    assert not re.search(r"(/home/|/root/|/tmp/|/work/|/Users/|file:///)", committed)
    outputs = [o for cell in read().cells if cell.cell_type == "code" for o in cell.outputs]
    assert outputs
    assert {o.output_type for o in outputs} <= {"execute_result", "display_data", "stream"}


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=["lint", "format"])
def test_the_notebook_is_held_to_the_rules_of_the_code(check: tuple[str, ...]) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, *check, "--no-cache", str(NOTEBOOK)], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
