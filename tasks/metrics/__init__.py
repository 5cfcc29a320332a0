"""Metrics: what the sealed log says, as numbers for Prometheus.

Put here: which metrics there are, and their values as the catalog and the log's objects give them. All of it can be
computed again from what is sealed, so a restart loses nothing. Do not put here: HTTP, live state, time-outs (`flows`).
"""
