"""The Terraform of the key table, and a page for each module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hcl2
import pytest

from flows.settings import KeyTableSettings
from tests.support.shared import REPO

TERRAFORM = REPO / "infra" / "terraform"
MODULES = sorted(path.parent for path in TERRAFORM.glob("**/main.tf"))


def blocks(module: str, file: str, kind: str) -> dict[str, Any]:
    """Blocks of a kind by their last name; quotes that the parser keeps are taken off."""
    with (TERRAFORM / module / file).open() as opened:
        parsed = hcl2.load(opened)
    found: dict[str, Any] = {}
    for block in parsed[kind]:
        for name, body in block.items():
            inner = next(iter(body.values())) if kind == "resource" else body
            found[name.strip('"')] = inner
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_has_a_page_and_variables_with_descriptions(module: Path) -> None:
    assert (module / "README.md").read_text().startswith(f"# {module.name}\n")
    for variable in blocks(str(module.relative_to(TERRAFORM)), "variables.tf", "variable").values():
        assert variable["description"].strip('"')


def test_no_copy_of_the_key_table_outlives_what_the_settings_say() -> None:
    resources = blocks("modules/key-table", "main.tf", "resource")
    server = resources["aws_db_instance"]
    assert server["delete_automated_backups"] is True
    assert server["skip_final_snapshot"] is True
    variable = blocks("modules/key-table", "variables.tf", "variable")["backup_days"]
    assert variable["default"] == KeyTableSettings().backup_days
    assert resources["aws_kms_key"]["enable_key_rotation"] is False


def test_the_key_table_is_private_encrypted_and_cannot_be_removed_by_accident() -> None:
    resources = blocks("modules/key-table", "main.tf", "resource")
    server = resources["aws_db_instance"]
    assert (server["storage_encrypted"], server["publicly_accessible"]) == (True, False)
    assert server["deletion_protection"] is True
    assert server["manage_master_user_password"] is True
    assert server["lifecycle"][0]["prevent_destroy"] is True
    forced = resources["aws_db_parameter_group"]["parameter"][0]
    assert (forced["name"].strip('"'), forced["value"].strip('"')) == ("rds.force_ssl", "1")


def test_nobody_both_uses_and_administers_the_key_of_the_key_table() -> None:
    call = blocks("live/example", "main.tf", "module")["key_table"]
    assert "deliverer" in str(call["users"])
    assert "deliverer" not in str(call["administrators"])
    assert "key-administrator" not in str(call["users"])
    text = (TERRAFORM / "modules" / "key-table" / "main.tf").read_text()
    administer = text[text.index('"Administer"') : text.index('"Wrap"')]
    assert not {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"} & set(administer.split('"'))
