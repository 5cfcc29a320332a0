"""Tables of the catalog. All of it is derived from the log and can be rebuilt from what is sealed."""

from __future__ import annotations

TABLES = """
CREATE TABLE IF NOT EXISTS log_state (
    shard INTEGER PRIMARY KEY, size BIGINT NOT NULL, checkpoint VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    shard INTEGER, entry BIGINT, type VARCHAR, source VARCHAR, source_seq BIGINT, leaf VARCHAR,
    sealed_at VARCHAR, document JSON, PRIMARY KEY (shard, entry));
CREATE TABLE IF NOT EXISTS batches (
    shard INTEGER, entry BIGINT, source VARCHAR, sealed_at VARCHAR, contract_version VARCHAR,
    held BOOLEAN, gate_path VARCHAR, ledger_path VARCHAR, retain_until VARCHAR,
    drops BIGINT, lines BIGINT, accepted BIGINT, quarantined BIGINT, duplicate BIGINT, blank BIGINT,
    bytes BIGINT);
CREATE TABLE IF NOT EXISTS files (
    shard INTEGER, entry BIGINT, n INTEGER, role VARCHAR, source VARCHAR, event_date DATE, path VARCHAR,
    version_id VARCHAR, bytes BIGINT, rows BIGINT, sha256 VARCHAR, root VARCHAR,
    min_time BIGINT, max_time BIGINT);
CREATE TABLE IF NOT EXISTS drops (
    shard INTEGER, entry BIGINT, source VARCHAR, index INTEGER, key VARCHAR, version_id VARCHAR, etag VARCHAR,
    landed_at BIGINT, bytes BIGINT, sha256 VARCHAR, raw_bytes BIGINT, raw_sha256 VARCHAR, lines BIGINT,
    accepted BIGINT, quarantined BIGINT, duplicate BIGINT, blank BIGINT, flags VARCHAR[]);
CREATE TABLE IF NOT EXISTS redactions (
    shard INTEGER, entry BIGINT, source VARCHAR, field VARCHAR, treatment VARCHAR, rows BIGINT,
    detector VARCHAR, texts BIGINT, leaks BIGINT);
CREATE INDEX IF NOT EXISTS drops_by_key ON drops (source, key);
"""

# Tables whose rows belong to an entry each.
ENTRY_TABLES = ("entries", "batches", "files", "drops", "redactions")

# Columns of `access_events` that do not come from a contract's accessEvents mapping.
EVENT_COLUMNS = ("actor", "action", "resource", "outcome", "source_address")
