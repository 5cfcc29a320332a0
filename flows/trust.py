"""Whom this deployment trusts, as the policy that it checks itself against and gives to auditors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.shards import key_limits, log_keys
from flows.wiring import Runtime
from tasks.errors import UsageError, VerificationError
from tasks.evidence.policy import Policy, parse_policy, policy_text
from tasks.export.files import whole_file
from tasks.log import reader


def policy_for(runtime: Runtime, vkeys: Sequence[str]) -> str:
    """The policy that trusts these log keys and asks for the quorum of witnesses that the settings name."""
    witness = runtime.settings.witness
    limits = {key.vkey: size for key, size in key_limits(runtime).items()}
    return policy_text(vkeys, witness.parties, witness.quorum, limits)


def own_policy(runtime: Runtime) -> Policy:
    """The policy that trusts this deployment's own keys of each year's log, and asks for its witnesses.

    Raises:
        UsageError: a witness's name or key in the settings is none.
    """
    keys = [key.vkey for year in reader.shards(runtime.store) for key in log_keys(runtime, year)]
    try:
        return parse_policy(policy_for(runtime, keys))
    except VerificationError as error:
        raise UsageError(
            f"the settings of the witnesses make no trust policy: {error}",
            next_step="Correct [witness.members]; `indelible witness key` shows a witness's vkey.",
        ) from error


def write_policy(runtime: Runtime, vkeys: Sequence[str]) -> Path:
    """Write the policy file that goes to auditors by another way than the evidence; public keys only."""
    path = runtime.settings.state / "policy"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(policy_for(runtime, vkeys).encode())
    return path
