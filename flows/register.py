"""The record of processing activities of a deployment: its contracts, as the policy leaves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from flows.settings import Settings
from flows.wiring import loaded_contracts
from tasks.errors import UsageError
from tasks.export import register
from tasks.export.register import Activity

FORMATS: Final[Mapping[str, Callable[[Sequence[Activity]], bytes]]] = MappingProxyType(
    {"html": register.render_html, "json": register.render_json, "csv": register.render_csv}
)


def activities(settings: Settings) -> list[Activity]:
    """Each source. Needs no store and no keys."""
    return [register.activity(contract) for contract in loaded_contracts(settings)]


def write(found: Sequence[Activity], target: Path, form: str) -> int:
    """Write the record, and say how many bytes it has.

    Args:
        found: the activities.
        target: the file; an older one is replaced.
        form: one of `FORMATS`.

    Raises:
        UsageError: the file cannot be written.
    """
    data = FORMATS[form](found)
    try:
        target.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written ({error.strerror})", next_step="Name another file with -o."
        ) from error
    return len(data)
