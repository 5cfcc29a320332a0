"""The key table: random keys of months and persons, in a database beside the WORM store.

What lies in the store can never be deleted. What makes it readable lies here, in one place, and can be. Put here:
tables, wrapping, destruction, backups. Do not put here: what keys are used for (`tasks.redact`), who may have one
destroyed and what is sealed of it (`flows.subject_keys`).
"""

from __future__ import annotations

from tasks.subjects.commitments import Committed, Destruction
from tasks.subjects.destruction import Cause, Destroyed, destroy_month, destroy_subject
from tasks.subjects.engine import open_database
from tasks.subjects.line_keys import destroy_lines
from tasks.subjects.rewrap import rewrap
from tasks.subjects.table import KeyTable, Place
from tasks.subjects.wrapping import KeyEncryptionKey

__all__ = [
    "Cause",
    "Committed",
    "Destroyed",
    "Destruction",
    "KeyEncryptionKey",
    "KeyTable",
    "Place",
    "destroy_lines",
    "destroy_month",
    "destroy_subject",
    "open_database",
    "rewrap",
]
