"""Composition root: settings in, stores, keys, contracts and clock out. Tests override any part by keyword."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from flows import traces
from flows.settings import (
    AwsKmsSettings,
    KeySettings,
    Pkcs11Settings,
    S3Settings,
    Settings,
    StoreSettings,
    TransitSettings,
)
from tasks.errors import UsageError
from tasks.evidence.paths import LOG_PREFIX
from tasks.ingest.limits import Limits
from tasks.keyring import FileKeyring, Keyring, SigningKeys
from tasks.storage import ObjectStore, open_store

if TYPE_CHECKING:
    from tasks.catalog.catalog import Catalog
    from tasks.catalog.session import Session
    from tasks.contracts.model import Contract
    from tasks.evidence.note import NoteSigner
    from tasks.rego import Policy
    from tasks.subjects import KeyEncryptionKey, KeyTable


@dataclass(frozen=True)
class Runtime:
    """What the stages need of the world."""

    settings: Settings
    store: ObjectStore
    keyring: Keyring
    software: str = field(default_factory=lambda: f"indelible/{version('indelible')}")
    _loaded: dict[str, Contract] = field(default_factory=dict)

    def landing(self, source: str) -> ObjectStore:
        """The landing place of a source.

        Raises:
            UsageError: none is configured.
        """
        uri = self.settings.landing.uris.get(source)
        if not uri:
            raise UsageError(
                f"no landing place is set for {source}",
                next_step=f"Give --landing URI, or set [landing.uris] {source} in indelible.toml.",
            )
        return _open(uri, self.settings.landing, must_exist=True)

    def contract(self, source: str) -> Contract:
        """The contract of a source as the policy leaves it; loaded once: a run is judged by one to its end."""
        from tasks.contracts.load import load_contract

        if source not in self._loaded:
            contract = load_contract(source, self.settings.contracts)
            self._loaded[source] = tightened(self.settings, contract, self.policy)
        return self._loaded[source]

    @cached_property
    def policy(self) -> Policy | None:
        """The Rego policy of the settings; compiled once."""
        return open_policy(self.settings)

    def contracts(self) -> list[Contract]:
        """All contracts."""
        from tasks.contracts.load import list_sources

        return [self.contract(source) for source in list_sources(self.settings.contracts)]

    def limits(self) -> Limits:
        """Bounds for the readers."""
        limits = self.settings.limits
        return Limits(
            max_drop_bytes=limits.drop_bytes,
            max_lines=limits.drop_lines,
            max_line_bytes=limits.line_bytes,
            max_depth=limits.nesting,
            max_ratio=limits.compression,
        )

    def signer(self, year: int) -> NoteSigner:
        """The signer of a log shard."""
        return self.keyring.signer(self.origin(year))

    def origin(self, year: int) -> str:
        """The name of a log shard, as it stands in its checkpoints."""
        return f"{self.settings.log.origin}/{year}"

    @cached_property
    def key_table(self) -> KeyTable:
        """Where keys of months and persons lie."""
        return open_key_table(self.settings, self.keyring.secret("index"))

    @property
    def catalog_path(self) -> Path:
        """The local copy of the published catalog."""
        return self.settings.state / "catalog.duckdb"

    def session(self) -> Session:
        """How DuckDB reaches the store."""
        from tasks.catalog.session import Session

        store, settings = self.store, self.settings.store
        if store.uri.startswith("file://"):
            return Session(unquote(urlsplit(store.uri).path))
        return Session(
            store.uri,
            endpoint=getattr(store, "endpoint", None),
            access_key=_secret(settings.access_key),
            secret_key=_secret(settings.secret_key),
            region=settings.region,
            ca_bundle=settings.ca_bundle,
        )

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """A working copy of the catalog, read up to the end of the log."""
        from tasks.catalog.catalog import Catalog

        with Catalog(self.store, self.session(), seed=self.catalog_path) as catalog:
            catalog.sync()
            yield catalog


def open_policy(settings: Settings) -> Policy | None:
    """The Rego policy of the settings, compiled."""
    if settings.policy.file is None:
        return None
    from tasks.rego import load_policy

    return load_policy(settings.policy.file)


def tightened(settings: Settings, contract: Contract, policy: Policy | None) -> Contract:
    """A contract as the policy leaves it."""
    if policy is None:
        return contract
    from tasks.rego import tighten

    return tighten(contract, policy, settings.policy.tenant, settings.policy.purpose)


def loaded_contracts(settings: Settings) -> list[Contract]:
    """All contracts as the policy leaves them, where there is no runtime."""
    from tasks.contracts.load import list_sources, load_contract

    policy = open_policy(settings)
    return [
        tightened(settings, load_contract(source, settings.contracts), policy)
        for source in list_sources(settings.contracts)
    ]


def build(settings: Settings, *, store: ObjectStore | None = None, keyring: Keyring | None = None) -> Runtime:
    """Wire a deployment.

    Args:
        settings: where everything is.
        store: instead of the configured one.
        keyring: instead of the configured one.
    """
    if store is None:
        if not settings.store.uri:
            raise UsageError(
                "no store is set", next_step="Run `indelible up`, give --store URI, or set [store] uri."
            )
        store = open_evidence(settings.store)
    runtime = Runtime(settings, store, keyring or open_keyring(settings))
    traces.start(settings.traces, runtime.software)
    return runtime


def open_keyring(settings: Settings) -> FileKeyring:
    """The keyring of the settings; made on first use."""
    secret = _secret(settings.keys.passphrase)
    passphrase = secret.encode() if secret else None
    make = FileKeyring if settings.key_directory.exists() else FileKeyring.create
    return make(
        settings.key_directory,
        passphrase=passphrase,
        signing_keys=_signing_keys(settings.keys),
        erasable=partial(open_key_table, settings),
    )


def open_key_table(settings: Settings, index_key: bytes) -> KeyTable:
    """The key table of the settings; its database is made on first use."""
    from tasks.subjects import KeyTable, open_database

    url = _secret(settings.key_table.url) or f"sqlite:///{settings.key_directory / 'table.db'}"
    return KeyTable(open_database(url), _key_encryption_key(settings), index_key)


def _key_encryption_key(settings: Settings) -> KeyEncryptionKey:
    """What wraps the key table. Only the chosen vendor's module is imported."""
    keys, name = settings.keys, settings.key_table.kek_name
    match settings.key_table.kek, keys.transit, keys.aws_kms:
        case "file", _, _:
            from tasks.keyring.kek_file import FileKek

            return FileKek(settings.key_directory)
        case "transit", TransitSettings() as chosen, _:
            from tasks.keyring.kek_transit import TransitKek

            token = chosen.token.get_secret_value()
            return TransitKek(chosen.url, token, name, chosen.mount, chosen.ca_bundle)
        case "aws-kms", _, AwsKmsSettings() as chosen:
            from tasks.keyring.kek_aws import AwsKek

            return AwsKek(chosen.region, name, chosen.endpoint)
        case kek, _, _:
            section = kek.replace("-", "_")
            raise UsageError(
                f"[key_table] kek is {kek}, and there is no section [keys.{section}]",
                next_step=f"Set [keys.{section}] in indelible.toml.",
            )


