"""Treatments decided by a Rego policy, besides the contract: it may tighten what a contract says, never loosen it.

Put here: loading and questioning a policy, and a contract as a policy leaves it. Do not put here: what a treatment
does (`tasks.redact`), which file is the policy (settings).
"""

from __future__ import annotations

from tasks.rego.policy import Policy, load_policy
from tasks.rego.tighten import tighten

__all__ = ["Policy", "load_policy", "tighten"]
