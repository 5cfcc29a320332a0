"""`indelible up` and `down`: everything for one machine."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.cli.common import AsJson, next_step, out, print_json, working
from flows.embedded import embedded_settings
from flows.server import LocalPrefect
from flows.settings import Settings, load_settings
from flows.wiring import open_keyring
from tasks.storage.embedded import EmbeddedStore


def up(as_json: AsJson = False) -> None:
    """Start the embedded store, the Prefect server with its deployments, and a worker.

    Repeating it is harmless: what runs already is left alone. A store that the settings name is used
    instead of the embedded one.
    """
    settings = load_settings()
    with _alone(settings), working(as_json, "starting the Prefect server") as progress:
        prefect = LocalPrefect.of(settings)
        prefect.server.start()
        if not settings.store.uri:
            progress("starting the embedded store")
            EmbeddedStore(settings.state).start()
        complete = settings if settings.store.uri else embedded_settings(settings)
        open_keyring(complete)
        progress("waiting for the Prefect server")
        prefect.wait_for_server()
        progress("registering deployments")
        deployments = prefect.register()
        prefect.worker.start()
        progress("waiting for the worker")
        prefect.wait_for_worker()
    report = _report(complete, prefect, deployments)
    if as_json:
        print_json(report)
    else:
        _print(report)


def down(as_json: AsJson = False) -> None:
    """End what `up` started. All data stay; `up` goes on from there."""
    settings = load_settings()
    with _alone(settings), working(as_json, "ending the worker") as progress:
        prefect = LocalPrefect.of(settings)
        ended = []
        for process in (prefect.worker, prefect.server):
            progress(f"ending the {process.role}")
            if process.members():
                ended.append(f"prefect {process.role}")
            process.stop()
        store = EmbeddedStore(settings.state)
        progress("ending the embedded store")
        if (settings.state / "store.json").exists() and store.running:
            ended.append("embedded store")
        store.stop()
    if as_json:
        print_json({"ended": ended, "state": str(settings.state.resolve())})
        return
    out.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    out.print(f"data stay in {settings.state.resolve()}")
    next_step("indelible up")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One `up` or `down` at a time in a state directory."""
    settings.state.mkdir(parents=True, exist_ok=True)
    with (settings.state / "machine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _report(settings: Settings, prefect: LocalPrefect, deployments: list[str]) -> dict[str, Any]:
    return {
        "ui": prefect.url,
        "api": f"{prefect.url}/api",
        "store": {"uri": settings.store.uri, "endpoint": settings.store.endpoint},
        "landing": dict(sorted(settings.landing.uris.items())),
        "deployments": deployments,
        "state": str(settings.state.resolve()),
        "logs": [str(prefect.server.log_file), str(prefect.worker.log_file)],
        "processes": {"server": prefect.server.pid, "worker": prefect.worker.pid},
    }


def _print(report: dict[str, Any]) -> None:
    out.print(f"[green]up[/]  runs and receipts   {report['ui']}")
    store = report["store"]
    out.print(
        f"    evidence            {store['uri']}" + (f" at {store['endpoint']}" if store["endpoint"] else "")
    )
    out.print(f"    state and logs      {report['state']}")
    if not report["landing"]:
        next_step("name a landing place for each source, [landing.uris] in indelible.toml, then indelible up")
        return
    out.print("drop files here; each schedule looks for new ones, or start one now:")
    for source, uri in report["landing"].items():
        out.print(f"    {source:<14}      {uri.removeprefix('file://')}")
    next_step(f"indelible deliver {next(iter(report['landing']))}")
