"""Each role tries each action on a real server: allowed or refused as infra/docs/roles.md declares."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tasks.storage.roles import ROLES
from tests.support.roles import ACTIONS, LANDING, STORE, Scene, declared, lock
from tests.support.s3 import S3

ADMINISTRATOR = "admin"
PREFIXES = (
    "data/",
    "quarantine/",
    "identities/",
    "ledger/",
    "log/",
    "inbox/",
    "lists/",
    "custody/",
    "catalog/",
    "data/century-",
)
CONFIG = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


def client(s3: S3, identity: str) -> Any:
    keys = s3.server.credentials(identity)
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="us-east-1",
        config=CONFIG,
    )


@pytest.fixture(scope="module")
def scene(s3: S3) -> Scene:
    """Locked objects under every prefix, one in GOVERNANCE mode, and a drop."""
    root = uuid.uuid4().hex[:12]
    admin = client(s3, ADMINISTRATOR)
    modes = dict.fromkeys(PREFIXES, "COMPLIANCE") | {"data/governed-": "GOVERNANCE"}
    made = {
        f"{prefix}{root}": admin.put_object(Bucket=STORE, Key=f"{prefix}{root}", Body=b"x", **lock(2, mode))
        for prefix, mode in modes.items()
    }
    admin.put_object(Bucket=LANDING, Key=root, Body=b"x")
    return Scene(root, {key: answer["VersionId"] for key, answer in made.items()}, "")


def is_allowed(s3: Any, action: str, scene: Scene) -> bool:
    """Whether the call succeeds. Only a refusal counts as one: any other error fails the test."""
    try:
        answer = ACTIONS[action].call(s3, scene)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "403"}:
            raise
        return False
    errors = answer.get("Errors", []) if isinstance(answer, dict) else []
    assert {error["Code"] for error in errors} <= {"AccessDenied"}
    return not errors


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_the_server_allows_and_refuses_what_the_table_declares(role: str, s3: S3, scene: Scene) -> None:
    acting = client(s3, role)
    scene = replace(scene, role=role)
    found = {action: is_allowed(acting, action, scene) for action in ACTIONS}
    assert found == {action: cells[role] != "-" for action, cells in declared().items()}


def test_an_administrator_could_do_what_the_roles_cannot(s3: S3, scene: Scene) -> None:
    """So the refusals above come from the policies, but for what the lock refuses to everybody."""
    admin = client(s3, ADMINISTRATOR)
    scene = replace(scene, role=ADMINISTRATOR)
    by_lock = {"shorten a lock", "delete a version"}
    disturbing = {"suspend versioning", "change the default lock", "set a lifecycle", "set a bucket policy"}
    found = {action: is_allowed(admin, action, scene) for action in ACTIONS if action not in disturbing}
    assert {action for action, allowed in found.items() if not allowed} == by_lock
