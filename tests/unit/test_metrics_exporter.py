"""The exporter's text: sound for Prometheus, bounded in time, and silent about what it does not know."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import start_http_server
from prometheus_client.parser import text_string_to_metric_families

from flows.metrics import live
from flows.metrics.exporter import Exporter
from flows.metrics.part import STALE_S, Part
from flows.settings import Settings
from tasks.errors import StoreUnavailableError, UsageError
from tasks.metrics import families as f
from tasks.metrics.families import BOUNDS, METRICS, Distribution, Sample
from tests.support.ports import free_port, wait_for_port
from tests.support.tls import new_authority

SIZE = Sample(f.ENTRIES, 3, ("2026",))


def exported(exporter: Exporter) -> dict[tuple[str, tuple[str, ...]], float]:
    """Name and label values -> value, as Prometheus's own parser reads the text."""
    families = text_string_to_metric_families(exporter.text().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def exporter_of(*parts: Part, timeout_s: float = 5) -> Exporter:
    return Exporter(parts, [Sample(f.BUILD, 1, ("1",))], timeout_s=timeout_s)


def unavailable() -> list[Sample]:
    raise StoreUnavailableError("the store cannot be reached")


def broken() -> list[Sample]:
    raise ZeroDivisionError


@pytest.mark.parametrize("compute", [unavailable, broken])
def test_a_part_that_fails_is_down_and_has_no_numbers(compute: Callable[[], list[Sample]]) -> None:
    exporter = exporter_of(Part("log", compute), Part("other", lambda: [SIZE]))
    values = exported(exporter)
    assert values["indelible_exporter_up", ("log",)] == 0
    assert values["indelible_exporter_up", ("other",)] == 1
    assert values["indelible_log_entries", ("2026",)] == 3
    assert exporter.down == ("log",)


def test_a_part_that_failed_once_forgets_what_it_knew() -> None:
    answers: list[Callable[[], list[Sample]]] = [lambda: [SIZE], unavailable, lambda: [SIZE]]

    def compute() -> list[Sample]:
        return answers.pop(0)()

    exporter = exporter_of(Part("log", compute))
    assert exported(exporter)["indelible_log_entries", ("2026",)] == 3
    failed = exported(exporter)
    assert failed["indelible_exporter_up", ("log",)] == 0
    assert not [name for name, _ in failed if name.startswith("indelible_log")]
    assert exported(exporter)["indelible_log_entries", ("2026",)] == 3


def test_a_part_that_hangs_holds_up_nothing_and_is_not_started_twice() -> None:
    go, started = threading.Event(), []

    def hanging() -> list[Sample]:
        started.append(1)
        go.wait(30)
        return [SIZE]

    part = Part("log", hanging)
    exporter = exporter_of(part, Part("other", list), timeout_s=0.05)
    for _ in range(3):
        values = exported(exporter)
        assert values["indelible_exporter_up", ("log",)] == 0
        assert values["indelible_exporter_up", ("other",)] == 1
    assert len(started) == 1
    go.set()
    assert part.wait(10) is not None  # what took long is taken by the next scrape
    assert exported(exporter)["indelible_log_entries", ("2026",)] == 3


def test_the_last_result_stands_for_a_minute_while_the_next_one_is_awaited() -> None:
    clock = [0.0]
    go = threading.Event()
    calls: list[int] = []

    def compute() -> list[Sample]:
        calls.append(1)
        if len(calls) == 2:
            go.wait(30)
        return [SIZE]

    part = Part("log", compute, clock=lambda: clock[0])
    part.start()
    assert part.wait(10) is not None
    part.start()
    clock[0] = STALE_S
    assert part.wait(0) is not None
    clock[0] = STALE_S + 1
    assert part.wait(0) is None
    go.set()


def test_what_is_fresh_is_not_computed_again() -> None:
    clock = [0.0]
    calls: list[int] = []

    def compute() -> list[Sample]:
        calls.append(1)
        return []

    part = Part("landing", compute, fresh_s=100, clock=lambda: clock[0])
    for now, expected in ((0, 1), (99, 1), (100, 2)):
        clock[0] = now
        part.start()
        assert part.wait(10) is not None
        assert len(calls) == expected


def every_metric() -> list[Sample]:
    """A sample of each metric."""
    return [
        Sample(
            metric,
            Distribution((1,) * (len(BOUNDS) + 1), 7.0) if metric.kind == "histogram" else 1.0,
            tuple(f"some-{name}" for name in metric.labels),
        )
        for metric in METRICS
        if metric not in {f.BUILD, f.UP, f.DURATION}
    ]


def test_prometheus_finds_nothing_to_object_to() -> None:
    text = exporter_of(Part("all", every_metric)).text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_metric_is_exposed_under_the_names_that_rules_may_use() -> None:
    names = {name for name, _ in exported(exporter_of(Part("all", every_metric)))}
    assert names == {name for metric in METRICS for name in metric.exposed}


def test_buckets_are_cumulated() -> None:
    values = exported(exporter_of(Part("all", every_metric)))
    buckets = [value for (name, _), value in values.items() if name == "indelible_latency_seconds_bucket"]
    assert buckets == list(range(1, len(BOUNDS) + 2))
    assert values["indelible_latency_seconds_count", ("some-source", "some-stage")] == len(BOUNDS) + 1


def test_it_is_served_on_loopback() -> None:
    server, thread = start_http_server(0, "127.0.0.1", exporter_of(Part("log", lambda: [SIZE])).registry)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10) as answer:
            assert b'indelible_log_entries{log="2026"} 3.0' in answer.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def push_gateway(directory: Path) -> Iterator[str]:
    """Debian's push gateway."""
    port = free_port()
    line = ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = subprocess.Popen(line, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_a_push_gateway_keeps_the_last_push(tmp_path: Path) -> None:
    with push_gateway(tmp_path) as url:
        exporter_of(Part("log", lambda: [SIZE])).push(url)
        exporter_of(Part("log", lambda: [Sample(f.SIGNED, 3, ("2026",))])).push(url)
        with urlopen(f"{url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    assert 'indelible_log_signed_entries{instance="",job="indelible",log="2026"} 3' in text
    assert "indelible_log_entries{" not in text  # replaced, not added to


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:9091", "http://"])
def test_a_gateway_needs_an_address(url: str) -> None:
    with pytest.raises(UsageError):
        exporter_of(Part("log", list)).push(url)


def test_a_gateway_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        exporter_of(Part("log", list)).push(f"http://127.0.0.1:{free_port()}")


def ends(path: Path) -> float:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()


def certificate(end: datetime) -> bytes:
    """A self-signed one, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(end - timedelta(days=400)).not_valid_after(end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_bundle_ends_with_its_first_certificate(tmp_path: Path) -> None:
    late, soon = (datetime(year, 1, 1, tzinfo=UTC) for year in (2031, 2027))
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificate(late) + certificate(soon) + certificate(late))
    files = live.certificate_files(Settings.model_validate({"store": {"ca_bundle": bundle}}))
    expected = Sample(f.CERTIFICATE, soon.timestamp(), ("store-authorities",))
    assert list(live.file_certificates(files)) == [expected]


def test_a_file_that_holds_no_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("empty.pem", "none.pem"):
        with pytest.raises(UsageError, match="certificates"):
            list(live.file_certificates({"store-authorities": tmp_path / name}))


def test_the_certificate_of_a_server_is_read_though_nobody_trusts_it(tmp_path: Path) -> None:
    certificate, key = new_authority(tmp_path).issue(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server, thread = start_http_server(
        0, "127.0.0.1", exporter_of().registry, certfile=str(certificate), keyfile=str(key)
    )
    url = f"https://127.0.0.1:{server.server_port}"
    settings = Settings.model_validate({"store": {"endpoint": url}, "landing": {"endpoint": "http://x"}})
    assert live.tls_servers(settings) == {"store": url}
    try:
        assert list(live.server_certificate("store", url)) == [
            Sample(f.CERTIFICATE, ends(certificate), ("store-server",))
        ]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(StoreUnavailableError):
        list(live.server_certificate("store", url))
