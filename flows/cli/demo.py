"""`indelible demo`: the whole promise in a minute, on synthetic logs, with a real store."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table

from flows import pipeline, proving, wiring
from flows.cli.common import out, print_json
from flows.copying import copy_store
from flows.embedded import embedded_settings
from flows.receipts import BatchReceipt
from flows.settings import Settings, load_settings
from tasks.contracts.load import list_sources
from tasks.errors import IndelibleError, StoreRefusedError
from tasks.storage.embedded import EmbeddedStore, supported

_QUERY = """
SELECT source, outcome, count(*) AS events, count(DISTINCT actor) AS actors, min(event_date) AS first,
       max(event_date) AS last
FROM access_events GROUP BY ALL ORDER BY source, events DESC
"""
_ENDING = {
    True: "Not even the administrator could delete what is sealed.",
    False: "[yellow]What is sealed could be deleted: a plain directory is not WORM.[/]",
}


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of the show.")
    ] = False,
) -> None:
    """Deliver bundled sample logs into a real WORM store, prove one record, and try to cheat."""
    started = time.monotonic()
    show = _Show(quiet=as_json)
    with ExitStack() as stack:
        runtime = stack.enter_context(_deployment(show))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="indelible-demo-")))
        result: dict[str, Any] = {"store": runtime.store.uri, "worm": runtime.store.worm}
        result["sources"] = _deliver_all(runtime, show)
        record = _query(runtime, show)
        result["proof"] = _prove(runtime, record, work, show)
        result["tampering"] = _tamper(runtime, work, show)
        result["deletion"] = _delete(runtime, show)
    result["seconds"] = round(time.monotonic() - started, 1)
    if as_json:
        print_json(result)
        return
    out.print(
        Panel(
            f"Done in {result['seconds']:.0f} s. Nothing was lost, one record was proven without us, and a changed copy"
            f" was told from a true one. {_ENDING[result['worm']]}\n\n"
            "next: [bold]indelible up[/] keeps all this running, with schedules and a web page\n"
            "      [bold]indelible deliver cloudtrail --landing DIRECTORY[/] takes your own logs",
            border_style="green",
        ),
        soft_wrap=False,
    )


class _Show:
    """Numbered steps on the terminal, or nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._step = quiet, 0

    def step(self, title: str) -> None:
        self._step += 1
        self.say(f"\n[bold cyan]{self._step}. {title}[/]")

    def say(self, thing: object) -> None:
        if not self._quiet:
            out.print(thing)


@contextmanager
def _deployment(show: _Show) -> Iterator[wiring.Runtime]:
    """A runtime on the embedded store, or on a directory where that cannot run. Each demo has its own prefix."""
    settings = load_settings()
    run = datetime.now(UTC).strftime("demo-%Y%m%dT%H%M%SZ")
    show.step("A store that refuses to forget")
    if not supported():
        show.say("   SeaweedFS cannot run here: using a plain directory. [bold yellow]This is not WORM.[/]")
        yield _runtime(settings, (settings.state / run).resolve().as_uri(), run)
        return
    embedded = EmbeddedStore(settings.state)
    was_running = embedded.running
    embedded.start()
    try:
        settings = embedded_settings(settings)
        show.say(f"   SeaweedFS with S3 Object Lock at {embedded.endpoint}, this machine only")
        yield _runtime(settings, f"{settings.store.uri}/{run}", run)
    finally:
        if not was_running:
            embedded.stop()


def _runtime(settings: Settings, uri: str, run: str) -> wiring.Runtime:
    changes = {
        "store": settings.store.model_copy(update={"uri": uri}),
        "log": settings.log.model_copy(update={"origin": f"{settings.log.origin}/{run}"}),
        "retention": settings.retention.model_copy(update={"override_days": 1}),
        "state": settings.state / run,
        "keys": settings.keys.model_copy(update={"directory": settings.key_directory}),
    }
    return wiring.build(settings.model_copy(update=changes))


