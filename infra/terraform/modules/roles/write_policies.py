"""Write `policies/<role>.json` from `tasks.storage.roles`; Terraform fills in the buckets' ARNs.

Run it after a change of the roles: `python infra/terraform/modules/roles/write_policies.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from tasks.storage.roles import ROLES, policy

POLICIES = Path(__file__).parent / "policies"

for role in ROLES:
    document = policy(role, {"store": "${store}", "landing": "${landing}"})
    (POLICIES / f"{role.name}.json").write_text(json.dumps(document, indent=2) + "\n")
