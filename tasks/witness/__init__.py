"""The C2SP tlog-witness protocol: both sides of `add-checkpoint`, as bytes in and bytes out.

A witness cosigns a log's checkpoint only if it continues the last one that it cosigned, so whoever holds
the log's key cannot show two histories without a witness that agrees to both.

Put here: the request's form, the decision, the witness's own memory, what a client makes of an answer. Do not
put here: sockets, threads, settings, key files (`flows.witness`), the log's objects (`tasks.log.cosign`).
"""
