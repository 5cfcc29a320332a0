"""`indelible witness`: a witness for logs of others, with its own key and memory."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import AsJson, next_step, out, print_json
from flows.settings import load_settings
from flows.witness import MEMORY_FILE, WitnessServer, build, make_key
from tasks.witness.memory import Memory

app = typer.Typer(
    help="Cosign checkpoints of logs that others run (C2SP tlog-witness).", no_args_is_help=True
)

Directory = Annotated[
    Path, typer.Option("--directory", help="The witness's own: key and memory.", show_default=False)
]


@app.command()
def key(
    name: Annotated[
        str, typer.Option("--name", help="Key name, for example witness.example/w1.", show_default=False)
    ],
    directory: Directory,
    as_json: AsJson = False,
) -> None:
    """Make the witness's key if there is none, and print its vkey."""
    vkey = make_key(directory, name, _passphrase())
    if as_json:
        print_json({"vkey": vkey, "directory": str(directory)})
        return
    out.print(vkey)
    next_step(f"indelible witness serve --directory {directory} --logs POLICY")


@app.command()
def serve(
    logs: Annotated[
        Path,
        typer.Option("--logs", help="Policy file whose `log` lines may be cosigned.", show_default=False),
    ],
    directory: Directory,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 7380,
) -> None:
    """Answer `POST /add-checkpoint` until interrupted. The file of logs may be changed meanwhile."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with WitnessServer((host, port), build(directory, logs, _passphrase())) as server:
        out.print(f"witness at {server.url}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            out.print("ended")


@app.command()
def evidence(directory: Directory) -> None:
    """Print, as JSON, the notes of logs that contradicted what this witness had cosigned."""
    kept = Memory(directory / MEMORY_FILE).contradictions()
    print_json(
        [
            {
                "origin": one.origin,
                "kept_at": one.kept_at,
                "cosigned": base64.b64encode(one.cosigned).decode(),
                "claimed": base64.b64encode(one.claimed).decode(),
            }
            for one in kept
        ]
    )


def _passphrase() -> bytes | None:
    secret = load_settings().keys.passphrase
    return secret.get_secret_value().encode() if secret else None
