"""The bundled sample drops: reproducible, free of anything real, and judged as intended."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from tasks.batch import Drop
from tasks.contracts import list_sources, load_contract
from tasks.ingest.limits import Limits
from tasks.ingest.read import read_batch
from tasks.storage import open_store
from tasks.validate import validate
from tests.support.make_samples import DISPOSITIONS, SOURCES, make


def test_the_committed_samples_are_what_the_script_writes() -> None:
    made = make()
    present = {path for folder in SOURCES.glob("*/samples") for path in folder.rglob("*") if path.is_file()}
    assert present == set(made)
    assert [str(path) for path, data in made.items() if path.read_bytes() != data] == []


def test_the_samples_hold_no_real_address() -> None:
    documentation = re.compile(rb"(192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9]+")
    for data in make().values():
        text = (
            documentation.sub(b"", data)
            .replace(b"140.0", b"")
            .replace(b"2.31.0", b"")
            .replace(b"1.40.0", b"")
        )
        assert re.search(rb"[0-9]{1,3}(\.[0-9]{1,3}){3}", text) is None


@pytest.mark.parametrize("source", list_sources())
def test_every_sample_line_ends_as_intended(source: str) -> None:
    folder = SOURCES / source / "samples"
    expected = json.loads((folder / "expected.json").read_text())["drops"]
    contract = load_contract(source)
    sizes = {key: (folder / "drops" / key).stat().st_size for key in sorted(expected)}
    drops = [Drop(source, key, size, "etag", None, 0) for key, size in sizes.items()]
    read = read_batch(open_store((folder / "drops").as_uri()), contract, drops, Limits())
    batch = validate(
        read,
        contract,
        known_fingerprints=lambda _dates, _marks: frozenset(),
        fingerprints=lambda _rows, digests: digests.bin.encode("hex"),
    )
    assert not batch.gate.held
    fates = Counter(batch.set_aside.select("_drop", "disposition").iter_rows())
    fates.update((drop, "accepted") for drop in batch.frame["_drop"])
    found = {
        drop.drop.key: {name: fates[index, name] for name in DISPOSITIONS} | {"lines": drop.lines}
        for index, drop in enumerate(batch.drops)
    }
    assert found == expected
