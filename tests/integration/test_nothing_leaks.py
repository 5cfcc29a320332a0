"""No planted value is left anywhere: everything stored, shown or left behind by a real delivery is searched.

The command runs in processes of its own, with a temporary directory of its own. Searched are decoded Parquet
columns, every table of the catalogs, every other stored byte, what the commands print, an evidence bundle and
the texts for the Prefect UI; for each value as a substring, in clear, in base64 and as a plain SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from flows import artifacts, evidence
from flows.receipts import BatchReceipt, CheckpointReceipt
from flows.settings import Settings, StoreSettings
from flows.wiring import Runtime, build
from tasks.redact import decrypt_raw
from tests.support.command import indelible
from tests.support.leaks import bytes_text, count, disguises, files, planted_in, roles
from tests.support.loadgen import SOURCES, Tree, generate

OPTIONS = {"cloudtrail_mb": 2, "gateway_mb": 2, "app_mb": 4, "personas": 120, "pii": 0.2, "bad": 0.02}
FAULTS = {"bad_file": 0.05, "dup_file": 0.05, "late": 0.01}
# In this tree, two names of users also name roles.
KEPT_ROLE_NAMES = 2
# A sender may use a value as the name of a field.
NAME = "AKIAIOSFODNN7EXAMPLE"
KINDS = frozenset({"aws_id", "card", "email", "in-url", "ip", "jwt", "phone", "username"})


@dataclass(frozen=True)
class Traces:
    """All that a delivery leaves: name of a place -> text."""

    tree: Tree
    runtime: Runtime
    stored: Mapping[str, str]
    shown: Mapping[str, str]
    left: Mapping[str, str]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    base = tmp_path_factory.mktemp("leaks")
    tree = generate(base / "tree", "leaks", **OPTIONS, **FAULTS)
    (base / "tmp").mkdir()
    named = json.dumps({"time": "2025-03-01T10:00:00Z", "message": "x", NAME: 1})
    (tree.root / "app" / "named.ndjson").write_text(f"{named}\n")
    environment = {
        "INDELIBLE_STATE": str(base / "state"),
        "INDELIBLE_STORE__URI": (base / "store").as_uri(),
        "INDELIBLE_LANDING__URIS": json.dumps(tree.landing),
        "TMPDIR": str(base / "tmp"),
    }
    commands = [
        *(("deliver", source, "--json") for source in SOURCES),
        ("status", "--json"),
        ("quarantine", "list"),
        ("quarantine", "show", "2", "--json"),
        ("query", "SELECT * FROM access_events USING SAMPLE 500 ROWS (reservoir, 1)", "--json"),
        (
            "export",
            "--since",
            "2025-02-01",
            "--until",
            "2025-04-01",
            "-o",
            str(base / "state" / "bundle.zip"),
        ),
    ]
    shown = {}
    for command in commands:
        run = indelible(*command, directory=base, environment=environment)
        assert run.returncode == 0, run.stderr
        shown[" ".join(command)] = run.stdout + run.stderr
    store = StoreSettings(uri=(base / "store").as_uri())
    runtime = build(Settings(state=base / "state", store=store))
    shown |= dict(markdown(runtime, [json.loads(shown[f"deliver {source} --json"]) for source in SOURCES]))
    return Traces(tree, runtime, files(base / "store"), shown, files(base / "state") | files(base / "tmp"))


def markdown(runtime: Runtime, outputs: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What a person would read in the Prefect UI."""
    for output in outputs:
        receipts = [BatchReceipt(**batch) for batch in output["batches"]]
        source = receipts[0].source
        checkpoint = CheckpointReceipt(**output["checkpoint"])
        yield f"artifact {source}", artifacts.delivery(source, receipts, checkpoint, runtime.store)
    yield "artifact verification", artifacts.verification(evidence.verify_store(runtime))


@pytest.fixture(scope="module")
def planted(traces: Traces) -> dict[str, set[str]]:
    """Kind -> planted values that really stand in what was delivered."""
    return planted_in(traces.tree)


