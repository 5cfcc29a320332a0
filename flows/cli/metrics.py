"""`indelible metrics`: the numbers of a deployment for Prometheus."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from prometheus_client import start_http_server

from flows.cli.common import AsJson, Endpoint, Store, next_step, out, print_json, runtime_with, working
from flows.metrics.exporter import JOB, Exporter, build
from tasks.errors import StoreUnavailableError, UsageError

app = typer.Typer(
    help="Metrics for Prometheus, computed from the sealed log and from live state.", no_args_is_help=True
)
Wait = Annotated[
    float, typer.Option("--wait", min=1, max=3600, help="Seconds after which a part is left out.")
]


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.")] = 9477,
    store: Store = None,
    endpoint: Endpoint = None,
) -> None:
    """Answer `GET /metrics` until interrupted. Each scrape computes anew, within the settings' `timeout_s`."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    with _exporter(store, endpoint, None) as exporter:
        try:
            server, thread = start_http_server(port, host, exporter.registry)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host} port {port}: {error.strerror}", next_step="Choose another --port."
            ) from error
        out.print(f"metrics at http://{host}:{server.server_port}/metrics")
        next_step("scrape it with infra/observability/prometheus.yml")
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()
        server.shutdown()
        thread.join()
    out.print("ended")


@app.command("print")
def print_metrics(wait: Wait = 120, store: Store = None, endpoint: Endpoint = None) -> None:
    """Print the metrics once, in Prometheus's text format."""
    with _exporter(store, endpoint, wait) as exporter:
        with working(False, "reading the log"):
            text = exporter.text()
        sys.stdout.write(text.decode())
        _complain(exporter)


@app.command()
def push(
    url: Annotated[
        str, typer.Argument(help="Of a Prometheus push gateway, for example http://127.0.0.1:9091.")
    ],
    wait: Wait = 120,
    store: Store = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Push the metrics once, as job `indelible`: after a run of a machine that nobody scrapes."""
    with _exporter(store, endpoint, wait) as exporter:
        with working(as_json, "reading the log"):
            exporter.push(url)
        if as_json:
            parts = {part.name: part.name not in exporter.down for part in exporter.parts}
            print_json({"url": url, "job": JOB, "parts": parts})
        else:
            out.print(
                f"pushed {len(exporter.parts) - len(exporter.down)} of {len(exporter.parts)} parts to {url}"
            )
            next_step("let Prometheus scrape the gateway with honor_labels: true")
        _complain(exporter)


@contextmanager
def _exporter(store: str | None, endpoint: str | None, wait: float | None) -> Iterator[Exporter]:
    exporter = build(runtime_with(store=store, endpoint=endpoint, identity="auditor"), timeout_s=wait)
    with closing(exporter):
        yield exporter


def _complain(exporter: Exporter) -> None:
    """Fail when a part is lacking, after all others were told."""
    if exporter.down:
        raise StoreUnavailableError(
            f"could not be computed: {', '.join(exporter.down)}",
            next_step="The log above says why; with more time, try a longer --wait.",
        )
