"""The AWS documents say what infra/docs/roles.md declares, and the Terraform around them fits together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any

import hcl2
import pytest

from tasks.storage.roles import ROLES, policy
from tests.support.iam import allows
from tests.support.roles import ACTIONS, LANDING, STORE, Need, declared

TERRAFORM = Path(__file__).parents[2] / "infra" / "terraform"
MODULES = sorted(path.parent for path in TERRAFORM.glob("**/main.tf"))
BREAK_GLASS = "arn:aws:iam::111122223333:role/break-glass"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/ours"
ARNS = {"store": f"arn:aws:s3:::{STORE}", "landing": f"arn:aws:s3:::{LANDING}"}
VALUES = {**ARNS, "break_glass": BREAK_GLASS, "kms_key": KEY, "max_retention_days": "4000"}
REQUEST = {
    "aws:SecureTransport": "true",
    "s3:TlsVersion": "1.3",
    "aws:PrincipalArn": "arn:aws:sts::111122223333:assumed-role/x/y",
}


def statements(path: Path) -> list[dict[str, Any]]:
    """A policy template as `templatefile` fills it in."""
    document = json.loads(Template(path.read_text()).substitute(VALUES))
    assert document["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = document["Statement"]
    return found


def bucket_policy(bucket: str) -> list[dict[str, Any]]:
    module = {STORE: "evidence-bucket", LANDING: "landing-bucket"}[bucket]
    return statements(TERRAFORM / "modules" / module / "policy.json")


def may(identity: list[dict[str, Any]], need: Need, **request: str) -> bool:
    arn = f"arn:aws:s3:::{need.bucket}" + (f"/{need.key}" if need.key else "")
    return allows(
        identity, bucket_policy(need.bucket), need.action, arn, {**REQUEST, **need.context, **request}
    )


def identity_policy(role: str) -> list[dict[str, Any]]:
    return statements(TERRAFORM / "modules" / "roles" / "policies" / f"{role}.json")


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_aws_allows_and_refuses_what_the_table_declares(role: str) -> None:
    identity = identity_policy(role)
    found = {
        action: all(may(identity, need) for need in row.needs)
        for action, row in ACTIONS.items()
        if row.needs is not None
    }
    table = declared()
    assert table.keys() == ACTIONS.keys()
    assert found == {action: table[action][role] == "yes" for action in found}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_documents_are_those_of_the_declaration(role: Any) -> None:
    written = json.loads((TERRAFORM / "modules" / "roles" / "policies" / f"{role.name}.json").read_text())
    assert written == policy(role, {"store": "${store}", "landing": "${landing}"})


def test_there_is_a_document_for_each_role_and_no_other() -> None:
    documents = {path.stem for path in (TERRAFORM / "modules" / "roles" / "policies").iterdir()}
    assert documents == {role.name for role in ROLES} == set(next(iter(declared().values())))


ANYTHING = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]


@pytest.mark.parametrize(
    "action", ["DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention", "PutObjectAcl"]
)
def test_the_bucket_refuses_destruction_to_an_account_administrator_and_to_break_glass(action: str) -> None:
    need = Need(f"s3:{action}", "data/a")
    assert not may(ANYTHING, need)
    assert not may(ANYTHING, need, **{"aws:PrincipalArn": BREAK_GLASS})


@pytest.mark.parametrize(
    "action",
    [
        "PutBucketVersioning", "PutBucketObjectLockConfiguration", "PutLifecycleConfiguration",
        "PutBucketPolicy", "DeleteBucketPolicy", "PutEncryptionConfiguration",
    ],
)  # fmt: skip
def test_only_break_glass_configures_the_bucket(action: str) -> None:
    need = Need(f"s3:{action}")
    assert not may(ANYTHING, need)
    assert may(ANYTHING, need, **{"aws:PrincipalArn": BREAK_GLASS})


@pytest.mark.parametrize("bucket", [STORE, LANDING])
def test_nothing_goes_over_plain_http(bucket: str) -> None:
    need = Need("s3:GetObject", "data/a", bucket)
    assert may(ANYTHING, need)
    assert not may(ANYTHING, need, **{"aws:SecureTransport": "false"})


def test_an_old_tls_and_a_foreign_key_are_refused() -> None:
    assert not may(ANYTHING, Need("s3:GetObject", "data/a"), **{"s3:TlsVersion": "1.1"})
    create = next(need for need in ACTIONS["create data"].needs or () if need.action == "s3:PutObject")
    named = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert may(ANYTHING, create)
    assert may(ANYTHING, create, **{named: KEY})
    assert not may(ANYTHING, create, **{named: f"{KEY}-not"})


def parsed(module: Path) -> dict[str, Any]:
    """All blocks of a module's files; quotes that the parser keeps are taken off."""
    blocks: dict[str, Any] = {}
    for path in sorted(module.glob("*.tf")):
        with path.open() as file:
            for kind, found in hcl2.load(file).items():
                blocks.setdefault(kind, []).extend(found)
    return blocks


