"""The image and the compose file: well formed, closed, without secrets, and in step with what they mount."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import prefect.settings
import pytest
import yaml

from flows.server import LocalPrefect
from flows.settings import Settings
from tests.support.compose import COMPOSE, INFRA, image_environment
from tests.support.shared import REPO

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENDS = {name for name, facts in SERVICES.items() if facts["restart"] == "no"}
OURS = {name for name, facts in SERVICES.items() if "build" in facts}
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
DOCKERFILE = (INFRA / "Dockerfile").read_text()


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(command, env=environment or None, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def beside(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def granted(service: str) -> dict[str, str]:
    """Secret by the name that the service sees."""
    grants = SERVICES[service].get("secrets", ())
    return {
        g if isinstance(g, str) else g["target"]: g if isinstance(g, str) else g["source"] for g in grants
    }


def new_secrets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("new_secrets", INFRA / "new_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_compose_file_follows_the_specification() -> None:
    schema = "vendor.compose-spec"
    run(beside("check-jsonschema"), "--builtin-schema", schema, INFRA / "compose.yaml")


def test_the_dockerfile_has_no_lint() -> None:
    run(beside("hadolint"), "--failure-threshold", "style", INFRA / "Dockerfile")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_is_bounded_pinned_and_reached_from_this_machine_only(service: str) -> None:
    facts = SERVICES[service]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(facts)
    assert facts["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in facts
    assert re.fullmatch(r"[a-z/]+:v?\d[\w.-]*", facts["image"])
    assert all(port.startswith("127.0.0.1:") for port in facts.get("ports", ()))
    assert "/var/run/docker.sock" not in json.dumps(facts)
    for other, how in facts.get("depends_on", {}).items():
        ends = "service_completed_successfully" if other in ENDS else "service_healthy"
        assert how == {"condition": ends}
    own = facts.get("healthcheck", {})
    assert ("test" in own) or service == "worker" or (service in ENDS and own == {"disable": True})


@pytest.mark.parametrize("service", sorted(OURS))
def test_our_own_containers_write_nothing_but_volumes(service: str) -> None:
    facts = SERVICES[service]
    assert facts["read_only"] is True
    assert facts["cap_drop"] == ["ALL"]
    assert facts["image"] == f"indelible:{PROJECT['project']['version']}"


def test_no_secret_stands_in_the_file() -> None:
    named = re.compile(r"PASSWORD|SECRET|TOKEN|PASSPHRASE|_KEY\b|DATABASE_.*URL|TABLE__URL")
    for service, facts in SERVICES.items():
        for name, value in facts.get("environment", {}).items():
            assert not named.search(name) or str(value).startswith("/run/secrets/"), (service, name)


def test_every_secret_is_made_and_every_made_one_is_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    now = datetime.now(UTC)
    written = set(new_secrets().write_secrets(directory, now))
    mounted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    collector = {"collector-access-key", "collector-secret-key"}  # for who brings drops
    assert written == mounted | collector
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    before = {path: path.read_bytes() for path in directory.iterdir()}
    passwords = [content for path, content in before.items() if path.name.endswith(("password", "token"))]
    assert len(set(passwords)) == len(passwords)
    assert new_secrets().write_secrets(directory, now) == []
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_every_grant_is_declared_and_every_declaration_granted() -> None:
    for kind in ("secrets", "configs", "volumes", "networks"):
        used = set()
        for facts in SERVICES.values():
            for grant in facts.get(kind, ()):
                name = grant if isinstance(grant, str) else grant["source"]
                if not name.startswith("./"):
                    used.add(name.partition(":")[0] if kind == "volumes" else name)
        assert used == set(COMPOSE[kind]), kind


def test_each_container_holds_the_keys_of_its_role_only() -> None:
    holders = {
        secret: {service for service in SERVICES if secret in granted(service).values()}
        for secret in COMPOSE["secrets"]
    }
    assert holders["admin-secret-key"] == {"provision"}
    assert holders["openbao-administrator-token"] == holders["openbao-seal-key"] == {"openbao"}
    assert holders["seaweedfs-identities.json"] == {"seaweedfs"}
    assert granted("worker")["INDELIBLE_STORE__SECRET_KEY"] == "writer-secret-key"
    assert granted("exporter")["INDELIBLE_STORE__SECRET_KEY"] == "auditor-secret-key"
    assert granted("prefect").keys() == {"PREFECT_SERVER_DATABASE_CONNECTION_URL"}


def test_prefect_is_as_quiet_here_as_on_one_machine(tmp_path: Path) -> None:
    local = LocalPrefect(Settings.model_validate({"state": tmp_path}), 4200).environment
    for name, value in COMPOSE["x-prefect"].items():
        assert local[name] == value
    names = {name for facts in SERVICES.values() for name in facts.get("environment", {})}
    for name in {name for name in names if name.startswith("PREFECT_")}:
        assert hasattr(prefect.settings, name), name  # false where Prefect has no such setting


def test_the_settings_are_those_of_indelible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDELIBLE_CONFIG", str(INFRA / "compose" / "indelible.toml"))
    for service in sorted(OURS - {"prefect"}):
        with monkeypatch.context() as container:
            for name in granted(service):
                if name.startswith("INDELIBLE_"):
                    container.setenv(name, "from-a-file")
            container.setenv("INDELIBLE_LOG__ORIGIN", "audit.example/compose")
            container.setenv("INDELIBLE_KEYS__DIRECTORY", image_environment()["INDELIBLE_KEYS__DIRECTORY"])
            settings = Settings()
        assert settings.store.secret_key is not None
        assert settings.keys.transit is not None
        # A volume is there before the keyring is made, and the keyring makes its own directory.
        assert str(settings.key_directory.parent) in {m.split(":")[1] for m in SERVICES[service]["volumes"]}


def test_a_secret_file_becomes_a_setting_and_other_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "INDELIBLE_KEYS__PASSPHRASE").write_text("two words\n")
    (tmp_path / "ca.pem").write_text("public")
    shown = run(INFRA / "entrypoint.sh", "env", SECRETS=str(tmp_path), PATH="/usr/bin:/bin")
    assert "INDELIBLE_KEYS__PASSPHRASE=two words\n" in shown
    assert "public" not in shown


def test_prometheus_watches_what_it_watches_elsewhere(tmp_path: Path) -> None:
    ours = yaml.safe_load((INFRA / "compose" / "prometheus.yml").read_text())
    elsewhere = yaml.safe_load((INFRA / "observability" / "prometheus.yml").read_text())
    assert ours["scrape_configs"][0].pop("static_configs") == [{"targets": ["exporter:9477"]}]
    elsewhere["scrape_configs"][0].pop("static_configs")
    assert ours["scrape_configs"] == elsewhere["scrape_configs"][:1]
    assert (ours["global"], ours["rule_files"]) == (elsewhere["global"], elsewhere["rule_files"])
    for grant in SERVICES["prometheus"]["configs"]:
        shutil.copy(
            INFRA / COMPOSE["configs"][grant["source"]]["file"], tmp_path / Path(grant["target"]).name
        )
    run("promtool", "check", "config", tmp_path / "prometheus.yml")


def test_grafana_finds_its_data_source_and_the_dashboards() -> None:
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    assert mounts["./compose/grafana"] == "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load((INFRA / "compose/grafana/dashboards/indelible.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == mounts["./observability/dashboards"]
    (source,) = yaml.safe_load((INFRA / "compose/grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")


def test_the_image_holds_the_project_and_nothing_else() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
        if not word.startswith("--")
    ]
    admitted = re.findall(r"^!(.*)$", (INFRA / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert set(copied) == set(admitted)
    assert all((REPO / path).exists() for path in copied)
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*wheel, PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(copied)


def test_the_image_is_locked_and_runs_as_nobody() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001:10001"]
    assert all(
        "--frozen --no-dev" in line for line in re.findall(r"^RUN uv sync .*", DOCKERFILE, re.MULTILINE)
    )
    assert set(re.findall(r"--extra (\w+)", DOCKERFILE)) <= set(PROJECT["project"]["optional-dependencies"])
    assert f"ARG VERSION={PROJECT['project']['version']}" in last
    for volume in ("INDELIBLE_STATE", "PREFECT_HOME", "INDELIBLE_KEYS__DIRECTORY"):
        assert image_environment()[volume].startswith("/var/lib/indelible")
