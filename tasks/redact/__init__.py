"""Redaction: what leaves here holds no clear personal data that its contract names, and no secret.

Put here: treatments, detectors, pseudonyms, encryption of quarantined bytes. Do not put here: where keys
come from (`tasks.keyring`), writing.
"""

from __future__ import annotations

from tasks.redact.fingerprints import record_fingerprints
from tasks.redact.identities import decrypt_identity
from tasks.redact.normal import normal_text
from tasks.redact.quarantine import decrypt_lines, decrypt_raw
from tasks.redact.stage import REDACTION_LEAK, redact, search_again

__all__ = [
    "REDACTION_LEAK",
    "decrypt_identity",
    "decrypt_lines",
    "decrypt_raw",
    "normal_text",
    "record_fingerprints",
    "redact",
    "search_again",
]
