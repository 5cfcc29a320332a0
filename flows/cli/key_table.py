"""`indelible key months|destroy-epoch|rewrap|backup|restore`: keys that pseudonymise and encrypt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows import key_backups, subject_keys
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import Approver, Reason, RequestedBy, order_of

app = typer.Typer()


@app.command()
def months(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Show the keys of months: in use or destroyed, and how long what depends on them must be kept."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "reading the log"), runtime.catalog() as catalog:
        known = subject_keys.list_months(catalog)
    if as_json:
        print_json([asdict(key) for key in known])
        return
    if not known:
        out.print("nothing that is sealed depends on the key of a month")
        return
    table = Table("key", "state", "kept until", "sources", box=None, pad_edge=False)
    for key in known:
        table.add_row(key.name, key.state, key.kept_until or "-", ", ".join(key.sources) or "-")
    out.print(table)
    next_step("indelible key destroy-epoch KEY --approver NAME --reason TEXT, when nobody has to keep it")


@app.command("destroy-epoch")
def destroy_epoch(
    key: Annotated[str, typer.Argument(help="For example pseudonym/2026-11; see `indelible key months`.")],
    approver: Approver,
    reason: Reason,
    requested_by: RequestedBy = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the key of a month for good: its pseudonyms cannot be linked, its ciphertexts not be read any more."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    order = order_of(approver, requested_by, reason)
    with working(as_json, "destroying and sealing"):
        gone, checkpoint = subject_keys.destroy_epoch(runtime, order, key)
    if as_json:
        print_json({"key": key, "commitment": gone.commitment.hex(), "checkpoint": checkpoint.as_json()})
        return
    out.print(f"destroyed: {key}, whose commitment was {gone.commitment.hex()}")
    out.print(f"sealed; log {checkpoint.shard} is signed up to {checkpoint.size} entries")
    out.print(
        "Copies of the key table that are older still hold it, until they expire or `rewrap` ends them."
    )
    next_step("indelible key rewrap")


@app.command()
def rewrap(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Wrap all keys anew under the newest key-encryption key, so that older copies can be made worthless."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "wrapping all keys anew"):
        count = subject_keys.rewrap_all(runtime)
    kek = runtime.settings.key_table.kek
    if as_json:
        print_json({"keys": count, "kek": kek})
        return
    out.print(f"{count:,} keys are wrapped anew")
    if kek == "file":
        out.print(
            "The old key-encryption key is deleted here; delete it in backups of the key directory too."
        )
    else:
        out.print("Destroy the old version of the key-encryption key in its service; that ends older copies.")
    next_step("indelible key backup -o FILE, since older backups open no more")


@app.command()
def backup(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it must not exist.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=365, help="Days until it expires.", show_default=False)
    ] = None,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Write a backup of the key table: encrypted, and with an expiry after which it must be gone."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "writing the backup"):
        made = key_backups.back_up(runtime, output, days)
    if as_json:
        print_json(asdict(made))
        return
    out.print(f"{made.path}: {made.rows:,} rows, {made.bytes:,} bytes; expires at {made.expires_at}")
    out.print("Delete it by then: until it is gone, keys that are destroyed from now on live on in it.")
    next_step(f"indelible key restore {made.path}, where the key table was lost")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup that has not expired.")],
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back, without the keys that the log says were destroyed."""
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "restoring"):
        done = key_backups.restore(runtime, file)
    if as_json:
        print_json(asdict(done))
        return
    out.print(f"{done.keys:,} keys are back; {done.destroyed:,} were destroyed since and stay so")
    if done.unreadable_drops:
        out.print(
            f"{done.unreadable_drops:,} drops have lines in quarantine whose keys this backup does not hold: nobody can"
            " read these lines, look for a person in them or replay them. Restore a newer backup too, if there is one."
        )
    next_step("indelible key months")
