"""Debian's Prometheus and Alertmanager with this repository's rules, in a hurry; alerts arrive at a webhook here."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.support.ports import free_port
from tests.support.shared import REPO

OBSERVABILITY = REPO / "infra" / "observability"


@dataclass
class Webhook:
    """What an on-call service would be sent; and the address of the Prometheus behind it."""

    url: str = ""
    prometheus: str = ""
    _alerts: list[dict[str, Any]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)

    def take(self, alerts: list[dict[str, Any]]) -> None:
        with self._changed:
            self._alerts += alerts
            self._changed.notify_all()

    def names(self) -> set[str]:
        """Alerts that fired so far."""
        return {alert["labels"]["alertname"] for alert in self._alerts if alert["status"] == "firing"}

    def sees(self, expression: str) -> bool:
        """Whether an expression has a value in Prometheus now."""
        query = urlencode({"query": expression})
        with urlopen(f"{self.prometheus}/api/v1/query?{query}", timeout=10) as answer:
            return bool(json.load(answer)["data"]["result"])

    def wait_for(self, name: str, *, timeout_s: float = 120, **labels: str) -> dict[str, Any]:
        """The first firing alert of that name with these labels."""
        wanted = {"alertname": name, **labels}

        def found() -> dict[str, Any] | None:
            firing = (alert for alert in self._alerts if alert["status"] == "firing")
            return next((alert for alert in firing if wanted.items() <= alert["labels"].items()), None)

        with self._changed:
            alert = self._changed.wait_for(found, timeout_s)
        assert alert is not None, f"{wanted} did not arrive; these did: {self.names()}"
        return alert


@contextmanager
def watching(directory: Path, exporter_port: int) -> Iterator[Webhook]:
    """Watch an exporter by the configuration of `infra/observability`: each second, and without waiting."""
    with ExitStack() as stack:
        webhook = stack.enter_context(_webhook())
        alertmanager, prometheus = free_port(), free_port()
        _write_alertmanager(directory / "alertmanager.yml", webhook.url)
        _write_prometheus(directory, exporter_port, alertmanager)
        stack.enter_context(
            _running(
                [
                    "prometheus-alertmanager",
                    f"--config.file={directory / 'alertmanager.yml'}",
                    f"--storage.path={directory / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{alertmanager}",
                    "--cluster.listen-address=",
                ],
                alertmanager,
            )
        )
        stack.enter_context(
            _running(
                [
                    "prometheus",
                    f"--config.file={directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={directory / 'prometheus'}",
                    f"--web.listen-address=127.0.0.1:{prometheus}",
                ],
                prometheus,
            )
        )
        webhook.prometheus = f"http://127.0.0.1:{prometheus}"
        yield webhook


def wait_until(holds: Callable[[], bool], timeout_s: float = 120) -> None:
    """Return when it holds."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def _write_alertmanager(path: Path, url: str) -> None:
    config = yaml.safe_load((OBSERVABILITY / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    config["receivers"][0]["webhook_configs"][0]["url"] = url
    path.write_text(yaml.safe_dump(config))


def _write_prometheus(directory: Path, exporter: int, alertmanager: int) -> None:
    config = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s", "scrape_timeout": "2s"}
    targets = config["alerting"]["alertmanagers"][0]["static_configs"][0]
    targets["targets"] = [f"127.0.0.1:{alertmanager}"]
    config["scrape_configs"] = config["scrape_configs"][:1]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{exporter}"]
    config["scrape_configs"][0]["scrape_timeout"] = "2s"
    rules = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            # What waits long is shown at once; a part may still be late for a few scrapes of a busy machine.
            if "for" in rule:
                rule["for"] = "10s" if rule["alert"] == "IndeliblePartDown" else "0s"
    (directory / "alerts.yml").write_text(yaml.safe_dump(rules, sort_keys=False))
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [*command, "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _is_ready(port))
        yield
    finally:
        process.kill()  # their data go with the test
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10):
            return True
    except OSError:
        return False


@contextmanager
def _webhook() -> Iterator[Webhook]:
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            webhook.take(json.loads(body)["alerts"])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        webhook.url = f"http://127.0.0.1:{server.server_port}/"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