def names(blocks: dict[str, Any], kind: str) -> set[str]:
    return {name.strip('"') for block in blocks.get(kind, []) for name in block if not name.startswith("__")}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_variable_that_a_module_uses_is_declared_and_every_declared_one_is_used(module: Path) -> None:
    variables = names(parsed(module), "variable")
    text = "\n".join(path.read_text() for path in module.glob("*.tf"))
    assert set(re.findall(r"\bvar\.([a-z_]+)", text)) == variables


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_resource_that_a_module_names_is_there(module: Path) -> None:
    blocks = parsed(module)
    declared_here = {
        f"{kind.strip(chr(34))}.{name.strip(chr(34))}"
        for block in blocks.get("resource", [])
        for kind, named in block.items()
        for name in named
    }
    text = "\n".join(path.read_text() for path in module.glob("*.tf"))
    assert set(re.findall(r"(?<![.\w])(aws_\w+\.\w+)", text)) <= declared_here


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_template_gets_exactly_the_values_that_it_names(module: Path) -> None:
    given = dict(re.findall(r'templatefile\("\$\{path\.module\}/([^"]+)",\s*\{([^}]*)\}', _main(module)))
    for pattern, values in given.items():
        passed = set(re.findall(r"^\s*(\w+)\s*=|(?<=\{)\s*(\w+)\s*=", f"\n{values}", re.MULTILINE))
        passed_names = {first or second for first, second in passed}
        for document in module.glob(re.sub(r"\$\{.*?\}", "*", pattern)):
            assert set(re.findall(r"\$\{(\w+)\}", document.read_text())) <= passed_names


def _main(module: Path) -> str:
    return (module / "main.tf").read_text()


def test_the_example_gives_each_module_what_it_requires_and_nothing_else() -> None:
    example = TERRAFORM / "live" / "example"
    for call in parsed(example)["module"]:
        for arguments in call.values():
            if not isinstance(arguments, dict):
                continue
            module = (example / arguments["source"].strip('"')).resolve()
            variables = {
                name.strip('"'): body for block in parsed(module)["variable"] for name, body in block.items()
            }
            given = {name for name in arguments if not name.startswith("__")} - {"source"}
            required = {name for name, body in variables.items() if "default" not in body}
            assert required <= given <= variables.keys()


def test_the_evidence_bucket_is_locked_versioned_private_and_cannot_be_destroyed() -> None:
    resources = {
        kind.strip('"'): next(iter(named.values()))
        for block in parsed(TERRAFORM / "modules" / "evidence-bucket")["resource"]
        for kind, named in block.items()
    }
    bucket = resources["aws_s3_bucket"]
    assert bucket["object_lock_enabled"] is True
    assert bucket["force_destroy"] is False
    assert bucket["lifecycle"][0]["prevent_destroy"] is True
    assert (
        resources["aws_s3_bucket_versioning"]["versioning_configuration"][0]["status"].strip('"') == "Enabled"
    )
    rule = resources["aws_s3_bucket_object_lock_configuration"]["rule"][0]["default_retention"][0]
    assert rule["mode"].strip('"') == "COMPLIANCE"
    blocked = resources["aws_s3_bucket_public_access_block"]
    assert [blocked[name] for name in blocked if name.startswith(("block", "ignore", "restrict"))] == [
        True
    ] * 4


def test_no_key_administrator_may_use_a_key() -> None:
    text = (TERRAFORM / "modules" / "keys" / "main.tf").read_text()
    administer = text[text.index('"Administer"') : text.index('"Write"')]
    assert not re.search(r"kms:(\*|Decrypt|Encrypt|ReEncrypt|GenerateDataKey|CreateGrant)", administer)