def test_every_kind_was_in_the_input(planted: dict[str, set[str]]) -> None:
    assert planted.keys() == KINDS
    assert {kind for kind, values in planted.items() if not values} == set()
    assert sum(map(len, planted.values())) > 1000


def test_every_place_was_searched(traces: Traces) -> None:
    assert {name.partition("/")[0] for name in traces.stored} == {
        "catalog",
        "contracts",
        "data",
        "gate",
        "ledger",
        "log",
        "quarantine",
        "redaction",
    }
    rows = sum(text.count('"accepted"') for name, text in traces.shown.items() if name.startswith("deliver"))
    assert rows == len(SOURCES)
    assert {"catalog.duckdb", "bundle.zip"} <= traces.left.keys()
    assert all(traces.shown.values())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_planted_value_is_left(kind: str, traces: Traces, planted: dict[str, set[str]]) -> None:
    wanted = {form for value in planted[kind] for form in disguises(value)}
    found = {
        name: number
        for place in (traces.stored, traces.shown, traces.left)
        for name, text in place.items()
        if (number := count(wanted, text) - count(roles(planted[kind]), text))
    }
    assert found == {}


def test_a_key_id_that_is_the_name_of_a_field_is_not_left(traces: Traces) -> None:
    texts = {**traces.stored, **traces.shown, **traces.left}
    assert {name for name, text in texts.items() if NAME in text} == set()
    assert "[aws_id]" in traces.shown["deliver app --json"]


def test_only_the_names_of_roles_are_kept(traces: Traces, planted: dict[str, set[str]]) -> None:
    kept = {kind: sum(count(roles(planted[kind]), text) for text in traces.stored.values()) for kind in KINDS}
    assert kept == {kind: KEPT_ROLE_NAMES if kind == "username" else 0 for kind in KINDS}


def test_quarantine_hides_what_it_holds(traces: Traces, planted: dict[str, set[str]]) -> None:
    """The lines set aside hold planted values: they are found with the key, and only with it."""
    values = {value for of_kind in planted.values() for value in of_kind}
    clear: list[bytes] = []
    encrypted: list[bytes] = []
    with traces.runtime.catalog() as catalog:
        for (entry,) in catalog.connection.execute("SELECT entry FROM batches ORDER BY entry").fetchall():
            drops = "SELECT index, sha256 FROM drops WHERE entry = ?"
            digests = dict(catalog.connection.execute(drops, [entry]).fetchall())
            for index, line, raw in catalog.quarantined_raw(traces.runtime.store.now().year, entry):
                clear.append(decrypt_raw(raw, digests[index], line, traces.runtime.keyring))
                encrypted.append(base64.b64decode(raw.partition(".")[2]))
    assert count(values, b"\n".join(clear).decode("utf-8", "replace")) > 10
    assert count(values, b"\n".join(encrypted).decode("utf-8", "replace")) == 0


def test_nothing_temporary_is_left(traces: Traces) -> None:
    base = Path(traces.tree.root.parent)
    assert [path for path in (base / "tmp").rglob("*") if path.is_file()] == []


def test_the_search_finds_what_is_there(planted: dict[str, set[str]], tmp_path: Path) -> None:
    """A control: one value of each kind, in each form that is searched."""
    for values in planted.values():
        value = max(values)
        table = pl.DataFrame({"plain": ["x", f"a{value}b"], "list": [[], [value]]})
        table.write_parquet(tmp_path / "one.parquet")
        with duckdb.connect(str(tmp_path / "one.duckdb")) as connection:
            connection.execute("CREATE OR REPLACE TABLE t AS SELECT ? AS v", [value])
        for name in ("one.parquet", "one.duckdb"):
            assert count({value}, bytes_text(tmp_path / name, (tmp_path / name).read_bytes())) >= 1
        assert count(set(disguises(value)), hashlib.sha256(value.encode()).hexdigest()) == 1
