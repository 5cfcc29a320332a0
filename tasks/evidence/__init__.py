"""Evidence: the bytes that an auditor checks, and the mathematics of checking them.

Put here: pure functions from bytes to values and back - canonical JSON, Merkle trees, signed notes,
checkpoints, tiles, log entries, record proofs, trust policies, object paths.

Do not put here: files, sockets, clocks, randomness, frames, key storage, or anything that knows in
which order evidence is written.

Only the standard library and `cryptography` are imported. Whatever bytes come in, a parser or a check
returns a value or raises exactly `tasks.errors.VerificationError` with a code of `reasons`.
"""
