"""Bytes that lie elsewhere: one protocol with stated guarantees, one adapter a file.

Put here: what speaks to a directory, to S3 or to a server we run. Do not put here: the layout of paths,
formats, or what the bytes mean.
"""

from tasks.storage.open import open_store
from tasks.storage.protocol import ObjectInfo, ObjectStore

__all__ = ["ObjectInfo", "ObjectStore", "open_store"]
