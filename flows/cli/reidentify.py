"""`indelible subject reidentify request|sign|release|open`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from flows import reidentify
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.cli.hold import RequestedBy
from flows.reidentify import Release, Signed
from flows.settings import load_settings
from tasks.errors import UsageError
from tasks.evidence.access_entry import OFFICERS
from tasks.export.files import whole_file
from tasks.keyring import officers

app = typer.Typer(
    help="Turn pseudonyms back, when two officers agree. It is sealed before anybody sees a value.",
    no_args_is_help=True,
)
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
Key = Annotated[Path, typer.Option(help="Your keys, as `indelible officer keys` wrote them.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase of the keys, on its first line.", show_default=False),
]
File = Annotated[Path, typer.Argument(help="The request, or the release.", show_default=False)]


@app.command()
def request(
    source: Annotated[str, typer.Option(help="Whose records the pseudonyms stand in.")],
    pseudonym: Annotated[list[str], typer.Option(help="As it stands in the records. Repeatable, up to 100.")],
    purpose: Annotated[str, typer.Option(help="What for, in one line. It is sealed: no personal data.")],
    case: Annotated[str, typer.Option(help="Name of the matter.")],
    expires: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Until when, UTC; at most 30 days."),
    ],
    output: Output = Path("reidentify.json"),
    requested_by: RequestedBy = None,
) -> None:
    """Ask for the values behind pseudonyms. Two officers must sign the file that this writes."""
    signed = reidentify.make_request(
        load_settings().log.origin,
        source,
        pseudonym,
        purpose=purpose,
        case=case,
        requested_by=requested_by or getpass.getuser(),
        expires=expires.replace(tzinfo=UTC),
        now=datetime.now(UTC),
    )
    write_file(output, signed.encode())
    out.print(
        f"{output}: {len(signed.request['pseudonyms'])} pseudonyms of {source}, for two officers to sign"
    )
    next_step(f"indelible subject reidentify sign {output} --key OFFICER.pem")


@app.command()
def sign(
    file: File,
    key: Key,
    passphrase_file: PassphraseFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before signing.")] = False,
) -> None:
    """Agree to a request, as an officer. Read it first."""
    signed = reidentify.parse_signed(reidentify.read_file(file))
    out.print(_described(signed))
    if not yes:
        typer.confirm("Do you agree that these pseudonyms are turned back?", abort=True)
    signed = reidentify.sign(signed, officers.read(key, passphrase(passphrase_file)), datetime.now(UTC))
    write_file(file, signed.encode())
    out.print(f"signed by {' and '.join(one['name'] for one in signed.signatures)}")
    done = len(signed.signatures) == OFFICERS
    next_step(f"indelible subject reidentify {'release' if done else 'sign'} {file}")


@app.command()
def release(
    file: File,
    output: Output = Path("release.json"),
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Check a signed request, seal the access, and only then wrap the values for the two officers."""
    signed = reidentify.parse_signed(reidentify.read_file(file))
    runtime = runtime_with(store=store, endpoint=endpoint)
    with working(as_json, "sealing the access"):
        released = reidentify.release(runtime, signed)
    write_file(output, released.encode())
    if as_json:
        print_json({"entry": released.entry, "file": str(output), "waiting": list(released.waiting)})
        return
    out.print(f"sealed: {released.entry}")
    out.print(
        f"{output} is for {released.waiting[0]} first, then for {released.waiting[1]}; it shows nobody else anything."
    )
    next_step(f"indelible subject reidentify open {output} --key OFFICER.pem")


@app.command("open")
def open_(
    file: File,
    key: Key,
    passphrase_file: PassphraseFile = None,
    output: Output = Path("release-2.json"),
    as_json: AsJson = False,
) -> None:
    """Open a release, as the officer whose turn it is: the first takes off a layer, the second sees the values."""
    opened = reidentify.open_release(
        reidentify.parse_release(reidentify.read_file(file)), officers.read(key, passphrase(passphrase_file))
    )
    if isinstance(opened, Release):
        write_file(output, opened.encode())
        out.print(f"{output} is for {opened.waiting[0]}, and for nobody else")
        next_step(f"indelible subject reidentify open {output} --key OFFICER.pem")
    elif as_json:
        print_json(opened)
    else:
        table = Table("column", "pseudonym", "value", box=None, pad_edge=False)
        for row in opened:
            table.add_row(row["column"], row["pseudonym"], plain(row["value"]))
        out.print(table)


def _described(signed: Signed) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    request = signed.request
    for name in ("source", "purpose", "case", "requested_by", "requested_at", "expires_at", "origin"):
        table.add_row(name.replace("_", " "), plain(request[name]))
    table.add_row("pseudonyms", "\n".join(request["pseudonyms"]))
    table.add_row("signed by", ", ".join(one["name"] for one in signed.signatures) or "nobody")
    return table


def plain(value: str) -> Text:
    """A value as it is safe on a terminal: somebody wrote it into a log."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in value))


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as file:
        file.write(data)


def passphrase(file: Path | None) -> bytes | None:
    """The passphrase on the first line of a file.

    Raises:
        UsageError: it cannot be read.
    """
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            return opened.readline(4096).rstrip(b"\r\n") or None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", next_step="Check --passphrase-file."
        ) from error
