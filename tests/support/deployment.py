"""A deployment for tests: real stages, on the store and landing place that the test gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows import wiring
from flows.settings import Settings
from tasks.storage.protocol import ObjectStore


def deployment(
    store: ObjectStore, state: Path, landing: dict[str, Any] | None = None, /, **settings: Any
) -> wiring.Runtime:
    """A runtime whose state lies in `state`.

    Args:
        store: the real thing, or a directory.
        state: catalog and keys.
        landing: URI by source, or the whole section with `uris`.
        settings: others, for example `limits={...}` or `contracts=directory`.
    """
    places = landing if landing and "uris" in landing else {"uris": landing or {}}
    values = {"state": state, "landing": places, "log": {"origin": "audit.example/test"}, **settings}
    return wiring.build(Settings.model_validate(values), store=store)
