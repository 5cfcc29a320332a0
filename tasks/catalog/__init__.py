"""Catalog: what the log says, as DuckDB tables and views that people and the next delivery ask.

Put here: SQL, and how DuckDB reaches the sealed files. Do not put here: anything that is not in the log.
"""
