"""From a sealed store to the person on call: exporter, Prometheus, Alertmanager and webhook, all of them real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import start_http_server

from flows import pipeline
from flows.metrics.exporter import Exporter, build
from flows.probe import probe_store
from flows.wiring import Runtime
from tasks.evidence import paths
from tasks.storage.s3 import S3Store
from tests.support.deployment import deployment
from tests.support.s3 import S3
from tests.support.watching import wait_until, watching

# Between an entry and its checkpoint a log is behind for a moment, which only the shortened times of a test show.
PASSING = {"IndelibleCheckpointBehind"}


def land(directory: Path, name: str, good: int, broken: int = 0) -> None:
    now = datetime.now(UTC).isoformat()
    lines = [f'{{"time":"{now}","level":"info","message":"{name} {n}"}}' for n in range(good)]
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("".join(f"{line}\n" for line in [*lines, *["no JSON"] * broken]))


def in_real_s3(
    s3: S3, tmp_path: Path, sources: tuple[str, ...] = ("app",), silence_s: int = 3600
) -> tuple[Runtime, S3Store]:
    """A deployment in a WORM store that delivers as `writer`, and the same place for its administrator."""
    store = s3.fresh("indelible", "writer")
    prefix = store.uri.removeprefix("s3://indelible/")
    runtime = deployment(
        store,
        tmp_path / "state",
        {name: (tmp_path / name).as_uri() for name in sources},
        store=s3.section("writer"),
        probe={"identities": {"admin": asdict(s3.server.credentials("admin"))}},
        metrics={"silence_s": {"app": silence_s}, "timeout_s": 1},
    )
    return runtime, s3.store("indelible", prefix)


@contextmanager
def served(exporter: Exporter) -> Iterator[int]:
    server, thread = start_http_server(0, "127.0.0.1", exporter.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_goes_wrong_reaches_the_person_on_call(s3: S3, tmp_path: Path) -> None:
    runtime, administrator = in_real_s3(s3, tmp_path)
    land(tmp_path / "app", "1.ndjson", good=50)
    pipeline.deliver(runtime, "app")
    assert probe_store(runtime, retain_for=timedelta(hours=1)).enforced
    with closing(build(runtime)) as exporter, served(exporter) as port, watching(tmp_path, port) as webhook:
        wait_until(lambda: webhook.sees('indelible_audit_ok{kind="worm-probe"} == 1'))

        # A sender changes its format.
        land(tmp_path / "app", "2.ndjson", good=50, broken=11)
        pipeline.deliver(runtime, "app")
        spike = webhook.wait_for("IndelibleQuarantineSpike")
        assert spike["labels"] == {
            "alertname": "IndelibleQuarantineSpike",
            "severity": "warning",
            "source": "app",
        }
        assert spike["annotations"]["runbook"] == "infra/docs/runbooks/quarantine-spike.md"
        assert webhook.names() - PASSING == {"IndelibleQuarantineSpike"}  # nothing else was wrong

        # Somebody covers a sealed object with a delete marker; the next audit finds it.
        ledger = next(iter(administrator.list(paths.LEDGER_PREFIX)))
        administrator.delete(ledger.path, "")
        assert not probe_store(runtime, retain_for=timedelta(hours=1)).enforced
        audit = webhook.wait_for("IndelibleAuditFailed")
        assert (audit["labels"]["severity"], audit["labels"]["kind"]) == ("critical", "worm-probe")
        assert webhook.names() - PASSING == {"IndelibleQuarantineSpike", "IndelibleAuditFailed"}


def test_a_source_that_falls_silent_and_a_landing_place_that_is_gone_are_told_apart(
    s3: S3, tmp_path: Path
) -> None:
    runtime, _ = in_real_s3(s3, tmp_path, ("app", "gateway"), silence_s=1)  # gateway has no landing place
    land(tmp_path / "app", "1.ndjson", good=5)
    pipeline.deliver(runtime, "app")
    with closing(build(runtime)) as exporter, served(exporter) as port, watching(tmp_path, port) as webhook:
        silent = webhook.wait_for("IndelibleSourceSilent")
        assert (silent["labels"]["source"], silent["labels"]["severity"]) == ("app", "warning")
        webhook.wait_for("IndelibleAuditOverdue")  # none was ever made
        assert webhook.names() - PASSING == {"IndelibleSourceSilent", "IndelibleAuditOverdue"}
        webhook.wait_for("IndeliblePartDown", part="landing-gateway")
