"""The order of proving records: ids in, proof files out. Loads no frame library, as one record needs none.

Put here: where hints come from, what is written where. Do not put here: the proof (`tasks.export.prove`), options and
output (the command).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.shards import log_keys
from flows.trust import own_policy, write_policy
from flows.wiring import Runtime
from tasks.errors import UsageError
from tasks.evidence.paths import parse_record_id
from tasks.export.files import Member, whole_file, write_zip
from tasks.export.prove import ProvenRecord, prove_all

MAX_RECORDS = 1_000_000
_MAX_IDS_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an archive of proofs holds."""

    records: int
    size: int
    vkeys: tuple[str, ...]


def prove_record(
    runtime: Runtime, record_id: str, target: Path, *, withhold_personal: bool = False
) -> tuple[ProvenRecord, Path]:
    """Write the proof file of one record, with its personal columns or without.

    Returns:
        What it proves, and a policy file of this deployment's key with which it can be checked.
    """
    proven = next(_proven(runtime, [record_id], withhold_personal=withhold_personal))
    with whole_file(target) as file:
        file.write(proven.data)
    return proven, write_policy(runtime, [proven.vkey])


def prove_records(
    runtime: Runtime,
    record_ids: Sequence[str],
    target: Path,
    *,
    withhold_personal: bool = False,
    progress: Callable[[int], None] = lambda _done: None,
) -> tuple[Proofs, Path]:
    """Write an archive with the proof file of each record. It appears whole or not at all.

    Returns:
        What it holds, and a policy file as `prove_record`.
    """
    vkeys: dict[str, int] = {}

    def members() -> Iterator[Member]:
        for done, proven in enumerate(_proven(runtime, record_ids, withhold_personal=withhold_personal)):
            vkeys[proven.vkey] = vkeys.get(proven.vkey, 0) + 1
            progress(done)
            yield Member.of(f"{proven.record_id}.proof", proven.data)

    with whole_file(target) as file:
        write_zip(file, members())
        size = file.tell()
    return Proofs(sum(vkeys.values()), size, tuple(vkeys)), write_policy(runtime, list(vkeys))


def read_ids(path: Path) -> list[str]:
    """Record ids from a file, one a line; empty lines are passed over.

    Raises:
        UsageError: it cannot be read, or has too many.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_IDS_BYTES + 1)
        ids = data.decode("ascii").split()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", next_step="Check --ids.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} holds other things than record ids", next_step="Check --ids.") from error
    if len(data) > _MAX_IDS_BYTES or len(ids) > MAX_RECORDS:
        raise UsageError(
            f"{path} has more than {MAX_RECORDS:,} record ids", next_step="Prove them in several archives."
        )
    return ids


def _proven(runtime: Runtime, ids: Sequence[str], *, withhold_personal: bool) -> Iterator[ProvenRecord]:
    found = prove_all(
        runtime.store,
        ids,
        lambda year: log_keys(runtime, year),
        own_policy(runtime),
        _hints(runtime, ids),
    )
    return (proven.withhold() if withhold_personal else proven for proven in found)


def _hints(runtime: Runtime, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    from tasks.catalog.places import entries_of

    files = {parse_record_id(text).file for text in ids}
    return entries_of(runtime.catalog_path, files) if runtime.catalog_path.exists() else {}
