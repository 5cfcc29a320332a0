"""The table of infra/docs/roles.md, and each of its actions as a call on a real server and as what IAM asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "infra" / "docs" / "roles.md"
STORE, LANDING = "indelible", "landing"
NOW = datetime.now(UTC).replace(microsecond=0)

Call = Callable[[Any, "Scene"], Any]


def declared() -> dict[str, dict[str, str]]:
    """Action -> role -> `yes`, `-` or `gap`."""
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    header = next(row for row in cells if row[0] == "action")
    table = cells[cells.index(header) + 2 :]
    table = [row for row in table if len(row) == len(header)]
    return {row[0]: dict(zip(header[1:-1], row[1:-1], strict=True)) for row in table}


@dataclass(frozen=True)
class Scene:
    """What an administrator prepared, and names that nobody else takes.

    Attributes:
        root: prefix of the test's own names below the role's prefixes.
        version: version ids by key.
        role: who acts.
    """

    root: str
    version: Mapping[str, str]
    role: str

    def key(self, prefix: str) -> str:
        """The prepared object under a prefix."""
        return f"{prefix}{self.root}"

    def new(self, prefix: str, what: str) -> str:
        """A name that is free."""
        return f"{prefix}{self.root}-{self.role}-{what}"


@dataclass(frozen=True)
class Need:
    """A permission that AWS checks for a call."""

    action: str
    key: str = ""
    bucket: str = STORE
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """A row of the table. `needs` is None where the lock decides and not a policy."""

    call: Call
    needs: tuple[Need, ...] | None


def lock(days: int, mode: str = "COMPLIANCE") -> dict[str, Any]:
    return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": NOW + timedelta(days=days)}


def _lock_context(days: int, mode: str = "COMPLIANCE") -> dict[str, str]:
    return {"s3:object-lock-mode": mode, "s3:object-lock-remaining-retention-days": str(days)}


_CREATING = {"s3:ObjectCreationOperation": "true"}
_ABSENT = {"s3:if-none-match": "*"}


def _create(prefix: str) -> Action:
    def call(s3: Any, scene: Scene) -> Any:
        return s3.put_object(
            Bucket=STORE, Key=scene.new(prefix, "created"), Body=b"x", IfNoneMatch="*", **lock(2)
        )

    key = f"{prefix}new"
    context = {**_CREATING, **_ABSENT, **_lock_context(2)}
    return Action(
        call,
        (Need("s3:PutObject", key, context=context), Need("s3:PutObjectRetention", key, context=context)),
    )


def _read(prefix: str, *, bucket: str = STORE) -> Action:
    return Action(
        lambda s3, scene: s3.get_object(Bucket=bucket, Key=scene.key(prefix))["Body"].read(),
        (Need("s3:GetObject", f"{prefix}a", bucket),),
    )


def _extend(prefix: str) -> Action:
    def call(s3: Any, scene: Scene) -> Any:
        key = scene.key(prefix)
        until = {"Mode": "COMPLIANCE", "RetainUntilDate": NOW + timedelta(days=3)}
        return s3.put_object_retention(Bucket=STORE, Key=key, VersionId=scene.version[key], Retention=until)

    return Action(call, (Need("s3:PutObjectRetention", f"{prefix}a", context=_lock_context(3)),))


def _put_data(what: str, needs: tuple[Need, ...], **parameters: Any) -> Action:
    return Action(
        lambda s3, scene: s3.put_object(
            Bucket=STORE, Key=scene.new("data/", what), Body=b"x", **{"IfNoneMatch": "*", **parameters}
        ),
        needs,
    )


def _century(s3: Any, scene: Scene) -> Any:
    key = scene.key("data/century-")
    until = {"Mode": "COMPLIANCE", "RetainUntilDate": NOW + timedelta(days=36_500)}
    return s3.put_object_retention(Bucket=STORE, Key=key, VersionId=scene.version[key], Retention=until)


def _shorten(s3: Any, scene: Scene) -> Any:
    key = scene.key("data/")
    until = {"Mode": "COMPLIANCE", "RetainUntilDate": NOW + timedelta(days=1)}
    return s3.put_object_retention(Bucket=STORE, Key=key, VersionId=scene.version[key], Retention=until)


def _hold(status: str) -> Action:
    def call(s3: Any, scene: Scene) -> Any:
        key = scene.key("data/")
        return s3.put_object_legal_hold(
            Bucket=STORE, Key=key, VersionId=scene.version[key], LegalHold={"Status": status}
        )

    return Action(call, (Need("s3:PutObjectLegalHold", "data/a"),))


def _delete(prefix: str, action: str, *, version: bool, **parameters: Any) -> Action:
    def call(s3: Any, scene: Scene) -> Any:
        key = scene.key(prefix)
        named = {"VersionId": scene.version[key]} if version else {}
        return s3.delete_object(Bucket=STORE, Key=key, **named, **parameters)

    needs = [Need(action, f"{prefix}a")]
    if parameters:
        needs.append(Need("s3:BypassGovernanceRetention", f"{prefix}a"))
    return Action(call, tuple(needs))


def _configure(action: str, method: str, **parameters: Any) -> Action:
    return Action(lambda s3, scene: getattr(s3, method)(Bucket=STORE, **parameters), (Need(action),))


def _settings(s3: Any, scene: Scene) -> None:
    del scene
    s3.head_bucket(Bucket=STORE)
    s3.get_bucket_versioning(Bucket=STORE)
    s3.get_object_lock_configuration(Bucket=STORE)


_RULE = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
_EXPIRE = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "none/"}, "Expiration": {"Days": 1}}
_PLAIN = {**_CREATING, **_ABSENT}

ACTIONS: dict[str, Action] = {
    "put a drop": Action(
        lambda s3, scene: s3.put_object(Bucket=LANDING, Key=scene.new("", "drop"), Body=b"x"),
        (Need("s3:PutObject", "a", LANDING, _CREATING),),
    ),
    "read a drop": _read("", bucket=LANDING),
    "list drops": Action(
        lambda s3, scene: s3.list_objects_v2(Bucket=LANDING), (Need("s3:ListBucket", "", LANDING),)
    ),
    "delete a drop": Action(
        lambda s3, scene: s3.delete_object(Bucket=LANDING, Key=scene.key("")),
        (Need("s3:DeleteObject", "a", LANDING),),
    ),
    "create data": _create("data/"),
    "create quarantine": _create("quarantine/"),
    "create identities": _create("identities/"),
    "create ledger": _create("ledger/"),
    "create manifest": _create("inbox/"),
    "create a canary": _create("probe/"),
    "create list": _create("lists/"),
    "create custody": _create("custody/"),
    "create log": _create("log/"),
    "move the log's pointer": Action(
        lambda s3, scene: s3.put_object(Bucket=STORE, Key=f"log/{scene.root}/checkpoint", Body=b"x"),
        (Need("s3:PutObject", "log/2026/checkpoint", context=_CREATING),),
    ),
    "create catalog": _create("catalog/"),
    "read data": _read("data/"),
    "read quarantine": _read("quarantine/"),
    "read identities": _read("identities/"),
    "read ledger": _read("ledger/"),
    "read log": _read("log/"),
    "read manifest": _read("inbox/"),
    "read list": _read("lists/"),
    "read custody": _read("custody/"),
    "read catalog": _read("catalog/"),
    "list every name": Action(
        lambda s3, scene: s3.list_objects_v2(Bucket=STORE), (Need("s3:ListBucket"),)
    ),
    "list data": Action(
        lambda s3, scene: s3.list_objects_v2(Bucket=STORE, Prefix="data/"),
        (Need("s3:ListBucket", context={"s3:prefix": "data/"}),),
    ),
    "list versions": Action(
        lambda s3, scene: s3.list_object_versions(Bucket=STORE, Prefix="data/"),
        (Need("s3:ListBucketVersions", context={"s3:prefix": "data/"}),),
    ),
    "read a lock": Action(
        lambda s3, scene: s3.get_object_retention(Bucket=STORE, Key=scene.key("log/")),
        (Need("s3:GetObjectRetention", "log/a"),),
    ),
    "read the bucket's settings": Action(
        _settings,
        (Need("s3:ListBucket"), Need("s3:GetBucketVersioning"), Need("s3:GetBucketObjectLockConfiguration")),
    ),
    "overwrite data": Action(
        lambda s3, scene: s3.put_object(Bucket=STORE, Key=scene.key("data/"), Body=b"y", **lock(2)),
        (Need("s3:PutObject", "data/a", context={**_CREATING, **_lock_context(2)}),),
    ),
    "create data without a lock": _put_data("bare", (Need("s3:PutObject", "data/new", context=_PLAIN),)),
    "create data in governance mode": _put_data(
        "governed",
        (Need("s3:PutObject", "data/new", context={**_PLAIN, **_lock_context(2, "GOVERNANCE")}),),
        **lock(2, "GOVERNANCE"),
    ),
    "lock data for a century": Action(
        _century, (Need("s3:PutObjectRetention", "data/a", context=_lock_context(36_500)),)
    ),
    "extend a lock of data": _extend("data/"),
    "extend a lock of the log": _extend("log/"),
    "shorten a lock": Action(_shorten, None),
    "place a hold": _hold("ON"),
    "lift a hold": _hold("OFF"),
    "create data under hold": _put_data(
        "held",
        (
            Need("s3:PutObject", "data/new", context={**_PLAIN, **_lock_context(2)}),
            Need("s3:PutObjectLegalHold", "data/new"),
        ),
        ObjectLockLegalHoldStatus="ON",
        **lock(2),
    ),
    "set an object's ACL": Action(
        lambda s3, scene: s3.put_object_acl(Bucket=STORE, Key=scene.key("data/"), ACL="private"),
        (Need("s3:PutObjectAcl", "data/a"),),
    ),
    "delete data": _delete("data/", "s3:DeleteObject", version=False),
    "delete a version": _delete("data/", "s3:DeleteObjectVersion", version=True),
    "delete with bypass": _delete(
        "data/governed-", "s3:DeleteObjectVersion", version=True, BypassGovernanceRetention=True
    ),
    "delete in a batch": Action(
        lambda s3, scene: s3.delete_objects(Bucket=STORE, Delete={"Objects": [{"Key": scene.key("data/")}]}),
        (Need("s3:DeleteObject", "data/a"),),
    ),
    "suspend versioning": _configure(
        "s3:PutBucketVersioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}
    ),
    "change the default lock": _configure(
        "s3:PutBucketObjectLockConfiguration",
        "put_object_lock_configuration",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": _RULE},
    ),
    "set a lifecycle": _configure(
        "s3:PutLifecycleConfiguration",
        "put_bucket_lifecycle_configuration",
        LifecycleConfiguration={"Rules": [_EXPIRE]},
    ),
    "set a bucket policy": _configure(
        "s3:PutBucketPolicy",
        "put_bucket_policy",
        Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
        '"Action":"s3:GetObject","Resource":"arn:aws:s3:::indelible/none/*"}]}',
    ),
}  # fmt: skip
