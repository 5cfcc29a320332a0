"""Every metric that Indelible exports: one table for the exporter, the alert rules, the dashboards and their tests.

Names and units follow https://prometheus.io/docs/practices/naming/. Moments are exported as Unix seconds and not as
ages: `time() - x` is then right however old a scrape or a push is. Labels come from contracts and from ourselves,
never from records, so they are few and hold no personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric family.

    Attributes:
        name: as it is exposed, but without `_total`.
        kind: its Prometheus type.
        help: one sentence.
        labels: names of its labels.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def exposed(self) -> frozenset[str]:
        """The names that its samples have."""
        endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
        return frozenset(self.name + ending for ending in endings[self.kind])


@dataclass(frozen=True, slots=True)
class Distribution:
    """The value of a histogram.

    Attributes:
        counts: observations up to each bound of `BOUNDS` and above the one before; the last is above all.
        sum: of all observations.
    """

    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; `labels` in the order of the metric's names."""

    metric: Metric
    value: float | Distribution
    labels: tuple[str, ...] = ()


BOUNDS: Sequence[float] = (1, 10, 60, 300, 900, 3600, 14_400, 86_400, 604_800, 2_592_000)
"""Seconds. From a drop that is taken up at once to a backfill of a month."""

# What came, and what became of it.
DROPS = Metric("indelible_drops", "counter", "Drops sealed.", ("source",))
DROP_BYTES = Metric("indelible_drop_bytes", "counter", "Stored bytes of the drops sealed.", ("source",))
RECORDS = Metric(
    "indelible_records", "counter", "Lines of sealed drops by what became of them.", ("source", "outcome")
)
REPLAYED = Metric(
    "indelible_replayed_records",
    "counter",
    "Quarantined lines sent through again, by what became of them.",
    ("source", "outcome"),
)
SEALED_BYTES = Metric(
    "indelible_sealed_bytes", "counter", "Bytes of sealed Parquet, data or quarantine.", ("source", "role")
)
BATCHES = Metric("indelible_batches", "counter", "Batches sealed.", ("source",))
HELD_BATCHES = Metric(
    "indelible_held_batches", "counter", "Batches that failed their contract as a whole.", ("source",)
)
LATENCY = Metric(
    "indelible_latency_seconds",
    "histogram",
    "From event to landed (a batch's newest), landed to sealed (each drop), sealed to published under a checkpoint.",
    ("source", "stage"),
)
LAST_EVENT = Metric(
    "indelible_source_last_event_timestamp_seconds", "gauge", "Time of the newest sealed record.", ("source",)
)
LAST_DROP = Metric(
    "indelible_source_last_drop_timestamp_seconds",
    "gauge",
    "When the newest sealed drop landed.",
    ("source",),
)

# Quarantine.
RULE_HITS = Metric(
    "indelible_quarantine_rule_hits", "counter", "Quarantined lines that broke a rule.", ("source", "rule")
)
OPEN_LINES = Metric(
    "indelible_quarantine_open_lines",
    "gauge",
    "Quarantined lines that no replay has taken up.",
    ("source",),
)
OLDEST_OPEN = Metric(
    "indelible_quarantine_oldest_open_timestamp_seconds",
    "gauge",
    "When the oldest line that is still open was quarantined.",
    ("source",),
)

# The log and who vouches for it.
ENTRIES = Metric("indelible_log_entries", "gauge", "Entries in the log's sequence.", ("log",))
SIGNED = Metric("indelible_log_signed_entries", "gauge", "Entries under the newest checkpoint.", ("log",))
CHECKPOINT = Metric(
    "indelible_checkpoint_timestamp_seconds", "gauge", "When the newest checkpoint was stored.", ("log",)
)
SIGNING_KEY = Metric(
    "indelible_signing_key_timestamp_seconds",
    "gauge",
    "Since when the log's newest key signs.",
    ("log",),
)
COSIGNED = Metric(
    "indelible_cosigned_entries", "gauge", "Entries that a quorum of witnesses vouches for.", ("log",)
)
COSIGNATURE = Metric(
    "indelible_cosignature_timestamp_seconds",
    "gauge",
    "When a quorum of witnesses last saw the log.",
    ("log",),
)
COSIGNATURE_LIMIT = Metric(
    "indelible_cosignature_max_age_seconds", "gauge", "Age at which a cosignature fails verification."
)

# Examinations, locks and holds.
AUDIT_OK = Metric(
    "indelible_audit_ok", "gauge", "Whether the newest sealed audit of a kind holds.", ("kind", "source")
)
AUDIT_TIME = Metric("indelible_audit_timestamp_seconds", "gauge", "When it was sealed.", ("kind", "source"))
AUDITS = Metric("indelible_audits", "counter", "Sealed audits by result.", ("kind", "source", "result"))
RETENTION_END = Metric(
    "indelible_retention_end_timestamp_seconds",
    "gauge",
    "End of the first lock to end among the batches that are still locked.",
    ("source",),
)
UNLOCKED_BATCHES = Metric(
    "indelible_retention_ended_batches", "gauge", "Batches whose retention has ended.", ("source",)
)
OPEN_HOLDS = Metric("indelible_open_holds", "gauge", "Legal holds in force.", ("source",))

# Completeness.
HEARTBEAT = Metric(
    "indelible_heartbeat_end_timestamp_seconds",
    "gauge",
    "End of the newest interval of which the log says what was there.",
    ("source",),
)
FINDINGS = Metric(
    "indelible_completeness_open_findings",
    "gauge",
    "What is wrong with the completeness of the last seven days and explained by nobody.",
    ("source", "code"),
)
EXPLAINED = Metric(
    "indelible_completeness_explained_findings", "gauge", "What a sealed gap entry explains.", ("source",)
)

# Live state.
BACKLOG_DROPS = Metric(
    "indelible_backlog_drops", "gauge", "Drops in the landing place that are not sealed.", ("source",)
)
BACKLOG_BYTES = Metric("indelible_backlog_bytes", "gauge", "Stored bytes of these drops.", ("source",))
BACKLOG_OLDEST = Metric(
    "indelible_backlog_oldest_timestamp_seconds",
    "gauge",
    "When the oldest of these drops landed.",
    ("source",),
)
LANDED = Metric(
    "indelible_landing_last_drop_timestamp_seconds",
    "gauge",
    "When the newest drop in the landing place landed, sealed or not.",
    ("source",),
)
SILENCE_LIMIT = Metric(
    "indelible_source_silence_limit_seconds",
    "gauge",
    "How long a source may send nothing, by the settings.",
    ("source",),
)
CERTIFICATE = Metric(
    "indelible_certificate_not_after_timestamp_seconds",
    "gauge",
    "When a certificate ends on which the deployment relies (the first to end of a bundle).",
    ("certificate",),
)
RUNS = Metric("indelible_flow_runs", "gauge", "Prefect runs due within the last day, by state.", ("state",))
RETRIES = Metric(
    "indelible_retries", "gauge", "Second and later attempts of runs and tasks of the last day.", ("what",)
)

# The exporter itself.
UP = Metric(
    "indelible_exporter_up",
    "gauge",
    "Whether a part could be computed; if not, its facts are absent.",
    ("part",),
)
DURATION = Metric(
    "indelible_exporter_duration_seconds", "gauge", "How long the part's last computation took.", ("part",)
)
BUILD = Metric("indelible_build_info", "gauge", "The software.", ("version",))

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
