"""Stage one: raw drops in, columns out, and nothing lost on the way.

`listing` says which drops a landing place holds, `read` turns a group of them into a `ReadBatch`.
Every line or record of a drop becomes one row: of the frame when it could be parsed, of the lines
set aside when it could not. Put here: wire formats, decompression, JSON types to column types. Do
not put here: whether a value is acceptable (`tasks.validate`), what may be kept (`tasks.redact`).
"""

from __future__ import annotations
