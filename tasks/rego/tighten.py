"""A contract as a policy leaves it: each field asked once, when the contract is loaded, and every doubt refused.

A policy may only hide more. What it does not speak of is dropped; an answer that is no treatment, does not fit the
field or would show more than the contract does is an error, and nothing is delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, cast, get_args

from tasks.contracts.model import AppliedPolicy, Contract, Field, Treatment
from tasks.contracts.privacy import KEYED, OF_PERSONS, fits
from tasks.errors import ContractError
from tasks.rego.policy import Policy, Question

# Treatment of the contract -> what a policy may put in its place: treatments after which strictly less can be
# told from the sealed value. A cut address and a pseudonym tell different things, so neither replaces the other.
_ALL: Final = frozenset(get_args(Treatment))
TIGHTER: Final[Mapping[Treatment, frozenset[Treatment]]] = MappingProxyType(
    {
        "keep": _ALL,
        "scan": _ALL - {"keep"},
        "truncate_ip": frozenset({"truncate_ip", "drop"}),
        "prefix_pseudonym": frozenset({"prefix_pseudonym", "pseudonym", "drop"}),
        "encrypt": frozenset({"encrypt", "pseudonym", "drop"}),
        "pseudonym": frozenset({"pseudonym", "drop"}),
        "mask": frozenset({"mask", "drop"}),
        "drop": frozenset({"drop"}),
    }
)


def tighten(contract: Contract, policy: Policy, tenant: str, purpose: str) -> Contract:
    """The contract with the policy's treatments, and with the policy, which is sealed with its batches.

    Args:
        contract: as it was loaded.
        policy: is asked about each field.
        tenant: part of each question.
        purpose: part of each question.

    Raises:
        ContractError: the policy fails, or gives answers that are not allowed; the message lists all of those.
    """
    questions = [_question(contract, field, tenant, purpose) for field in contract.fields]
    faults: list[str] = []
    fields = []
    for field, answer in zip(contract.fields, policy.answers(questions), strict=True):
        wanted = "drop" if answer is None else answer
        if reason := _refusal(contract, field, wanted):
            said = "nothing, which is drop" if answer is None else f"`{str(answer)[:40]}`"
            faults.append(f"{policy.name}: {contract.source}.{field.name}: says {said}: {reason}")
        else:
            fields.append(_treated(field, cast(Treatment, wanted)))
    if faults:
        raise ContractError(
            "\n".join(faults), next_step=f"Correct the policy {policy.name}; it may only hide more."
        )
    applied = AppliedPolicy(policy.document, policy.sha256, tenant, purpose)
    return replace(contract, fields=tuple(fields), policy=applied)


def _question(contract: Contract, field: Field, tenant: str, purpose: str) -> Question:
    return Question(
        contract.source, field.name, field.type, field.classification, field.treatment, tenant, purpose
    )


def _treated(field: Field, treatment: Treatment) -> Field:
    return replace(
        field,
        treatment=treatment,
        domain=(field.domain or field.name) if treatment in KEYED else "",
        key_scope=field.key_scope if treatment in OF_PERSONS else "epoch",
    )


def _refusal(contract: Contract, field: Field, wanted: object) -> str:
    """Why an answer is not taken; empty when it is."""
    if not isinstance(wanted, str) or wanted not in _ALL:
        return f"no treatment; there are {', '.join(get_args(Treatment))}"
    if wanted not in TIGHTER[field.treatment]:
        return f"the contract says {field.treatment}, and a policy may only hide more"
    if not fits(wanted, field.type):
        return f"cannot be applied to {field.type}"
    if field.name == contract.time_field and wanted != "keep":
        return "this field decides the event date, and must be kept"
    return ""
