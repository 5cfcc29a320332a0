"""Typed access to the `customProperties` of an ODCS element.

Charter: the standard lets a custom property be anything; here every one is known by name and type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.contracts.document import Defects, Path


class Properties:
    """Typed access to one `customProperties` list; a wrong type or an unknown name is a defect."""

    def __init__(self, owner: Mapping[str, Any], path: Path, known: Iterable[str], defects: Defects) -> None:
        self._values: dict[str, Any] = {}
        self._paths: dict[str, Path] = {}
        self._owner_path = path
        self._defects = defects
        for index, entry in enumerate(owner.get("customProperties") or []):
            name, place = entry["property"], (*path, "customProperties", index)
            if name not in set(known):
                defects.add(place, f"unknown property `{name}`; known here: {', '.join(sorted(known))}")
            elif name in self._values:
                defects.add(place, f"property `{name}` stands twice")
            else:
                self._values[name], self._paths[name] = entry["value"], (*place, "value")

    def place(self, name: str) -> Path:
        """Where the value of `name` stands, or its owner when it is absent."""
        return self._paths.get(name, self._owner_path)

    def fault(self, name: str, message: str) -> None:
        """Note a defect of the property `name`."""
        self._defects.add(self.place(name), f"{name} {message}")

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of `allowed`."""
        value = self._values.get(name, default)
        if value not in allowed:
            self.fault(name, f"is `{value}`; allowed: {', '.join(allowed)}")
            return default
        return str(value)

    def text(self, name: str) -> str:
        """A string, empty when absent."""
        value = self._values.get(name, "")
        if not isinstance(value, str):
            self.fault(name, "must be a string")
            return ""
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self.fault(name, "must be true or false")
        return value is True

    def number(self, name: str) -> float | None:
        """A number, None when absent."""
        value = self._values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.fault(name, "must be a number")
            return None
        return value

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of distinct strings."""
        value = self._values.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(name, "must be a list of strings")
            return default
        if len(set(value)) != len(value):
            self.fault(name, "names one thing twice")
        return tuple(value)

    def items(self, name: str) -> list[Any]:
        """A list of anything, empty when absent."""
        value = self._values.get(name, [])
        if not isinstance(value, list):
            self.fault(name, "must be a list")
            return []
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object, empty when absent."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self.fault(name, "must be an object")
            return {}
        return value

    def paths(self, default: str) -> tuple[tuple[str, ...], ...]:
        """`paths`: each a key or a list of keys from the outside in."""
        found: list[tuple[str, ...]] = []
        value = self._values.get("paths", [default])
        for item in value if isinstance(value, list) else [None]:
            steps = [item] if isinstance(item, str) else item
            if not isinstance(steps, list) or not steps or not all(isinstance(s, str) and s for s in steps):
                self.fault("paths", "must be a list of keys, or of lists of keys")
                return ((default,),)
            found.append(tuple(steps))
        if not found or len(set(found)) != len(found):
            self.fault("paths", "is empty or names one place twice")
        return tuple(found)
