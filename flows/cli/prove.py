"""`indelible prove`: one small file for each record, which proves it to anyone offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows import proving
from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.wiring import Runtime
from tasks.errors import UsageError

WithholdPersonal = Annotated[
    bool, typer.Option("--withhold-personal", help="Leave out who the records are about; it still verifies.")
]
IdsFile = Annotated[
    Path | None, typer.Option("--ids", help="A file of record ids, one a line.", show_default=False)
]


def prove(
    record_ids: Annotated[
        list[str] | None, typer.Argument(metavar="RECORD_ID...", help="As `indelible query` shows them.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; .zip for several records.")
    ] = Path("record.proof"),
    ids: IdsFile = None,
    withhold_personal: WithholdPersonal = False,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Write one small file for each RECORD_ID that proves it, for anyone to check offline."""
    wanted = [*(record_ids or ()), *(proving.read_ids(ids) if ids is not None else ())]
    if not wanted:
        raise UsageError("no record is named", next_step="Give record ids, or a file of them with --ids.")
    runtime = runtime_with(store=store, endpoint=endpoint)
    if output.suffix == ".zip":
        _prove_many(runtime, wanted, output, withhold_personal=withhold_personal, as_json=as_json)
    elif len(wanted) == 1:
        _prove_one(runtime, wanted[0], output, withhold_personal=withhold_personal, as_json=as_json)
    else:
        raise UsageError(
            f"{len(wanted):,} proofs do not go into one file", next_step="Give -o a name that ends in .zip."
        )


def _prove_one(
    runtime: Runtime, record_id: str, output: Path, *, withhold_personal: bool, as_json: bool
) -> None:
    with working(as_json, f"proving {record_id}"):
        proven, policy = proving.prove_record(runtime, record_id, output, withhold_personal=withhold_personal)
    command = f"indelible-verify {output} --policy {policy}"
    if as_json:
        names = ("record_id", "source", "path", "row", "origin", "index", "size", "sealed_at", "vkey")
        described = {name: getattr(proven, name) for name in names}
        print_json({**described, "file": str(output), "policy": str(policy), "next": command})
        return
    out.print(f"{output} ({len(proven.data):,} bytes) proves, to whoever trusts the log's key:")
    out.print(f"  record {proven.record_id} of {proven.source} is row {proven.row} of {proven.path},")
    out.print(f"  sealed {proven.sealed_at} as entry {proven.index} of {proven.origin},")
    out.print(f"  which is under the signed checkpoint of {proven.size} entries.")
    held = "without its personal columns" if withhold_personal else "as it was sealed, redacted"
    out.print(f"It holds the record {held}. Give the policy file to the auditor by another way.")
    next_step(command)


def _prove_many(
    runtime: Runtime, record_ids: list[str], output: Path, *, withhold_personal: bool, as_json: bool
) -> None:
    with working(as_json, f"proving {len(record_ids):,} records") as show:
        proofs, policy = proving.prove_records(
            runtime,
            record_ids,
            output,
            withhold_personal=withhold_personal,
            progress=lambda done: show(f"proving: {done:,} of {len(record_ids):,}"),
        )
    command = f"indelible-verify {output} --policy {policy}"
    if as_json:
        print_json(
            {
                "file": str(output),
                "records": proofs.records,
                "bytes": proofs.size,
                "vkeys": list(proofs.vkeys),
                "policy": str(policy),
                "next": command,
            }
        )
        return
    held = "without personal columns" if withhold_personal else "as sealed, redacted"
    out.print(f"{output} ({proofs.size:,} bytes) proves {proofs.records:,} records, {held}.")
    out.print("Give the policy file to the auditor by another way.")
    next_step(command)
