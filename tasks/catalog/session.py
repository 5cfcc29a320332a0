"""How DuckDB reaches the sealed files: a directory, or S3 with the bundled httpfs extension (no download)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.util import find_spec
from pathlib import Path

import duckdb

from tasks.catalog.views import create_views, literal
from tasks.contracts.model import Contract
from tasks.errors import UsageError
from tasks.storage.transport import trusted_authorities


class Session:
    """Opens DuckDB files with access to one store.

    Args:
        base: `s3://bucket/prefix` or the absolute path of a directory.
        endpoint: URL of an S3 server; None for AWS.
        access_key: None lets DuckDB use no credentials.
        secret_key: see `access_key`.
        region: S3 region.
        ca_bundle: PEM file of the authorities to trust instead of the system's.
    """

    def __init__(
        self,
        base: str,
        *,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        region: str = "us-east-1",
        ca_bundle: Path | None = None,
    ) -> None:
        self._base = base.rstrip("/")
        self._endpoint, self._region = endpoint, region
        self._access_key, self._secret_key = access_key, secret_key
        self._ca_bundle = ca_bundle

    def locate(self, path: str) -> str:
        """What DuckDB opens for an object path."""
        return f"{self._base}/{path}"

    def connect(self, path: Path | str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open a DuckDB file, with the store's credentials in memory only."""
        connection = duckdb.connect(
            str(path),
            read_only=read_only,
            config={"autoinstall_known_extensions": "false"},
        )
        connection.execute("SET TimeZone = 'UTC'")
        if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
            # In Jupyter without ipywidgets it is off, and DuckDB refuses even to be told so.
            connection.execute("SET enable_progress_bar = false")
        if self._base.startswith("s3://"):
            self._attach_s3(connection)
        return connection

    def create_views(
        self,
        connection: duckdb.DuckDBPyConnection,
        contracts: Iterable[Contract],
        lost: Collection[str] = (),
    ) -> None:
        """(Re)create the catalog's views over this store, without the files that are `lost`."""
        create_views(connection, contracts, self.locate, lost)

    def _attach_s3(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"LOAD {literal(str(_httpfs()))}")
        connection.execute(f"SET ca_cert_file = {literal(trusted_authorities(self._ca_bundle))}")
        # By default one of DuckDB's two HTTP clients verifies nothing.
        connection.execute("SET enable_server_cert_verification = true")
        options = [f"REGION {literal(self._region)}", f"SCOPE {literal(self._base)}"]
        if self._access_key and self._secret_key:
            options += [f"KEY_ID {literal(self._access_key)}", f"SECRET {literal(self._secret_key)}"]
        if self._endpoint:
            scheme, _, host = self._endpoint.partition("://")
            options += [
                f"ENDPOINT {literal(host.rstrip('/'))}",
                f"USE_SSL {str(scheme == 'https').lower()}",
                "URL_STYLE 'path'",
            ]
        connection.execute(f"CREATE OR REPLACE TEMPORARY SECRET store (TYPE s3, {', '.join(options)})")


def _httpfs() -> Path:
    spec = find_spec("duckdb_extension_httpfs")
    if spec is None or spec.origin is None:
        raise UsageError(
            "DuckDB's httpfs extension is not installed",
            next_step="Install `indelible[pipeline]` from its lock file.",
        )
    version = duckdb.__version__
    return Path(spec.origin).parent / "extensions" / f"v{version}" / "httpfs.duckdb_extension"
