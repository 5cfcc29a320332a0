"""A delivery is traced stage by stage to a collector that the settings name, with counts and without values."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flows import pipeline, traces
from tasks.storage.local import LocalStore
from tests.support.deployment import deployment

STAGES = ["list", "read", "validate", "redact", "seal", "publish"]
VALUE = "alice.liddell@wonderland.example"


class Collector:
    """An OTLP/HTTP receiver."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.endpoint = ""

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        found = [s for r in requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield collector
        finally:
            traces.stop()
            server.shutdown()
            thread.join()


def land(place: Path) -> dict[str, Any]:
    (place / "app").mkdir()
    lines = [json.dumps({"time": "2026-11-02T10:00:00Z", "message": f"{VALUE} {n}"}) for n in range(50)]
    (place / "app" / "1.ndjson").write_text("\n".join([*lines, f"broken {VALUE}"]) + "\n")
    return {"app": (place / "app").as_uri()}


def attributes(span: Any) -> dict[str, Any]:
    return {
        a.key.removeprefix("indelible."): getattr(a.value, a.value.WhichOneof("value"))
        for a in span.attributes
    }


def runtime(place: Path, landing: dict[str, Any], endpoint: str) -> Any:
    store = LocalStore(place / "store")
    built = deployment(store, place / "state", landing, traces={"endpoint": endpoint})
    traces.start(built.settings.traces, built.software)
    return built


def test_each_stage_is_a_span_with_counts(tmp_path: Path, collector: Collector) -> None:
    (receipt,), checkpoint = pipeline.deliver(runtime(tmp_path, land(tmp_path), collector.endpoint), "app")
    traces.stop()

    spans = {span.name: attributes(span) for span in collector.spans()}
    assert list(spans) == STAGES
    assert spans["list"]["drops"] == 1
    assert spans["read"] == {
        "source": "app",
        "drops": 1,
        "bytes": spans["list"]["bytes"],
        "records": 50,
        "set_aside": 1,
    }
    assert (spans["seal"]["lines"], spans["seal"]["entry"]) == (51, receipt.entry)
    assert spans["publish"]["checkpoint_size"] == checkpoint.size
    assert VALUE.encode() not in b"".join(collector.bodies)


def test_a_stage_that_fails_names_the_type_of_its_error_only(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upset(*_: Any) -> None:
        raise ValueError(VALUE)

    monkeypatch.setattr(pipeline, "redact", upset)
    real = runtime(tmp_path, land(tmp_path), collector.endpoint)
    with real.catalog() as catalog:
        (drops,) = pipeline.find_new(real, "app", pipeline.Window(), catalog)
        with pytest.raises(ValueError, match="wonderland"):
            pipeline.deliver_batch(real, "app", drops, catalog)
    traces.stop()

    failed = next(span for span in collector.spans() if span.name == "redact")
    assert (failed.status.code, failed.status.message, list(failed.events)) == (2, "ValueError", [])
    assert VALUE.encode() not in b"".join(collector.bodies)


def test_nothing_is_loaded_or_sent_without_an_endpoint(tmp_path: Path, collector: Collector) -> None:
    pipeline.deliver(deployment(LocalStore(tmp_path / "store"), tmp_path / "state", land(tmp_path)), "app")
    traces.stop()
    assert collector.bodies == []
    with traces.span("seal") as told:
        assert told is traces._NOBODY
