"""OpenTelemetry traces of a delivery, as an option: how long each stage took, over how many lines and bytes.

`[traces] endpoint` names a collector (OTLP over HTTP); it needs the extra `traces`. Without it, a span costs one
comparison. Spans carry names of sources and counts only, never what a record or a drop's key holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from tasks.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from flows.settings import TraceSettings

_lock = Lock()
_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def start(settings: TraceSettings, software: str) -> None:
    """Send the spans of this process to the collector of the settings; does nothing where they name none.

    Raises:
        UsageError: the extra `traces` is not installed.
    """
    global _provider, _tracer
    if settings.endpoint is None:
        return
    with _lock:
        if _tracer is not None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise UsageError(
                "[traces] endpoint needs OpenTelemetry", next_step="Install indelible[pipeline,traces]."
            ) from None
        name, _, version = software.partition("/")
        _provider = TracerProvider(
            resource=Resource.create({"service.name": name, "service.version": version})
        )
        exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=settings.timeout_s)
        _provider.add_span_processor(BatchSpanProcessor(exporter))  # flushed when the process ends
        _tracer = _provider.get_tracer("indelible")


def stop() -> None:
    """Send what is left, and trace no more."""
    global _provider, _tracer
    with _lock:
        if _provider is not None:
            _provider.shutdown()
        _provider = _tracer = None


class _Facts:
    """What a stage tells of itself while it runs; nothing is kept when nobody traces."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def tell(self, **facts: int | str) -> None:
        """Counts, bytes, places in the log."""
        if self._span is not None:
            self._span.set_attributes({f"indelible.{name}": value for name, value in facts.items()})


_NOBODY = _Facts()


@contextmanager
def span(name: str, **facts: int | str) -> Iterator[_Facts]:
    """A stage. An exception ends it as failed, by its type alone: its message may hold a value."""
    if _tracer is None:
        yield _NOBODY
        return
    from opentelemetry.trace import StatusCode

    with _tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as current:
        told = _Facts(current)
        told.tell(**facts)
        try:
            yield told
        except BaseException as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise
