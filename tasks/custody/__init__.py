"""Chain of custody: what AWS CloudTrail's signed digest files say of the drops that were sealed.

Verified on a copy and offline. Light on purpose (standard library and `cryptography`), and pure: bytes, keys
and hashes in, findings out. Not here: reading a landing place, the store, the log, any printing.
"""

from tasks.custody.chain import EVERYTHING, Window
from tasks.custody.check import Checked, Judged, check
from tasks.custody.digest import StoredDigest, is_digest, named_time
from tasks.custody.findings import Finding
from tasks.custody.keys import Keys, read_keys
from tasks.custody.matching import Drops

__all__ = [
    "EVERYTHING",
    "Checked",
    "Drops",
    "Finding",
    "Judged",
    "Keys",
    "StoredDigest",
    "Window",
    "check",
    "is_digest",
    "named_time",
    "read_keys",
]
