"""Views over entries that are no batch, for people who ask in SQL: `completeness` and `gaps`."""

from __future__ import annotations

LOG_VIEWS = """
CREATE OR REPLACE VIEW gaps AS
SELECT lpad(shard::VARCHAR, 4, '0') || '-' || entry AS id, document->>'$.scope.source' AS source,
    (document->>'$.scope.since')::TIMESTAMPTZ AS since, (document->>'$.scope.until')::TIMESTAMPTZ AS until,
    (document->'$.codes')::VARCHAR[] AS codes, (document->>'$.findings.count')::BIGINT AS findings,
    document->>'$.reason' AS reason, document->>'$.requested_by' AS requested_by,
    document->>'$.approver' AS approver, sealed_at, shard, entry
FROM entries WHERE type = 'gap';

-- `state` is that of the moment at which the heartbeat was sealed; `gaps` are explanations that meet its time.
CREATE OR REPLACE VIEW completeness AS
WITH beats AS (
    SELECT document->>'$.scope.source' AS source, (document->>'$.scope.since')::TIMESTAMPTZ AS since,
        (document->>'$.scope.until')::TIMESTAMPTZ AS until,
        (document->>'$.counts.landed')::BIGINT AS landed, (document->>'$.counts.sealed')::BIGINT AS sealed,
        (document->>'$.counts.waiting')::BIGINT AS waiting, (document->>'$.counts.lines')::BIGINT AS lines,
        (document->>'$.counts.accepted')::BIGINT AS records, sealed_at, shard, entry
    FROM entries WHERE type = 'heartbeat')
SELECT source, since, until, landed, sealed, waiting, lines, records,
    CASE WHEN landed + sealed = 0 THEN 'silent' WHEN waiting > 0 THEN 'waiting' ELSE 'sealed' END AS state,
    coalesce((SELECT list(g.id ORDER BY g.shard, g.entry) FROM gaps g
        WHERE g.source = b.source AND g.since < b.until AND g.until > b.since), []) AS gaps,
    sealed_at, shard, entry
FROM beats b;
"""