def _deliver_all(runtime: wiring.Runtime, show: _Show) -> list[dict[str, Any]]:
    show.step("Raw drops in: validate, redact, seal")
    receipts: list[BatchReceipt] = []
    for source in list_sources():
        with as_file(files("data_contracts") / "sources" / source / "samples" / "drops") as samples:
            landed = runtime.settings.landing.model_copy(
                update={"uris": {source: samples.resolve().as_uri()}}
            )
            here = wiring.build(
                runtime.settings.model_copy(update={"landing": landed}),
                store=runtime.store,
                keyring=runtime.keyring,
            )
            receipts += pipeline.deliver(here, source)[0]
    table = Table("source", "drops", "lines", "accepted", "quarantined", "duplicate", "blank", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for r in receipts:
        counts = (r.drops, r.lines, r.accepted, r.quarantined, r.duplicate, r.blank)
        table.add_row(r.source, *(f"{n:,}" for n in counts))
    show.say(Padding(table, (0, 0, 0, 2)))
    for r in receipts:
        reasons = ", ".join(f"{rule} x{n}" for rule, n in r.rules.items())
        show.say(f"   [yellow]{r.source}[/] quarantined, encrypted: {reasons}")
    show.say("   Every line is accounted for: lines = accepted + quarantined + duplicate + blank.")
    return [r.as_json() for r in receipts]


def _query(runtime: wiring.Runtime, show: _Show) -> str:
    from tasks.catalog.query import run_query

    show.step("Ask in SQL")
    show.say(f"   [dim]{' '.join(_QUERY.split())}[/]")
    names, rows = run_query(runtime.session(), runtime.catalog_path, _QUERY)
    table = Table(*names, box=None)
    for row in rows:
        table.add_row(*(str(value) for value in row))
    show.say(Padding(table, (0, 0, 0, 2)))
    _, found = run_query(
        runtime.session(), runtime.catalog_path,
        "SELECT record_id FROM access_events WHERE outcome = 'failure' ORDER BY time, record_id LIMIT 1",
    )  # fmt: skip
    return str(found[0][0])


def _prove(runtime: wiring.Runtime, record: str, work: Path, show: _Show) -> dict[str, Any]:
    show.step("Prove one record to a stranger, offline")
    proof = work / "record.proof"
    _, policy = proving.prove_record(runtime, record, proof)
    show.say(f"   indelible prove {record} -o record.proof    [dim]{proof.stat().st_size:,} bytes[/]")
    code, text = _verifier(proof, policy)
    show.say(f"   indelible-verify record.proof --policy policy    {_verdict(code)}")
    if code != 0:
        raise IndelibleError(f"the proof did not verify: {text}")
    return {"record": record, "bytes": proof.stat().st_size, "verified": code == 0}


def _tamper(runtime: wiring.Runtime, work: Path, show: _Show) -> dict[str, Any]:
    show.step("Change one bit in a copy")
    copy, policy = work / "copy", runtime.settings.state / "policy"
    count = copy_store(runtime.store, copy)
    clean, _ = _verifier(copy, policy)
    show.say(f"   the copy as it is: {count} objects    {_verdict(clean)}")
    victim = next(iter(sorted(copy.glob("data/source=cloudtrail/**/*.parquet"))))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    code, text = _verifier(copy, policy)
    show.say(f"   one bit flipped in {victim.name[:16]}...parquet    {_verdict(code)}")
    for line in [line for line in text.splitlines() if victim.name[:16] in line][:1]:
        show.say(f"   [dim]{line.strip()[:160]}[/]")
    if clean != 0 or code == 0:
        raise IndelibleError("the verifier did not tell the true copy from the changed one")
    return {"clean": clean, "changed": code}


def _delete(runtime: wiring.Runtime, show: _Show) -> str:
    show.step("Delete a sealed object, as the administrator")
    victim = next(info for info in runtime.store.list("data/"))
    admin = _as_admin(runtime)
    info = admin.head(victim.path)
    try:
        admin.delete(victim.path, info.version_id)
    except StoreRefusedError as error:
        show.say(
            f"   locked until {info.retain_until:%Y-%m-%d %H:%M} UTC; the store says: [bold green]refused[/]"
        )
        return f"refused: {error}"
    show.say(
        "   [bold yellow]deleted: a plain directory is not WORM. With S3 Object Lock this is refused.[/]"
    )
    return "deleted (not WORM)"


def _as_admin(runtime: wiring.Runtime) -> Any:
    if not runtime.store.worm:
        return runtime.store
    state = runtime.settings.state.parent
    admin = embedded_settings(runtime.settings.model_copy(update={"state": state}), identity="admin")
    store = admin.store.model_copy(update={"uri": runtime.settings.store.uri})
    return wiring.build(admin.model_copy(update={"store": store}), keyring=runtime.keyring).store


def _verifier(path: Path, policy: Path) -> tuple[int, str]:
    """The auditor's command, as its own process: it knows nothing of this one."""
    command = shutil.which("indelible-verify", path=str(Path(sys.executable).parent)) or "indelible-verify"
    done = subprocess.run(  # noqa: PLW1510
        [command, str(path), "--policy", str(policy)], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def _verdict(code: int) -> str:
    return "[bold green]verified[/]" if code == 0 else "[bold red]rejected[/]"
