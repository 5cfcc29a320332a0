"""Who is an officer at each place of the logs: one rule for those who seal and for those who verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.evidence.officer_entry import is_signed

ENROLMENT: Final = "officer-enrolment"
NOT_ENROLLED: Final = "officer-not-enrolled"
APPROVAL_MISSING: Final = "approval-missing"
APPROVAL_SIGNATURE: Final = "approval-signature-bad"


@dataclass(frozen=True, slots=True)
class Officer:
    """An officer's public keys, in hex: Ed25519 and X25519."""

    name: str
    sign_key: str
    open_key: str


class Roll:
    """The officers after the entries that were taken, in the order of the logs."""

    def __init__(self) -> None:
        self.enrolled: dict[str, Officer] = {}
        self._used: set[str] = set()

    def take(self, origin: str | None, entry: Mapping[str, Any]) -> str | None:
        """Follow one entry. One that is at fault changes nothing.

        Args:
            origin: of the logs, without the year; None where it is not known, so that no signature can be checked.
            entry: of any type; what is no matter of officers is passed over.

        Returns:
            The reason code of what is wrong with it, or None.
        """
        fault = self.fault(origin, entry)
        if fault is None and (entry["type"], entry.get("action")) == ("key", "enrol"):
            officer = Officer(entry["name"], entry["sign_key"], entry["open_key"])
            self.enrolled[officer.name] = officer
            self._used |= {officer.sign_key, officer.open_key}
        elif fault is None and (entry["type"], entry.get("action")) == ("key", "withdraw"):
            del self.enrolled[entry["name"]]
        return fault

    def fault(self, origin: str | None, entry: Mapping[str, Any]) -> str | None:
        """What is wrong with an entry at this place, as a reason code; see `take`."""
        match entry["type"], entry.get("action"):
            case "key", "enrol":
                keys = {entry["sign_key"], entry["open_key"]}
                if entry["name"] in self.enrolled or not keys.isdisjoint(self._used):
                    return ENROLMENT
                return self._approval(origin, entry)
            case "key", "withdraw":
                return None if entry["name"] in self.enrolled else ENROLMENT
            case "erasure", _:
                return self._approval(origin, entry)
            case "access", "reidentify":
                known = all(self.knows(officer["name"], officer["key"]) for officer in entry["officers"])
                return None if known else NOT_ENROLLED
        return None

    def knows(self, name: str, sign_key: str) -> bool:
        """Whether an officer of this name is enrolled with this key."""
        return name in self.enrolled and self.enrolled[name].sign_key == sign_key

    def _approval(self, origin: str | None, entry: Mapping[str, Any]) -> str | None:
        approval = entry["approval"]
        if approval is None:
            return APPROVAL_MISSING if self.enrolled else None
        if origin is not None and not is_signed(origin, entry, approval):
            return APPROVAL_SIGNATURE
        return None if self.knows(entry["approver"], approval["key"]) else NOT_ENROLLED
