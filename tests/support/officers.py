"""Officers who are enrolled in a deployment of a test."""

from __future__ import annotations

from collections.abc import Mapping

from flows import officers
from flows.wiring import Runtime
from tasks.keyring.officers import OfficerKey


def enrol(runtime: Runtime, keys: Mapping[str, OfficerKey], name: str) -> None:
    """Enrol one of them; whoever is enrolled before signs, and for the first one nobody can."""
    key = keys[name]
    asked = officers.request(runtime, name, key.sign_key, key.open_key, requested_by="ida", reason="board 3")
    enrolled = [one.name for one in officers.enrolments(runtime) if one.withdrawn_at is None]
    if enrolled:
        officers.enrol(runtime, asked.sign(keys[enrolled[0]]))
    else:
        officers.enrol(runtime, asked, "carla")
