"""What infra/kubernetes holds is valid Kubernetes, strictly, and confines the pods of runs."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.shared import REPO

PLACE = REPO / "infra" / "kubernetes"
VALUES: dict[str, Any] = {
    "name": "indelible",
    "namespace": "indelible",
    "image": "registry.invalid/indelible:0.1.0",
    "env": [{"name": "DO_NOT_TRACK", "value": "1"}],  # as the worker renders the variable
    "labels": {"prefect.io/flow-run-name": "deliver-app"},
}


def fill(value: Any) -> Any:
    """The template with values in the place of its variables."""
    if isinstance(value, dict):
        return {key: fill(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item) for item in value]
    if not isinstance(value, str):
        return value
    for name, given in VALUES.items():
        if value == f"{{{{ {name} }}}}":
            return given
        value = value.replace(f"{{{{ {name} }}}}", str(given))
    return value


def job() -> dict[str, Any]:
    template = json.loads((PLACE / "base-job-template.json").read_text())
    return fill(template["job_configuration"]["job_manifest"])  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "document",
    [job(), yaml.safe_load((PLACE / "network-policy.yaml").read_text())],
    ids=["job", "network-policy"],
)
def test_documents_are_strictly_valid(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.31", strict=True)


def test_what_is_no_key_of_kubernetes_is_refused() -> None:
    document = job()
    document["spec"]["template"]["spec"]["completions"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_a_run_is_confined_and_never_started_again_by_kubernetes() -> None:
    spec = job()["spec"]
    pod = spec["template"]["spec"]
    assert (spec["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
