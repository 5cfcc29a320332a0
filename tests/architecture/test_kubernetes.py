"""What infra/kubernetes holds is valid Kubernetes, strictly, agrees with itself, and confines its pods."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel

from flows.settings import Settings
from tests.support.shared import REPO

PLACE = REPO / "infra" / "kubernetes"
VALUES: dict[str, Any] = {
    "name": "indelible",
    "namespace": "indelible",
    "image": "registry.invalid/indelible:0.1.0",
    "env": [{"name": "DO_NOT_TRACK", "value": "1"}],  # as the worker renders the variable
    "labels": {"prefect.io/flow-run-name": "deliver-app"},
}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
# Keys of the official charts that values may use: a misspelt one would do nothing, and nobody would say so.
_LIFE = {"replicaCount", "resources", "livenessProbe", "podSecurityContext", "containerSecurityContext"}
CHARTS = {
    "values-prefect-server.yaml": {
        "": {"global", "server", "serviceAccount", "secret", "postgresql", "sqlite", "redis"},
        "server": _LIFE
        | {"command", "args", "updateStrategy", "loggingLevel", "uiConfig", "env", "readinessProbe"}
        | {"extraVolumes", "extraVolumeMounts"},
    },
    "values-prefect-worker.yaml": {
        "": {"worker", "serviceAccount", "role", "rolebinding"},
        "worker": _LIFE
        | {"image", "config", "apiConfig", "selfHostedServerApiConfig", "extraEnvVars", "initContainer"},
    },
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


def read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((PLACE / name).read_text()))


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(PLACE.glob("*.yaml")):
        if path.name not in {*CHARTS, "kustomization.yaml"}:
            for document in read(path.name):
                metadata = document["metadata"]
                yield f"{document['kind']}-{metadata.get('name') or metadata['generateName']}", document
    yield "run", job()


MANIFESTS = dict(manifests())
PODS = {name: d["spec"]["template"] for name, d in MANIFESTS.items() if "template" in d.get("spec", {})}
(SERVER,) = read("values-prefect-server.yaml")
(WORKER,) = read("values-prefect-worker.yaml")


def names(kind: str) -> set[str]:
    return {
        d["metadata"]["name"] for d in MANIFESTS.values() if d["kind"] == kind and "name" in d["metadata"]
    }


@pytest.mark.parametrize("document", MANIFESTS.values(), ids=MANIFESTS)
def test_documents_are_strictly_valid(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.31", strict=True)


def test_what_is_no_key_of_kubernetes_is_refused() -> None:
    document = job()
    document["spec"]["template"]["spec"]["completions"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.31", strict=True)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_pods_are_confined(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    for container in spec["containers"]:
        assert container["securityContext"] == CONFINED
        assert {"requests", "limits"} <= container["resources"].keys()


@pytest.mark.parametrize("name", ["run", "Job-indelible-provision-"])
def test_no_job_is_started_again_by_kubernetes(name: str) -> None:
    spec = MANIFESTS[name]["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")


def test_the_exporter_is_probed_where_it_listens_and_the_service_finds_it() -> None:
    spec = PODS["Deployment-indelible-exporter"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    assert spec["args"][-1] == str(ports["metrics"])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert ports[spec[probe]["tcpSocket"]["port"]]
    service = MANIFESTS["Service-indelible-exporter"]["spec"]
    assert service["selector"].items() <= PODS["Deployment-indelible-exporter"]["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] in ports


def test_names_agree() -> None:
    kustomization = read("kustomization.yaml")[0]
    assert "secrets.example.yaml" not in kustomization["resources"]
    assert all((PLACE / name).is_file() for name in kustomization["resources"])
    (template,) = kustomization["configMapGenerator"]
    assert template["files"] == ["baseJobTemplate.json=base-job-template.json"]
    wired = WORKER["worker"]["config"]["baseJobTemplate"]["existingConfigMapName"]
    assert (wired, template["options"]) == (template["name"], {"disableNameSuffixHash": True})

    secrets, accounts = {SERVER["secret"]["name"]}, {SERVER["serviceAccount"]["name"]}
    volumes = list(SERVER["server"]["extraVolumes"])
    for pod in PODS.values():
        spec = pod["spec"]
        volumes += spec["volumes"]
        accounts.add(spec["serviceAccountName"])
        for container in spec["containers"]:
            secrets |= {source["secretRef"]["name"] for source in container["envFrom"]}
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in spec["volumes"]}
    claims = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
    assert claims == names("PersistentVolumeClaim")
    assert secrets == names("Secret")
    assert accounts == names("ServiceAccount")


def test_network_policies_select_pods_that_there_are() -> None:
    label = "app.kubernetes.io/name"
    labels = {pod["metadata"]["labels"][label] for pod in PODS.values()} | {
        "prefect-server",
        "prefect-worker",
    }
    for name in names("NetworkPolicy"):
        spec = MANIFESTS[f"NetworkPolicy-{name}"]["spec"]
        assert spec["podSelector"]["matchLabels"][label] in labels
        assert spec["policyTypes"] == ["Ingress", "Egress"]
    server = MANIFESTS["NetworkPolicy-prefect-server"]["spec"]["ingress"][0]["from"][0]["podSelector"]
    assert set(server["matchExpressions"][0]["values"]) == labels - {"prefect-server"}


def test_secrets_hold_no_value_and_their_keys_are_settings() -> None:
    for name in names("Secret"):
        data = MANIFESTS[f"Secret-{name}"]["stringData"]
        assert set(data.values()) == {""}
        for key in data:
            if name != SERVER["secret"]["name"]:
                assert is_setting(key), key
    assert not is_setting("INDELIBLE_STORE__ACCES_KEY")


def is_setting(name: str) -> bool:
    model: Any = Settings
    for part in name.removeprefix("INDELIBLE_").lower().split("__"):
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or part not in model.model_fields:
            return False
        annotation = model.model_fields[part].annotation
        sections = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)]
        model = next((a for a in sections if issubclass(a, BaseModel)), annotation)
    return True


@pytest.mark.parametrize("name", CHARTS)
def test_values_use_keys_of_their_charts(name: str) -> None:
    (values,) = read(name)
    for section, known in CHARTS[name].items():
        assert set(values[section] if section else values) <= known


@pytest.mark.parametrize(
    ("section", "user"), [(SERVER["server"], 10001), (WORKER["worker"], 1001)], ids=["server", "worker"]
)
def test_charts_run_confined_and_once(section: dict[str, Any], user: int) -> None:
    inside = [section["containerSecurityContext"]]
    if "initContainer" in section:
        inside.append(section["initContainer"]["containerSecurityContext"])
    assert inside == [{**CONFINED, "runAsNonRoot": True, "runAsUser": user}] * len(inside)
    assert section["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert section["replicaCount"] == 1
    assert {"cpu", "memory"} == section["resources"]["limits"].keys()


def test_the_server_has_the_browser_policy_and_a_database_outside() -> None:
    assert SERVER["server"]["args"][:3] == ["python", "-m", "flows.console"]
    environment = {item["name"]: item["value"] for item in SERVER["server"]["env"]}
    assert environment["PREFECT_LOGGING_SETTINGS_PATH"] in (REPO / "infra" / "Dockerfile").read_text()
    assert not SERVER["secret"]["create"]
    assert "connection-string" in MANIFESTS[f"Secret-{SERVER['secret']['name']}"]["stringData"]
    assert not any(SERVER[part]["enabled"] for part in ("postgresql", "sqlite", "redis"))


def test_the_worker_has_the_prefect_of_the_lock_file() -> None:
    packages = tomllib.loads((REPO / "uv.lock").read_text())["package"]
    locked = next(package["version"] for package in packages if package["name"] == "prefect")
    assert WORKER["worker"]["image"]["prefectTag"].startswith(f"{locked}-python3.11-")