def _signing_keys(keys: KeySettings) -> SigningKeys | None:
    """Where signing keys are kept, if not in files. Only the chosen vendor's module is imported."""
    match keys:
        case KeySettings(signer="file"):
            return None
        case KeySettings(signer="transit", transit=TransitSettings() as chosen):
            from tasks.keyring.transit import TransitKeys

            return TransitKeys(chosen.url, chosen.token.get_secret_value(), chosen.mount, chosen.ca_bundle)
        case KeySettings(signer="pkcs11", pkcs11=Pkcs11Settings() as chosen):
            try:
                from tasks.keyring.pkcs11 import Pkcs11Keys
            except ModuleNotFoundError as error:
                raise UsageError(
                    "signing through PKCS#11 needs python-pkcs11", next_step="Install `indelible[hsm]`."
                ) from error
            return Pkcs11Keys(chosen.module, chosen.token, chosen.pin.get_secret_value())
        case KeySettings(signer="aws-kms", aws_kms=AwsKmsSettings() as chosen):
            from tasks.keyring.aws_kms import AwsKmsKeys

            return AwsKmsKeys(chosen.region, chosen.prefix, chosen.endpoint)
        case _:
            section = keys.signer.replace("-", "_")
            raise UsageError(
                f"[keys] signer is {keys.signer}, and there is no section [keys.{section}]",
                next_step=f"Set [keys.{section}] in indelible.toml.",
            )


def open_evidence(settings: StoreSettings) -> ObjectStore:
    """The evidence store. The log may have a KMS key of its own, and so outlive the key of the records."""
    keys = {"": settings.kms_key, LOG_PREFIX: settings.kms_key_log}
    return _open(
        settings.uri,
        settings,
        kms_keys={prefix: key for prefix, key in keys.items() if key is not None},
        create_lock=settings.create_lock,
    )


def _open(uri: str, settings: S3Settings, **options: Any) -> ObjectStore:
    return open_store(
        uri,
        endpoint=settings.endpoint,
        access_key=_secret(settings.access_key),
        secret_key=_secret(settings.secret_key),
        region=settings.region,
        ca_bundle=settings.ca_bundle,
        allow_http=settings.allow_http,
        **options,
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
