"""One exception tree, split by who has to act.

Put here: exceptions that cross a module boundary. Do not put here: messages, retries, logging.

Every error carries `next_step`, one plain sentence that tells the reader what to do, and an exit code
that the README documents. No message may contain a value taken from a record.
"""

from __future__ import annotations


class IndelibleError(Exception):
    """Base of every error that Indelible raises on purpose."""

    exit_code = 1
    transient = False

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step


class UsageError(IndelibleError):
    """The operator must change the command or the settings."""

    exit_code = 2


class ContractError(IndelibleError):
    """The owner of a source must change its data contract."""

    exit_code = 3


class RedactionLeakError(ContractError):
    """Personal data or a credential got past redaction: the contract treats a field too mildly."""


class StoreUnavailableError(IndelibleError):
    """The store or the landing place cannot be reached now; the same call may succeed later."""

    exit_code = 4
    transient = True


class StoreRefusedError(IndelibleError):
    """The store answered, and its answer is final: permission, missing bucket, lock not enforced."""

    exit_code = 5


class AlreadyExistsError(StoreRefusedError):
    """A create-only write found an object at its path. In a race, this is how the loser learns it lost."""


class NotFoundError(StoreRefusedError):
    """Nothing is stored at the path (or not at that version)."""


class VerificationError(IndelibleError):
    """Evidence does not hold. The only exception that parsing or checking evidence may raise.

    Attributes:
        reason: stable machine-readable reason code, see `data_contracts/delivered/FORMAT.md`.
    """

    exit_code = 6

    def __init__(self, reason: str, message: str, *, next_step: str = "") -> None:
        super().__init__(f"{reason}: {message}", next_step=next_step)
        self.reason = reason


class HeldBatchError(IndelibleError):
    """A batch failed its contract's gate. Its lines are sealed in quarantine; its owner must look."""

    exit_code = 7


class KeyUnavailableError(IndelibleError):
    """A key that the operation needs is missing, unreadable or destroyed."""

    exit_code = 8


class KeyDestroyedError(KeyUnavailableError):
    """The key of a month was destroyed for good.

    Attributes:
        name: of the key, for example `pseudonym/2026-11`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the key {name} was destroyed",
            next_step="Nothing can read what it protected. Records of that month come too late to be sealed.",
        )
        self.name = name


class KeyTableBusyError(KeyUnavailableError):
    """Another process works on the whole key table; when it has ended, the same call may succeed."""

    transient = True


class KeyServiceUnreachableError(KeyUnavailableError):
    """The service that keeps the key does not answer now; the same call may succeed later."""

    transient = True
