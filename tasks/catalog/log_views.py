"""Views over entries that are no batch, for people who ask in SQL: `completeness`, `audits`, `erasures`, ...."""

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

-- Examinations of every kind; what only a store audit has is null in the others.
CREATE OR REPLACE VIEW audits AS
SELECT document->>'$.kind' AS kind, document->>'$.scope.source' AS source,
    coalesce(document->>'$.holds', document->>'$.enforced')::BOOLEAN AS holds, document->>'$.mode' AS mode,
    [(c->>'name') FOR c IN ((document->'$.checks')::JSON[]) IF (c->>'state') = 'fails'] AS failed,
    [(c->>'name') FOR c IN ((document->'$.checks')::JSON[]) IF (c->>'state') = 'not-measured'] AS not_measured,
    (document->>'$.sample.records')::BIGINT AS sampled, (document->>'$.sample.population')::BIGINT AS population,
    (document->>'$.sample.found_ppm')::BIGINT AS found_ppm, len((document->'$.slots')::INTEGER[]) AS slots,
    (document->>'$.counts.bytes')::BIGINT AS bytes_read, document->>'$.report.path' AS report,
    sealed_at, shard, entry
FROM entries WHERE type = 'audit';

-- One line a request; `certificate` is the SHA-256 of the document that was handed out.
CREATE OR REPLACE VIEW erasures AS
SELECT document->>'$.request' AS request, any_value(document->>'$.action') AS action,
    min(sealed_at) AS sealed_at, any_value(document->>'$.requested_by') AS requested_by,
    any_value(document->>'$.approver') AS approver,
    any_value(document->>'$.approval.key') AS approval_key, any_value(document->>'$.reason') AS reason,
    coalesce(max(json_array_length(document->'$.keys')), 0) AS keys,
    coalesce(sum(list_sum([len(part) FOR part IN (document->'$.lines[*].lines')::BIGINT[][]])), 0)::BIGINT AS lines,
    any_value(document->>'$.basis') AS basis, any_value((document->'$.holds')::VARCHAR[]) AS holds,
    any_value(document->>'$.certificate') AS certificate, min(shard) AS shard, min(entry) AS entry
FROM entries WHERE type = 'erasure' GROUP BY request;

-- What two people decided not to take up again, by the place of its batch.
CREATE OR REPLACE VIEW discards AS
SELECT document->>'$.batch.source' AS source, (document->>'$.batch.shard')::INTEGER AS shard,
    (document->>'$.batch.entry')::BIGINT AS entry, (document->>'$.lines')::BIGINT AS lines,
    document->>'$.reason' AS reason, document->>'$.requested_by' AS requested_by,
    document->>'$.approver' AS approver, sealed_at, e.shard AS discard_shard, e.entry AS discard_entry
FROM entries e WHERE type = 'disposition' AND (document->>'$.action') = 'discard';

CREATE OR REPLACE VIEW erased_lines AS
WITH parts AS (
    SELECT unnest((document->'lines')::JSON[]) AS part
    FROM entries WHERE type = 'erasure' AND (document->>'action') = 'erase')
SELECT part->>'drop' AS drop_sha256, unnest((part->'lines')::BIGINT[]) AS line FROM parts;

-- Who may sign for re-identifications and erasures: since when, until when, and who approved of it. `signed` is false
-- for those of whom only two names say so: the first ones.
CREATE OR REPLACE VIEW officers AS
WITH told AS (
    SELECT document->>'$.name' AS name, document->>'$.action' AS action, document, sealed_at, shard, entry
    FROM entries WHERE type = 'key' AND (document->>'$.action') IN ('enrol', 'withdraw'))
SELECT name, document->>'$.sign_key' AS sign_key, document->>'$.open_key' AS open_key,
    document->>'$.requested_by' AS requested_by, document->>'$.approver' AS approver,
    document->>'$.approval.key' IS NOT NULL AS signed, document->>'$.reason' AS reason, sealed_at AS enrolled_at,
    (SELECT min(w.sealed_at) FROM told w WHERE w.name = e.name AND w.action = 'withdraw'
        AND (w.shard, w.entry) > (e.shard, e.entry)) AS withdrawn_at, shard, entry
FROM told e WHERE action = 'enrol';

-- Who was shown personal values, and why. `records`, rounded up, are of a subject export, the rest of a
-- re-identification.
CREATE OR REPLACE VIEW accesses AS
SELECT document->>'$.action' AS action, coalesce(document->>'$.request.purpose', document->>'$.purpose') AS purpose,
    document->>'$.request.case' AS "case",
    coalesce(document->>'$.request.requested_by', document->>'$.requested_by') AS requested_by,
    document->>'$.request.source' AS source, (document->'$.request.pseudonyms')::VARCHAR[] AS pseudonyms,
    document->>'$.officers[*].name' AS officers, (document->>'$.records')::BIGINT AS records,
    sealed_at, shard, entry
FROM entries WHERE type = 'access';
"""
