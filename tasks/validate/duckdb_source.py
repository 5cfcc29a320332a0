"""Great Expectations on DuckDB, in memory: what GX 1.24 does not ship.

Charter: a datasource and execution engine over `duckdb-engine`, and one column-map expectation that runs a
contract rule's SQL. Importing this module imports Great Expectations, which costs seconds: only
`tasks.validate.gate` imports it, when a batch has to be judged.

Nothing of a batch touches a disk: the frame is registered, not copied, and DuckDB may neither spill nor open
files. The one domain column is the row's ordinal, so no record value can enter a result.
"""

from __future__ import annotations

import os

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read by GX once, on import

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal

import sqlalchemy as sa
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)

ROW: Final = "_row"


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Keeps one connection: a result of `duckdb-engine` dies when its connection returns to the pool."""

    _kept: sa.Connection | None = None

    @contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        """The one connection."""
        if self._kept is None:
            self._kept = self.engine.connect()
        yield self._kept


class DuckDBSource(SQLDatasource):
    """One in-memory DuckDB that the asset checks of GX and its execution engine share."""

    type: Literal["duckdb_memory"] = "duckdb_memory"  # type: ignore[assignment]

    def get_engine(self) -> sa.Engine:
        """The engine; its only connection stays open until it is disposed of."""
        if self._engine is None:
            self._engine = sa.create_engine("duckdb:///:memory:", poolclass=sa.StaticPool)
        return self._engine

    def get_execution_engine(self) -> DuckDBExecutionEngine:
        """What evaluates the metrics."""
        if self._execution_engine is None:
            self._execution_engine = DuckDBExecutionEngine(engine=self.get_engine(), create_temp_table=False)
        return self._execution_engine


class RuleMetric(ColumnMapMetricProvider):
    """Rows for which a predicate is true or null."""

    condition_metric_name = "column_values.satisfy_contract_rule"
    condition_value_keys = ("sql",)

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, _column: Any, sql: str, **_: Any) -> Any:  # noqa: N805 - GX passes the class
        return sa.literal_column(f"coalesce(({sql}), true)", sa.Boolean)


class ExpectRowsToSatisfyContractRule(ColumnMapExpectation):
    """Every row satisfies a rule of the data contract, given as SQL; NULL counts as satisfied."""

    sql: str
    map_metric: ClassVar[str] = "column_values.satisfy_contract_rule"
    success_keys: ClassVar[tuple[str, ...]] = ("column", "sql", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "sql", "mostly")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column", "row_condition", "condition_parser")
