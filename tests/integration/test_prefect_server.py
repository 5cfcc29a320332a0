"""One machine from nothing: `indelible up`, a delivery through the API, its receipt, `indelible down`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.processes import MARK

COMMAND = Path(sys.executable).with_name("indelible")
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
RUN_SECONDS = 240


class Machine:
    """The command, in an empty directory and an environment without settings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "INDELIBLE_"))
        }
        self.api = ""

    def command(self, *arguments: str) -> Any:
        """Run `indelible ... --json` and give back what it prints."""
        done = subprocess.run(
            [COMMAND, *arguments, "--json"],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask the Prefect API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def run(self, deployment: str) -> dict[str, Any]:
        """Start a run and wait for its end."""
        found = self.ask(f"/deployments/name/{deployment}")
        run = self.ask(f"/deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        end = time.monotonic() + RUN_SECONDS
        while run["state"]["type"] not in FINAL and time.monotonic() < end:
            time.sleep(0.5)
            run = self.ask(f"/flow_runs/{run['id']}")
        return dict(run)

    def processes(self) -> list[int]:
        """What `up` started here and what still lives: Prefect by its mark, the store by its data."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    facts = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                ours = MARK.encode() in facts or b"weed" in facts
                if ours and os.fsencode(self.directory) in facts:
                    found.append(int(entry.name))
        return found


def listening(port: int) -> set[str]:
    """Addresses on which somebody listens at a port, as the kernel writes them: 0100007F is 127.0.0.1."""
    tables = (Path("/proc/net", name).read_text() for name in ("tcp", "tcp6"))
    lines = [line.split() for table in tables for line in table.splitlines()]
    return {line[1].split(":")[0] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        subprocess.run(
            [COMMAND, "down"], cwd=tmp_path, env=machine.environment, capture_output=True, check=False
        )


@pytest.mark.timeout(600)
def test_up_delivers_what_lands_and_down_leaves_the_data_and_no_process(machine: Machine) -> None:
    up = machine.command("up")
    machine.api = up["api"]
    assert listening(int(up["ui"].rpartition(":")[2])) == {"0100007F"}
    landing = Path(up["landing"]["app"].removeprefix("file://"))
    lines = [json.dumps({"time": "2026-11-02T10:00:00Z", "message": f"line {n}"}) for n in range(50)]
    (landing / "2026-11-02.ndjson").write_text("\n".join([*lines, "broken"]) + "\n")

    run = machine.run("deliver/app")

    assert (run["state"]["name"], run["state"]["message"]) == (
        "Completed",
        "1 batch sealed: 50 of 51 lines accepted.",
    )
    assert run["name"].startswith("deliver-app-20")
    wanted = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "key": {"any_": ["deliver-app"]}}}
    (receipt,) = machine.ask("/artifacts/filter", wanted)
    assert "| **lines** | **51** |" in receipt["data"]
    assert "(WORM)" in receipt["data"]
    status = machine.command("status")
    (source,) = [s for s in status["sources"] if s["source"] == "app"]
    assert (source["batches"], source["accepted"], source["quarantined"]) == (1, 50, 1)

    again = machine.command("up")
    assert again["processes"] == up["processes"]
    assert again["api"] == up["api"]
    assert len(machine.processes()) >= 3

    assert machine.command("down")["ended"] == ["prefect worker", "prefect server", "embedded store"]
    assert machine.processes() == []
    assert machine.command("down")["ended"] == []
    assert (machine.directory / ".indelible" / "seaweedfs").is_dir()
