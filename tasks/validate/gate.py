"""The batch gate: every rule of the contract once more, by Great Expectations on DuckDB.

Charter: an evaluation that shares nothing with the Polars rules but the contract, and its JSON evidence.
The evidence holds counts and the contract's own text: no record value, no time, no random id, so that the
same batch gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from tasks.batch import EXTRA, TYPE_FAULTS
from tasks.contracts.model import Contract, Rule
from tasks.errors import ContractError
from tasks.validate.rows import TYPE_RULE

if TYPE_CHECKING:
    import sqlalchemy as sa

TABLE: Final = "batch"
_SEVERITY: Final = {"error": "critical", "warning": "warning", "info": "info"}
_NO_TYPE_FAULT: Final = Rule(TYPE_RULE, None, "error", "type", f'len("{TYPE_FAULTS}") = 0', {})
_LOCKDOWN: Final = (
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def run_gate(frame: pl.DataFrame, contract: Contract) -> tuple[bool, dict[str, Any]]:
    """Judge the typed rows of a batch.

    Args:
        frame: a `ReadBatch`'s frame, failing rows included.
        contract: its contract; `threshold_pct` becomes the suite's `mostly`, advisory rules never fail it.

    Returns:
        Whether the suite succeeded, and the result without anything that varies between equal runs.

    Raises:
        ContractError: DuckDB cannot run a rule.
    """
    rules = (*contract.rules, _NO_TYPE_FAULT)
    if frame.is_empty():
        return True, {"not_measured": "no parsed records", "results": [], "success": True}
    outcome = _validate(frame, contract, rules)
    faulty = [
        item["expectation_config"]["meta"]["rule"]
        for item in outcome["results"]
        if "unexpected_count" not in item["result"]
    ]
    if faulty:
        raise ContractError(
            f"{contract.source}: DuckDB cannot run {len(faulty)} of {len(rules)} rules of the contract, "
            f"among them {', '.join(sorted(faulty)[:10])}",
            next_step="Run each row rule of the contract in DuckDB; one that fails stops all of them.",
        )
    order = {rule.id: position for position, rule in enumerate(rules)}
    results = sorted(outcome["results"], key=lambda item: order[item["expectation_config"]["meta"]["rule"]])
    for item in results:
        item["expectation_config"]["kwargs"].pop("batch_id", None)
    return bool(outcome["success"]), {
        "great_expectations_version": outcome["meta"]["great_expectations_version"],
        "results": results,
        "statistics": outcome["statistics"],
        "success": outcome["success"],
        "suite_name": outcome["suite_name"],
    }


def check_agreement(result: Mapping[str, Any], measured: Mapping[str, int], source: str) -> None:
    """Compare what Great Expectations counted with what the row rules counted.

    Raises:
        ContractError: the two engines disagree on a rule.
    """
    differing = [
        f"{rule} ({item['result']['unexpected_count']} in DuckDB, {measured[rule]} in Polars)"
        for item in result["results"]
        if item["result"]["unexpected_count"] != measured[rule := item["expectation_config"]["meta"]["rule"]]
    ]
    if differing:
        raise ContractError(
            f"{source}: the two evaluations of the contract disagree on {', '.join(differing[:10])}",
            next_step="Rewrite these rules with constructs that data_contracts/README.md calls portable.",
        )


def evidence(contract: Contract, result: Mapping[str, Any], batch: Mapping[str, Any]) -> bytes:
    """The gate's JSON, sorted and compact, which is sealed beside the batch.

    Args:
        contract: what the batch was judged by.
        result: from `run_gate`.
        batch: the share of failed rows and what followed from it.
    """
    document = {
        "batch": dict(batch),
        "contract": {"sha256": contract.sha256, "source": contract.source, "version": contract.version},
        "great_expectations": dict(result),
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _validate(frame: pl.DataFrame, contract: Contract, rules: tuple[Rule, ...]) -> dict[str, Any]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    from tasks.validate.duckdb_source import ROW, DuckDBSource, ExpectRowsToSatisfyContractRule

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    source = DuckDBSource(name="memory", connection_string="duckdb:///:memory:")
    source._data_context = context
    with source.get_execution_engine().get_connection() as connection:
        _register(connection, frame.select(_mentioned(contract, rules)).with_row_index(ROW))
    suite = gx.ExpectationSuite(name=f"{contract.source}-{contract.version}")
    for rule in rules:
        advisory = rule.severity != "error"
        suite.add_expectation(
            ExpectRowsToSatisfyContractRule(
                column=ROW,
                sql=rule.sql,
                mostly=0.0 if advisory else 1 - contract.threshold_pct / 100,
                severity=FailureSeverity(_SEVERITY[rule.severity]),
                meta={"rule": rule.id},
            )
        )
    try:
        asset = source.add_table_asset(TABLE, table_name=TABLE)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        found = batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    finally:
        source.get_engine().dispose()
    serialise: Callable[[], dict[str, Any]] = found.to_json_dict
    return serialise()


def _mentioned(contract: Contract, rules: tuple[Rule, ...]) -> list[str]:
    """Columns whose name stands in some rule, in whatever case: the others would be copied for nothing."""
    predicates = "\n".join(rule.sql for rule in rules).lower()
    names = [field.name for field in contract.fields] + [EXTRA, TYPE_FAULTS]
    return [name for name in names if name.lower() in predicates]


def _register(connection: sa.Connection, frame: pl.DataFrame) -> None:
    """Show the frame to DuckDB as a table, then forbid DuckDB every file."""
    import sqlalchemy as sa

    driver: Any = connection.connection.driver_connection
    driver.register(TABLE, frame.to_arrow())
    for statement in _LOCKDOWN:
        connection.execute(sa.text(statement))
    connection.commit()
