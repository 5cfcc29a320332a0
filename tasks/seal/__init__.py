"""Seal: a redacted batch becomes locked objects and one log entry.

Put here: Parquet encoding, leaves, the drop ledger, the order of writes of one batch. Do not put here: what
may be sealed (redact), the log's own objects (`tasks.log`), or retries (flows).
"""
