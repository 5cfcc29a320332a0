"""The exporter: parts into Prometheus's text format, within a time limit; served over HTTP or pushed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, generate_latest, push_to_gateway
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from flows.metrics import live, runs
from flows.metrics.part import Part
from flows.wiring import Runtime
from tasks.errors import StoreUnavailableError, UsageError
from tasks.metrics import families as f
from tasks.metrics.families import BOUNDS, Distribution, Metric, Sample
from tasks.metrics.log import SealedLog

JOB: Final = "indelible"
_LISTING_S: Final = 60.0  # listing a landing place is the costly part, and its drops do not hurry
_CHECK_S: Final = 900.0
_HANDSHAKE_S: Final = 3600.0
_PUSH_S: Final = 10.0
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Exporter(Collector):
    """Collects all parts anew for each scrape, side by side.

    Args:
        parts: what to compute.
        constant: samples that never change.
        timeout_s: longest scrape; a part that is late is left out and taken by a later one.
        close: ends what the parts hold.

    Attributes:
        down: parts that the last collection had to leave out.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        constant: Iterable[Sample],
        *,
        timeout_s: float,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.parts, self.timeout_s, self.close = parts, timeout_s, close
        self.down: tuple[str, ...] = ()
        self._constant = tuple(constant)

    def collect(self) -> Iterator[Family]:
        """All families that have a value now."""
        end = time.monotonic() + self.timeout_s
        for part in self.parts:
            part.start()
        results = {part: part.wait(end - time.monotonic()) for part in self.parts}
        self.down = tuple(part.name for part, result in results.items() if result is None)
        samples = list(self._constant)
        for part, result in results.items():
            samples += result or ()
            samples.append(Sample(f.UP, result is not None, (part.name,)))
            if part.duration_s is not None:
                samples.append(Sample(f.DURATION, part.duration_s, (part.name,)))
        yield from _families(samples)

    def describe(self) -> list[Family]:
        """Nothing, so that registering computes nothing."""
        return []

    @property
    def registry(self) -> CollectorRegistry:
        """A registry of this exporter only."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def text(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self.registry)

    def push(self, url: str) -> None:
        """Replace what a push gateway holds of the job `indelible`.

        Raises:
            UsageError: the URL is none.
            StoreUnavailableError: the gateway cannot be reached, or refuses.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"{url} is no http or https URL", next_step="Give http://HOST:9091.")
        try:
            push_to_gateway(url, JOB, self.registry, timeout=_PUSH_S)
        except (URLError, OSError) as error:
            raise StoreUnavailableError(
                f"the push gateway at {parts.netloc} cannot be reached or refuses ({type(error).__name__})",
                next_step="Is it running? Try again.",
            ) from error


def build(runtime: Runtime, *, timeout_s: float | None = None) -> Exporter:
    """The exporter of a deployment.

    Args:
        runtime: the deployment; reading is all that its credentials must allow.
        timeout_s: instead of that of the settings.
    """
    from tasks.catalog.catalog import Catalog

    settings = runtime.settings
    log = SealedLog(
        runtime.store, lambda: Catalog(runtime.store, runtime.session(), seed=runtime.catalog_path)
    )
    parts = [Part("log", log.samples)]
    for source in sorted(settings.landing.uris):
        listed = partial(live.landing, runtime, log, source)
        parts.append(Part(f"landing-{source}", listed, fresh_s=_LISTING_S))
        if runtime.contract(source).rhythm is not None:
            checked = partial(live.completeness, runtime, source)
            parts.append(Part(f"completeness-{source}", checked, fresh_s=_CHECK_S))
    if settings.witness.members:
        parts.append(Part("witnesses", partial(live.witnesses, runtime)))
    if files := live.certificate_files(settings):
        parts.append(Part("certificate-files", partial(live.file_certificates, files), fresh_s=_LISTING_S))
    for name, url in live.tls_servers(settings).items():
        parts.append(Part(f"tls-{name}", partial(live.server_certificate, name, url), fresh_s=_HANDSHAKE_S))
    if api := runs.api_url(settings):
        parts.append(Part("prefect", partial(runs.runs, api)))
    constant = [Sample(f.BUILD, 1, (runtime.software.partition("/")[2],)), *live.limits(runtime)]
    return Exporter(parts, constant, timeout_s=timeout_s or settings.metrics.timeout_s, close=log.close)


def _families(samples: Iterable[Sample]) -> Iterator[Family]:
    by_metric: dict[Metric, list[Sample]] = {}
    for sample in samples:
        by_metric.setdefault(sample.metric, []).append(sample)
    for metric, of_metric in by_metric.items():
        yield _family(metric, of_metric)


def _family(metric: Metric, samples: Sequence[Sample]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for sample in samples:
            assert isinstance(sample.value, Distribution)
            histogram.add_metric(sample.labels, _buckets(sample.value), sample.value.sum)
        return histogram
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        assert not isinstance(sample.value, Distribution)
        family.add_metric(sample.labels, float(sample.value))
    return family


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Cumulated, as Prometheus wants them."""
    total, buckets = 0, []
    for bound, count in zip((*BOUNDS, float("inf")), distribution.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else f"{float(bound)}", float(total)))
    return buckets
