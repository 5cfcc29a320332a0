"""Grafana dashboards as code: `python infra/observability/dashboards.py` writes `dashboards/*.json`.

Two readers, one screen each. "Is it working?" is for the operator: what came, what waits, what fails. "Is it evidence?"
is for compliance: who vouches for the log, what audits found, what is held, and for how long everything is locked.
Colours mean the same everywhere: red is what an alert in `alerts.yml` is for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    GridPos,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DIRECTORY = Path(__file__).with_name("dashboards")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HOUR, DAY = 3600.0, 86_400.0
Query = tuple[str, str]
"""Expression and legend."""
Panel = timeseries.Panel | table.Panel


def working() -> Dashboard:
    """For the operator."""
    stats = [
        _stat(
            "Alerts",
            'count(ALERTS{alertname=~"Indelible.*", alertstate="firing"}) or vector(0)',
            "Firing now; the runbook of each says what to do.",
            red=1,
        ),
        _stat(
            "Parts that cannot be computed",
            "count(indelible_exporter_up == 0) or vector(0)",
            "Their numbers are missing below, and their alerts are blind.",
            red=1,
        ),
        _stat("Drops waiting", "sum(indelible_backlog_drops)", "Landed, and not sealed yet."),
        _stat(
            "Longest wait",
            "time() - min(indelible_backlog_oldest_timestamp_seconds)",
            "Of the oldest drop that is not sealed. None: nothing waits.",
            unit="s",
            red=HOUR,
        ),
        _stat(
            "Quarantined in a day",
            'sum(increase(indelible_records_total{outcome="quarantined"}[1d]))'
            " / sum(increase(indelible_records_total[1d]))",
            "Share of the lines that came.",
            unit="percentunit",
            red=0.05,
        ),
        _stat(
            "Failed runs in a day",
            'sum(indelible_flow_runs{state=~"failed|crashed"})',
            "Prefect's runs; what they did not seal, the next run takes up.",
            red=1,
        ),
    ]
    panels: list[Panel] = [
        _series(
            "Lines an hour by outcome",
            [("sum by (source, outcome) (increase(indelible_records_total[1h]))", "{{source}} {{outcome}}")],
            "Every line of every drop has one outcome.",
            stacked=True,
        ),
        _series(
            "Slowest twentieth, by stage",
            [
                (
                    "histogram_quantile(0.95, sum by (le, stage) (increase(indelible_latency_seconds_bucket[6h])))",
                    "{{stage}}",
                )
            ],
            "95 % are faster: from event to landed, to sealed, to published under a checkpoint.",
            unit="s",
        ),
        _series(
            "Silence",
            [
                ("source:indelible_silence:seconds", "{{source}}"),
                ("max by (source) (indelible_source_silence_limit_seconds)", "limit of {{source}}"),
            ],
            "Since the newest drop landed.",
            unit="s",
        ),
        _series(
            "Bytes waiting",
            [("sum by (source) (indelible_backlog_bytes)", "{{source}}")],
            "In the landing places, not sealed.",
            unit="bytes",
        ),
        _series(
            "Lines set aside in six hours, by rule",
            [
                (
                    "topk(10, sum by (source, rule) (increase(indelible_quarantine_rule_hits_total[6h])))",
                    "{{source}} {{rule}}",
                )
            ],
            "A new name here is a sender that changed.",
        ),
        _series(
            "Runs and second attempts of the last day",
            [
                ("sum by (state) (indelible_flow_runs)", "{{state}}"),
                ("sum by (what) (indelible_retries)", "second attempts ({{what}})"),
            ],
            "From Prefect.",
        ),
    ]
    return _dashboard(
        "indelible-working", "Indelible: is it working?", "What came, what waits, what fails.", stats, panels
    )


def evidence() -> Dashboard:
    """For compliance."""
    stats = [
        _stat(
            "Not under a checkpoint",
            "sum(max by (log) (indelible_log_entries) - max by (log) (indelible_log_signed_entries))",
            "Sealed entries that cannot be proven yet.",
            red=1,
        ),
        _stat(
            "Witnesses saw the log",
            "time() - max(indelible_cosignature_timestamp_seconds)",
            "Ago, by a quorum. None: no witness is configured, or none answered yet.",
            unit="s",
            red=0.8 * DAY,
        ),
        _stat(
            "Audits that do not hold",
            "count(max by (kind, source) (indelible_audit_ok) == 0) or vector(0)",
            "The newest of each kind, as it is sealed in the log.",
            red=1,
        ),
        _stat(
            "First lock ends in",
            "min(indelible_retention_end_timestamp_seconds) - time()",
            "From then on something can be deleted.",
            unit="s",
            green=30 * DAY,
        ),
        _stat(
            "Gaps that nobody explained",
            "sum(indelible_completeness_open_findings)",
            "In the last seven days. None: no contract has a rhythm to measure by.",
            red=1,
        ),
        _stat(
            "Quarantine still open",
            "sum(indelible_quarantine_open_lines)",
            "Lines that no replay has taken up.",
        ),
    ]
    panels: list[Panel] = [
        _table(
            "Audits",
            [
                ("max by (kind, source) (indelible_audit_ok)", "holds"),
                ("(time() - max by (kind, source) (indelible_audit_timestamp_seconds)) / 86400", "days old"),
            ],
            "1: the newest one holds.",
        ),
        _table(
            "Retention and holds",
            [
                (
                    "(min by (source) (indelible_retention_end_timestamp_seconds) - time()) / 86400",
                    "days to first end",
                ),
                ("max by (source) (indelible_retention_ended_batches)", "batches past it"),
                ("max by (source) (indelible_open_holds)", "holds"),
            ],
            "When the first lock of each source ends.",
        ),
        _series(
            "Open findings of completeness",
            [
                (
                    "sum by (source, code) (indelible_completeness_open_findings) > 0",
                    "{{source}} {{code}}",
                )
            ],
            "Drops that are gone or wait, days without events, silence, heartbeats that are missing.",
        ),
        _table(
            "Certificates",
            [
                (
                    "(min by (certificate) (indelible_certificate_not_after_timestamp_seconds) - time()) / 86400",
                    "days left",
                )
            ],
            "Of the servers and authorities that the deployment relies on.",
        ),
        _series(
            "Entries of the log",
            [
                ("max by (log) (indelible_log_entries)", "sealed in {{log}}"),
                ("max by (log) (indelible_log_signed_entries)", "signed in {{log}}"),
                ("max by (log) (indelible_cosigned_entries)", "witnessed in {{log}}"),
            ],
            "They only grow, and lie on one another.",
        ),
        _series(
            "Age of checkpoint, cosignature and signing key",
            [
                ("time() - max by (log) (indelible_checkpoint_timestamp_seconds)", "checkpoint of {{log}}"),
                ("time() - max by (log) (indelible_cosignature_timestamp_seconds)", "cosignature of {{log}}"),
                ("time() - max by (log) (indelible_signing_key_timestamp_seconds)", "key of {{log}}"),
            ],
            "A checkpoint is new when something was sealed; witnesses see it again though nothing was.",
            unit="s",
        ),
    ]
    return _dashboard(
        "indelible-evidence",
        "Indelible: is it evidence?",
        "Who vouches for the log, what audits found, what is held and locked.",
        stats,
        panels,
    )


DASHBOARDS = {"working.json": working, "evidence.json": evidence}


def render() -> dict[str, str]:
    """File name -> JSON."""
    return {name: _json(make()) for name, make in DASHBOARDS.items()}


def _json(dashboard: Dashboard) -> str:
    document = json.loads(json.dumps(dashboard.build(), cls=JSONEncoder))
    for variable in document["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min"):  # of intervals; the SDK writes them for every variable
            variable.pop(key, None)
        variable["datasource"] = None
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _dashboard(
    uid: str, title: str, description: str, stats: Sequence[stat.Panel], panels: Sequence[Panel]
) -> Dashboard:
    """Numbers in the top row, and two rows of three panels below: all of it on one screen."""
    dashboard = (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["indelible"])
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("utc")
        .link(
            DashboardLink("Indelible").type(DashboardLinkType.DASHBOARDS).tags(["indelible"]).keep_time(True)
        )
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for number, top in enumerate(stats):
        dashboard.with_panel(top.grid_pos(GridPos(h=4, w=4, x=4 * number, y=0)))
    for number, panel in enumerate(panels):
        dashboard.with_panel(panel.grid_pos(GridPos(h=8, w=8, x=8 * (number % 3), y=4 + 8 * (number // 3))))
    return dashboard


def _stat(
    title: str,
    expression: str,
    description: str,
    *,
    unit: str = "short",
    red: float | None = None,
    green: float | None = None,
) -> stat.Panel:
    """A number; red from `red` on, or below `green`."""
    below, above = ("green", "red") if green is None else ("red", "green")
    bound = red if green is None else green
    steps = [Threshold(value=None, color="text" if bound is None else below)]
    if bound is not None:
        steps.append(Threshold(value=bound, color=above))
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .no_value("none")
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_query(expression, "", "A").instant())
    )


def _series(
    title: str, queries: Sequence[Query], description: str, *, unit: str = "short", stacked: bool = False
) -> timeseries.Panel:
    """Curves over time."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .legend(legend.show_legend(True).calcs([]))
        .fill_opacity(25 if stacked else 0)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL if stacked else StackingMode.NONE))
    )
    for letter, (expression, legend_format) in zip("ABCDEF", queries, strict=False):
        panel.with_target(_query(expression, legend_format, letter))
    return panel


def _table(title: str, queries: Sequence[Query], description: str) -> table.Panel:
    """A row for each set of labels, a column for each query."""
    named = {f"Value #{letter}": name for letter, (_, name) in zip("ABCDEF", queries, strict=False)}
    if len(queries) == 1:
        named = {"Value": queries[0][1]}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .decimals(1)
        .show_header(True)
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": named}
            )
        )
    )
    for letter, (expression, _) in zip("ABCDEF", queries, strict=False):
        panel.with_target(_query(expression, "", letter).instant().format(PromQueryFormat.TABLE))
    return panel


def _query(expression: str, legend: str, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(SOURCE)


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for file, text in render().items():
        (DIRECTORY / file).write_text(text)
