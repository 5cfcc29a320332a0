"""The exporter: sealed facts and live state for Prometheus, served, printed or pushed.

Put here: what is live (landing places, witnesses, certificates, Prefect), time limits, HTTP. Do not put here: what the
sealed log says and which metrics there are (`tasks.metrics`), alert rules and dashboards (`infra/observability`).
"""
