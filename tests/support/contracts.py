"""A small contract that a test changes in one place."""

from __future__ import annotations

from typing import Any

import yaml

from tasks.contracts import Contract, parse_contract

SOURCE = "small"


def document() -> dict[str, Any]:
    """A fresh, valid document; mutate it, then `build` it."""
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": SOURCE,
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": SOURCE,
                "logicalType": "object",
                "customProperties": properties(
                    formats=["ndjson"],
                    timeField="time",
                    recordKey=["id"],
                    drift="evolve",
                    accessEvents={
                        "actor": '"user"',
                        "action": "'log'",
                        "resource": "id",
                        "outcome": "'unknown'",
                        "source_address": "NULL",
                    },
                ),
                "quality": [
                    {
                        "name": "user_or_id",
                        "type": "custom",
                        "engine": "indelible",
                        "implementation": '"user" IS NOT NULL OR id IS NOT NULL',
                    }
                ],
                "properties": [
                    {
                        "name": "time",
                        "logicalType": "timestamp",
                        "required": True,
                        "customProperties": properties(timeFormats=["rfc3339"]),
                    },
                    {"name": "id", "logicalType": "string", "logicalTypeOptions": {"pattern": r"^[a-z]\d*$"}},
                    {
                        "name": "user",
                        "logicalType": "string",
                        "classification": "personal",
                        "customProperties": properties(treatment="pseudonym", domain="person"),
                    },
                    {
                        "name": "status",
                        "logicalType": "integer",
                        "logicalTypeOptions": {"minimum": 100, "maximum": 599},
                    },
                ],
            }
        ],
        "slaProperties": [{"property": "retention", "value": 1, "unit": "y"}],
        "customProperties": properties(quarantineThresholdPct=50),
    }


def properties(**values: Any) -> list[dict[str, Any]]:
    """`customProperties` from keywords."""
    return [{"property": name, "value": value} for name, value in values.items()]


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    """The one schema object."""
    schema: dict[str, Any] = content["schema"][0]
    return schema


def field_of(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The property called `name`."""
    found: dict[str, Any] = next(p for p in schema_of(content)["properties"] if p["name"] == name)
    return found


def set_property(owner: dict[str, Any], name: str, value: Any) -> None:
    """Replace or add one custom property."""
    kept = [p for p in owner.get("customProperties", []) if p["property"] != name]
    owner["customProperties"] = [*kept, {"property": name, "value": value}]


def build(content: dict[str, Any]) -> Contract:
    """Load the document as the contract of `small`."""
    return parse_contract(yaml.safe_dump(content, sort_keys=False).encode(), SOURCE)
