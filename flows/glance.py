"""Whether a deployment works, at a glance: the numbers that alert rules watch, each with what it says of now.

Put here: which numbers, and words for them. Do not put here: how they are computed (`tasks.metrics`,
`flows.metrics.live`), thresholds of alerts (`infra/observability`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flows.metrics import live
from tasks.errors import IndelibleError
from tasks.metrics import families as f
from tasks.metrics.log import SealedLog

if TYPE_CHECKING:
    from flows.wiring import Runtime
    from tasks.metrics.families import Metric, Sample

SOON_S: Final = 30 * 86_400
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a person wants to know.

    Attributes:
        about: what, in a word or two.
        good: False where somebody should look.
        says: in words, of now.
        step: the command that tells more, where somebody should look.
    """

    about: str
    good: bool
    says: str
    step: str = ""

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class _Values:
    """Samples by metric."""

    def __init__(self) -> None:
        self._values: dict[Metric, dict[tuple[str, ...], float]] = {}

    def take(self, sample: Sample) -> None:
        if isinstance(sample.value, float | int):
            self._values.setdefault(sample.metric, {})[sample.labels] = float(sample.value)

    def of(self, metric: Metric) -> Mapping[tuple[str, ...], float]:
        return self._values.get(metric, {})


def glance(runtime: Runtime) -> list[Fact]:
    """Backlog, checkpoint, cosignatures, quarantine, audits and what ends first. Nothing is written.

    Raises:
        IndelibleError: the store cannot be read. A landing place that cannot be is a fact.
    """
    from tasks.catalog.catalog import Catalog

    log = SealedLog(
        runtime.store, lambda: Catalog(runtime.store, runtime.session(), seed=runtime.catalog_path)
    )
    now = runtime.store.now().timestamp()
    values = _Values()
    with closing(log):
        for sample in (*log.samples(), *live.witnesses(runtime), *live.limits(runtime)):
            values.take(sample)
        backlog = [_backlog(runtime, log, source, now) for source in sorted(runtime.settings.landing.uris)]
    if files := live.certificate_files(runtime.settings):
        for sample in live.file_certificates(files):
            values.take(sample)
    return [
        *backlog,
        *_checkpoint(values, now),
        *_cosignature(values, now),
        _quarantine(values, now),
        _audit(values, now),
        *_expiry(values, now),
    ]


def span(seconds: float) -> str:
    """`3 hours`, in the largest unit that fits."""
    size, unit = next(((s, u) for s, u in _UNITS if seconds >= s), (1, "second"))
    number = int(max(0.0, seconds) // size)
    return counted(number, unit)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 drop`, `2,000 drops`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _backlog(runtime: Runtime, log: SealedLog, source: str, now: float) -> Fact:
    about = f"waiting, {source}"
    values = _Values()
    try:
        for sample in live.landing(runtime, log, source):
            values.take(sample)
    except IndelibleError as error:
        return Fact(about, False, f"its landing place cannot be listed: {error}", error.next_step)
    drops = int(values.of(f.BACKLOG_DROPS)[source,])
    if not drops:
        return Fact(about, True, "nothing: every drop is sealed")
    oldest = now - values.of(f.BACKLOG_OLDEST)[source,]
    size = int(values.of(f.BACKLOG_BYTES)[source,])
    says = f"{counted(drops, 'drop')}, {size:,} bytes, the oldest for {span(oldest)}"
    return Fact(about, False, says, f"indelible deliver {source}")


def _checkpoint(values: _Values, now: float) -> Iterator[Fact]:
    """Of the newest log; the others have ended."""
    for (shard,), entries in sorted(values.of(f.ENTRIES).items())[-1:]:
        signed = values.of(f.SIGNED).get((shard,), 0)
        at = values.of(f.CHECKPOINT).get((shard,))
        age = "" if at is None else f", {span(now - at)} ago"
        says = f"signs {signed:,.0f} of {entries:,.0f} log entries of {shard}{age}"
        yield Fact(
            "last checkpoint", signed == entries, says, "" if signed == entries else "indelible verify"
        )


def _cosignature(values: _Values, now: float) -> Iterator[Fact]:
    for (shard,), entries in sorted(values.of(f.COSIGNED).items())[-1:]:
        at = values.of(f.COSIGNATURE).get((shard,))
        if at is None:
            yield Fact("cosignature", False, "no quorum of witnesses has cosigned yet", "indelible verify")
            continue
        fresh = now - at <= values.of(f.COSIGNATURE_LIMIT)[()]
        says = f"a quorum of witnesses vouches for {entries:,.0f} entries, {span(now - at)} ago"
        yield Fact("cosignature", fresh, says, "" if fresh else "indelible verify")


def _quarantine(values: _Values, now: float) -> Fact:
    lines = {source: int(number) for (source,), number in values.of(f.OPEN_LINES).items() if number}
    if not lines:
        return Fact("quarantine", True, "nothing is open")
    oldest = now - min(values.of(f.OLDEST_OPEN).values())
    by_source = ", ".join(f"{number:,} of {source}" for source, number in sorted(lines.items()))
    says = f"{counted(sum(lines.values()), 'line')} open ({by_source}), the oldest for {span(oldest)}"
    return Fact("quarantine", False, says, "indelible quarantine list")


def _audit(values: _Values, now: float) -> Fact:
    failed = [kind for (kind, _), ok in values.of(f.AUDIT_OK).items() if not ok]
    times = values.of(f.AUDIT_TIME)
    if failed:
        return Fact("last audit", False, f"failed: {', '.join(sorted(set(failed)))}", "indelible verify")
    if not times:
        return Fact("last audit", True, "none is sealed yet")
    (kind, _), at = max(times.items(), key=lambda item: item[1])
    return Fact("last audit", True, f"{kind} passed, {span(now - at)} ago")


def _expiry(values: _Values, now: float) -> Iterator[Fact]:
    """What ends first: a lock, or a certificate on which the settings rely."""
    ends = [(at, f"the first lock of {source}") for (source,), at in values.of(f.RETENTION_END).items()]
    ends += [(at, f"the certificate {name}") for (name,), at in values.of(f.CERTIFICATE).items()]
    if not ends:
        return
    at, what = min(ends)
    good, day = at - now > SOON_S, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
    said = f"in {span(at - now)} ({day})" if at > now else f"ended {day}"
    yield Fact("ends first", good, f"{what}, {said}", "" if good else "indelible retention plan SOURCE")
