"""Who may do what in the buckets: the one declaration from which every policy is made.

AWS IAM and SeaweedFS both evaluate the same policy language, so one document a role serves both, and the
embedded server enforces what is deployed on AWS. Put here: roles and their grants. Do not put here: trust
(who may take a role), bucket policies and keys; they are Terraform's, in `infra/terraform`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tasks.evidence import paths

Bucket = Literal["store", "landing"]

DELIVERED: Final = (
    paths.DATA_PREFIX,
    paths.QUARANTINE_PREFIX,
    paths.IDENTITIES_PREFIX,
    paths.LEDGER_PREFIX,
    paths.GATE_PREFIX,
    paths.REDACTION_PREFIX,
    paths.CONTRACTS_PREFIX,
    paths.POLICIES_PREFIX,
)
# What the catalog is built from, and the catalog.
PUBLISHED: Final = (
    paths.CATALOG_PREFIX,
    paths.DATA_PREFIX,
    paths.LEDGER_PREFIX,
    paths.REDACTION_PREFIX,
    paths.LOG_PREFIX,
)
EVERYTHING: Final = ("",)
CANARIES: Final = "probe/"  # what is tried out before anything is sealed, see `tasks.storage.probe`

# Without PutObjectRetention no lock header is taken; the lock itself lets nobody shorten with it.
CREATE: Final = ("s3:PutObject", "s3:PutObjectRetention")
READ: Final = ("s3:GetObject", "s3:GetObjectVersion")
LOCKS: Final = ("s3:GetObjectRetention", "s3:GetObjectLegalHold")
HOLD: Final = ("s3:PutObjectLegalHold", "s3:PutObjectRetention")
# On the bucket: names, its clock (HeadBucket), and whether it keeps versions and locks.
BUCKET: Final = ("s3:ListBucket", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration")
VERSIONS: Final = (*BUCKET, "s3:ListBucketVersions")

# Nobody who works with evidence needs these. Denied, so that a grant that somebody adds later changes nothing.
NEVER: Final = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
)


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on the objects under some prefixes of a bucket, or on the bucket itself.

    Attributes:
        prefixes: of object names; empty when the actions are the bucket's own.
        listing: for `s3:ListBucket`, the only prefixes that may be listed; empty for all.
    """

    actions: tuple[str, ...]
    bucket: Bucket = "store"
    prefixes: tuple[str, ...] = ()
    listing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """What one kind of principal is for, and all that it may do."""

    name: str
    purpose: str
    grants: tuple[Grant, ...]


ROLES: Final = (
    Role("collector", "puts raw drops where they land", (Grant(("s3:PutObject",), "landing", EVERYTHING),)),
    Role(
        "deliverer",
        "reads drops, writes what a seal entry names, hands a signed manifest over",
        (
            Grant(READ, "landing", EVERYTHING),
            Grant(BUCKET, "landing"),
            Grant(CREATE, prefixes=(*DELIVERED, paths.INBOX_PREFIX, CANARIES)),
            Grant(
                (*READ, *LOCKS),
                prefixes=(*DELIVERED, paths.INBOX_PREFIX, paths.LOG_PREFIX, CANARIES),
            ),
            Grant(BUCKET),
        ),
    ),
    Role(
        "sequencer",
        "checks manifests, appends what they say to the log and signs it",
        (
            Grant(CREATE, prefixes=(paths.LOG_PREFIX, CANARIES)),
            Grant(
                (*READ, *LOCKS),
                prefixes=(*DELIVERED, paths.INBOX_PREFIX, paths.LISTS_PREFIX, paths.LOG_PREFIX, CANARIES),
            ),
            Grant(BUCKET),
        ),
    ),
    Role(
        "publisher",
        "builds the catalog from what is sealed",
        (
            Grant(CREATE, prefixes=(paths.CATALOG_PREFIX,)),
            Grant((*READ, *LOCKS), prefixes=PUBLISHED),
            Grant(BUCKET),
        ),
    ),
    Role(
        "analyst",
        "queries records through the catalog",
        (
            Grant(READ, prefixes=(paths.CATALOG_PREFIX, paths.DATA_PREFIX)),
            Grant(("s3:ListBucket",), listing=(paths.CATALOG_PREFIX, paths.DATA_PREFIX)),
        ),
    ),
    Role(
        "auditor",
        "verifies everything, down to versions, locks and holds",
        (Grant((*READ, *LOCKS), prefixes=EVERYTHING), Grant(VERSIONS)),
    ),
    Role(
        "examiner",
        "audits, compares with the landing place, checks custody, and seals what it found; has the log's key",
        (
            Grant(READ, "landing", EVERYTHING),
            Grant(BUCKET, "landing"),
            Grant(
                CREATE,
                prefixes=(
                    paths.CATALOG_PREFIX,
                    paths.CUSTODY_PREFIX,
                    paths.LISTS_PREFIX,
                    paths.LOG_PREFIX,
                    CANARIES,
                ),
            ),
            Grant((*READ, *LOCKS), prefixes=EVERYTHING),
            Grant(VERSIONS),
        ),
    ),
    Role(
        "hold-officer",
        "places and lifts legal holds, extends locks",
        (
            Grant((*HOLD, *LOCKS), prefixes=EVERYTHING),
            Grant(CREATE, prefixes=(paths.LISTS_PREFIX,)),
            Grant(READ, prefixes=(*PUBLISHED, paths.LISTS_PREFIX)),
            Grant(VERSIONS),
        ),
    ),
    Role("key-administrator", "creates, rotates and disables keys; has no part in the buckets", ()),
)

# One machine, one process: what deliverer, sequencer and publisher do, under any prefix. Never deployed on AWS.
WRITER: Final = Role(
    "writer",
    "delivers, seals and publishes in one process",
    (
        Grant(READ, "landing", EVERYTHING),
        Grant(BUCKET, "landing"),
        Grant((*CREATE, *READ, *LOCKS), prefixes=EVERYTHING),
        Grant(VERSIONS),
    ),
)


def policy(role: Role, buckets: Mapping[Bucket, str]) -> dict[str, Any]:
    """The role's identity policy: what it is granted, then what nobody may.

    Args:
        role: whose.
        buckets: ARN of each bucket; a Terraform template has a placeholder there.
    """
    statements = [_statement(grant, buckets[grant.bucket]) for grant in role.grants]
    both = [arn for bucket in buckets.values() for arn in (bucket, f"{bucket}/*")]
    never = NEVER if role.grants else ("s3:*",)
    statements.append({"Effect": "Deny", "Action": list(never), "Resource": both})
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(grant: Grant, arn: str) -> dict[str, Any]:
    resource = [f"{arn}/{prefix}*" for prefix in grant.prefixes] or [arn]
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(grant.actions), "Resource": resource}
    if grant.listing:
        statement["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in grant.listing]}}
    return statement


def seaweedfs_policies(buckets: Mapping[Bucket, str]) -> Iterator[dict[str, str]]:
    """The `policies` of SeaweedFS's configuration file; an identity names its own in `policyNames`.

    Args:
        buckets: name of each bucket.
    """
    arns: dict[Bucket, str] = {bucket: f"arn:aws:s3:::{name}" for bucket, name in buckets.items()}
    for role in (*ROLES, WRITER):
        yield {"name": role.name, "content": json.dumps(policy(role, arns))}
