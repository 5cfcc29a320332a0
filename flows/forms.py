"""Types of parameters, as the form of a run shows them and as the server checks them before it starts a process.

The server checks a JSON schema and knows no `format`, hence the patterns. `date | None` would become a choice
between two forms; a day that may be left out is one picker instead.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, WithJsonSchema

_DAY: Final = {"pattern": r"^20\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
_UUID: Final = {"pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"}

# Registering adds the sources of the deployment as an enum.
Source = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Day = Annotated[date, Field(json_schema_extra={**_DAY})]
AnyDay = Annotated[date | None, WithJsonSchema({"type": "string", "format": "date", **_DAY})]
AnyRun = Annotated[UUID | None, WithJsonSchema({"type": "string", "format": "uuid", **_UUID})]
Reason = Annotated[str, Field(min_length=3, max_length=500)]


def as_day(given: date | str | None) -> date | None:
    """A parameter as `prefect.runtime` has it: text where it came through the API."""
    return date.fromisoformat(given) if isinstance(given, str) else given


def complete(schema: dict[str, Any], sources: list[str]) -> dict[str, Any]:
    """A flow's schema, with the deployment's sources to choose from. What may be left out may also be null."""
    for name, field in schema["properties"].items():
        field["title"] = name.replace("_", " ").capitalize()
        if name == "source":
            field["enum"] = sources
        if "default" in field and field["default"] is None:
            del field["default"]
    return schema
