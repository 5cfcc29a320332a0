"""`indelible sequencer`: seal what workers hand over, where delivering and sealing are apart."""

from __future__ import annotations

import typer

from flows.cli.common import AsJson, Endpoint, Store, out, print_json, runtime_with, working
from tasks.errors import VerificationError

app = typer.Typer(help="Seal what workers hand over.", no_args_is_help=True)


@app.command()
def run(store: Store = None, endpoint: Endpoint = None, as_json: AsJson = False) -> None:
    """Check the manifests in the inbox, seal those that hold, and sign the log. Repeating it is harmless.

    Exit code 6 when a manifest was refused.
    """
    from flows.sequencer import sequence_inbox

    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "checking manifests"), runtime.catalog() as catalog:
        handled = sequence_inbox(runtime, catalog)
    if as_json:
        print_json([one.as_json() for one in handled])
    for one in handled if not as_json else ():
        place = f"[green]sealed[/] entry {one.entry} of log {one.shard}"
        out.print(f"{place if one.refused is None else '[red]refused[/]'}  {one.path}")
        if one.refused is not None:
            out.print(f"    {one.refused}", markup=False)
    if any(one.refused for one in handled):
        raise typer.Exit(VerificationError.exit_code)


@app.command()
def key(as_json: AsJson = False) -> None:
    """Print this worker's public key, made on first use: it goes into [sequencer] workers of the sequencer."""
    from flows.sequencer import worker_signer
    from flows.settings import load_settings
    from flows.wiring import open_keyring

    settings = load_settings()
    vkey = worker_signer(settings, open_keyring(settings)).vkey
    print_json({"worker": settings.sequencer.worker, "key": vkey}) if as_json else out.print(
        vkey, markup=False
    )
