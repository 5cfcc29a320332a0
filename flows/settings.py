"""The only reader of the environment: `indelible.toml`, then `INDELIBLE_*`, then the command's own options.

`INDELIBLE_STORE__URI=s3://indelible` overrides `uri` in `[store]`; `INDELIBLE_CONFIG` names another file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flows.audit_settings import AuditSettings
from flows.run_settings import RunSettings
from tasks.errors import UsageError, VerificationError
from tasks.evidence.note import CosignatureVerifier
from tasks.retention import LOG_MARGIN_DAYS

_WORDS = r"^[^\x00-\x1f]{1,200}$"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class S3Settings(_Section):
    """How an S3 server is reached. Without keys, the ordinary AWS credential chain applies."""

    endpoint: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    region: str = "us-east-1"
    ca_bundle: Path | None = Field(
        default=None, description="PEM file of the authorities to trust instead of the system's"
    )
    allow_http: bool = Field(default=False, description="an endpoint beyond this machine may be http://")


class StoreSettings(S3Settings):
    """Where evidence lies."""

    uri: str = ""
    kms_key: str | None = Field(default=None, min_length=1, description="SSE-KMS: id or ARN of the key")
    kms_key_log: str | None = Field(
        default=None, min_length=1, description="another key for the log, which outlives the records"
    )
    create_lock: Path | None = Field(
        default=None, description="file that all creators lock, for a server that ignores If-None-Match"
    )


class LandingSettings(S3Settings):
    """Where raw drops land: a URI a source, on the same or another server."""

    uris: dict[str, str] = Field(default_factory=dict)


class LogSettings(_Section):
    """The transparency log. `origin` names it for ever: `<origin>/<year>` stands in each checkpoint."""

    origin: str = "indelible.invalid/local"


class TransitSettings(_Section):
    """The transit engine of OpenBao or Vault."""

    url: str
    token: SecretStr
    mount: str = "transit"
    ca_bundle: Path | None = None


class Pkcs11Settings(_Section):
    """A hardware security module; needs the extra `hsm`."""

    module: Path = Field(description="the vendor's shared library")
    token: str = Field(description="label of the token")
    pin: SecretStr


class AwsKmsSettings(_Section):
    """AWS KMS, with the ordinary AWS credential chain."""

    region: str
    prefix: str = Field(
        default="indelible/", pattern=r"^[A-Za-z0-9/_-]{1,100}$", description="of the keys' aliases"
    )
    endpoint: str | None = None


class KeySettings(_Section):
    """The keyring. Keys never lie in the store. `signer` says where the keys are that sign logs."""

    directory: Path | None = None
    passphrase: SecretStr | None = None
    signer: Literal["file", "transit", "pkcs11", "aws-kms"] = "file"
    transit: TransitSettings | None = None
    pkcs11: Pkcs11Settings | None = None
    aws_kms: AwsKmsSettings | None = None


class KeyTableSettings(_Section):
    """Where keys of months and persons lie, and which key wraps them. Neither may lie in the store."""

    url: SecretStr | None = Field(
        default=None,
        description="`postgresql+psycopg://user@host/database`; default: SQLite beside the keyring",
    )
    kek: Literal["file", "transit", "aws-kms"] = Field(
        default="file", description="who wraps: files beside the keyring, [keys.transit] or [keys.aws_kms]"
    )
    kek_name: str = Field(
        default="indelible-key-table",
        pattern=r"^[A-Za-z0-9:/_-]{1,200}$",
        description="of the transit key, or alias or ARN of the AWS KMS key",
    )
    backup_days: int = Field(default=30, ge=1, le=365, description="until a backup must not be restored")


class PolicySettings(_Section):
    """A Rego policy that may tighten the treatments of contracts; needs the extra `rego`."""

    file: Path | None = Field(default=None, description="rule `treatment` of package indelible.redaction")
    tenant: str = Field(default="default", pattern=_WORDS, description="`input.tenant`")
    purpose: str = Field(default="audit", pattern=_WORDS, description="`input.purpose`")


class RetentionSettings(_Section):
    """Added to what contracts ask. Log objects outlive the records that they prove."""

    minimum_days: dict[str, int] = Field(
        default_factory=dict, description="by source; raises what its contract asks, never lowers it"
    )
    extra_log_days: int = Field(default=LOG_MARGIN_DAYS, ge=LOG_MARGIN_DAYS)
    catalog_days: int = Field(default=30, ge=1)
    override_days: int | None = Field(
        default=None, ge=1, description="replaces contracts' days; for trials only"
    )


class ScheduleSettings(_Section):
    """Cron lines, UTC. `deliver` may name a schedule for one source."""

    deliver: dict[str, str] = Field(default_factory=dict)
    deliver_default: str = "*/15 * * * *"
    look_back_days: int = Field(
        default=0, ge=0, le=36_500, description="scheduled deliveries take drops of so many days; 0 takes all"
    )
    publish: str = "7 * * * *"
    reconcile: str = "25 * * * *"
    recover: str = "*/10 * * * *"
    verify: str = "30 3 * * *"
    export: str = "0 5 1 * *"
    audit: str = "0 2 * * 0"
    audit_whole: str = "0 3 1 * *"


class RecoverySettings(_Section):
    """When a run counts as dead, and how often it is started again."""

    silent_s: int = Field(default=90, ge=10, description="a running flow gives a sign of life every 30 s")
    pending_s: int = Field(default=300, ge=10, description="from a worker's taking a run to its start")
    max_recoveries: int = Field(default=3, ge=0, le=20)
    pause_s: int = Field(default=30, ge=1, le=3600, description="before a new start; doubles with each")


class PrefectSettings(_Section):
    """The Prefect server that `indelible up` starts: with a SQLite file, unless a PostgreSQL is named."""

    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/database"
    )


class LimitSettings(_Section):
    """Bounds on what input can make large."""

    batch_bytes: int = Field(default=512 << 20, ge=1 << 16, description="text of a batch, as estimated")
    batch_drops: int = Field(default=5000, ge=1, le=20_000)
    batch_dates: int = Field(default=3, ge=1, le=400, description="dates of a batch's drops")
    drop_bytes: int = Field(default=1 << 30, ge=1 << 16, description="decompressed bytes of one drop")
    drop_lines: int = Field(default=16_000_000, ge=1)
    line_bytes: int = Field(default=16 << 20, ge=1 << 10)
    nesting: int = Field(default=128, ge=1, le=500, description="depth of JSON containers")
    compression: int = Field(default=200, ge=2, description="decompressed over stored bytes, for large drops")
    clock_difference_s: int = Field(default=60, ge=1)


class IdentitySettings(_Section):
    """Keys of somebody else at the store."""

    access_key: SecretStr
    secret_key: SecretStr


class ProbeSettings(_Section):
    """Who tries besides the store's own keys when the store is probed: an administrator above all."""

    identities: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], IdentitySettings] = Field(
        default_factory=dict
    )


class SequencerSettings(_Section):
    """Sealing apart from delivering: `worker` is set where batches are delivered, `workers` where they are sealed."""

    worker: str = Field(
        default="", description="name of this worker's key; it then hands over, and signs no log"
    )
    workers: tuple[str, ...] = Field(default=(), description="public keys of the workers that may hand over")
    wait_s: int = Field(default=900, ge=1, description="how long a worker waits for the sequencer")
    max_age_s: int = Field(default=86_400, ge=60, le=604_800, description="older manifests are not sealed")


class WitnessMember(_Section):
    """One witness: where it answers `add-checkpoint`, and its C2SP vkey."""

    url: str = Field(pattern=r"^https?://[^\s]+$")
    vkey: str

    @field_validator("vkey")
    @classmethod
    def _is_cosigner(cls, vkey: str) -> str:
        try:
            CosignatureVerifier.from_vkey(vkey)
        except VerificationError as error:
            raise ValueError(f"no witness's vkey ({error})") from None
        return vkey


class WitnessSettings(_Section):
    """Who must have seen each checkpoint. Without members, the log's own signature is all there is."""

    members: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], WitnessMember] = Field(
        default_factory=dict
    )
    quorum: int | None = Field(default=None, ge=1, description="how many must have cosigned; all by default")
    max_age_s: int = Field(default=86_400, ge=60, description="an older cosignature is a finding")
    timeout_s: float = Field(default=10, gt=0)

    @property
    def parties(self) -> dict[str, tuple[str, str]]:
        """Vkey and URL of each member, as policies list them."""
        return {name: (member.vkey, member.url) for name, member in self.members.items()}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.quorum is not None and self.quorum > len(self.members):
            raise ValueError("quorum is larger than the number of members")
        return self


class TimestampSettings(_Section):
    """An RFC 3161 time-stamping authority for checkpoints."""

    url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    certificates: Path | None = Field(
        default=None, description="PEM: the authority's own certificate and those above it"
    )
    timeout_s: float = Field(default=10, gt=0)


class MetricsSettings(_Section):
    """What Prometheus is told."""

    silence_s: dict[str, int] = Field(
        default_factory=dict,
        description="by source: longest time without a drop; by default frequency and latency of its contract",
    )
    silence_default_s: int = Field(default=21_600, ge=1, description="where the contract has no rhythm")
    timeout_s: float = Field(
        default=8, gt=0, le=600, description="longest scrape; below Prometheus's scrape_timeout"
    )
    prefect_api: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="URL of Prefect's API, ending in /api; by default that of `indelible up`",
    )


class LogOutputSettings(_Section):
    """Where log lines go. Receipts and reports are no log lines."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="on standard error; auto: console on a terminal, else JSON"
    )
    file: Path | None = Field(default=None, description="append JSON lines here instead")
    level: Literal["debug", "info", "warning", "error"] = "info"


class TraceSettings(_Section):
    """Traces of deliveries; needs the extra `traces`."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="of an OpenTelemetry collector, ending in /v1/traces",
    )
    timeout_s: float = Field(default=5, gt=0, le=60)


class Settings(BaseSettings):
    """All settings of a deployment."""

    model_config = SettingsConfigDict(
        env_prefix="INDELIBLE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        toml_file="indelible.toml",
    )

    state: Path = Path(".indelible")
    contracts: Path | None = None
    store: StoreSettings = StoreSettings()
    landing: LandingSettings = LandingSettings()
    log: LogSettings = LogSettings()
    keys: KeySettings = KeySettings()
    key_table: KeyTableSettings = KeyTableSettings()
    policy: PolicySettings = PolicySettings()
    retention: RetentionSettings = RetentionSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    recovery: RecoverySettings = RecoverySettings()
    run: RunSettings = RunSettings()
    prefect: PrefectSettings = PrefectSettings()
    limits: LimitSettings = LimitSettings()
    probe: ProbeSettings = ProbeSettings()
    sequencer: SequencerSettings = SequencerSettings()
    witness: WitnessSettings = WitnessSettings()
    timestamps: TimestampSettings = TimestampSettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogOutputSettings = LogOutputSettings()
    traces: TraceSettings = TraceSettings()
    audit: AuditSettings = AuditSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, os.environ.get("INDELIBLE_CONFIG", "indelible.toml"))
        return init_settings, env_settings, file

    @property
    def key_directory(self) -> Path:
        """Where the keyring lies."""
        return self.keys.directory or self.state / "keys"


def load_settings(**overrides: object) -> Settings:
    """Read all settings.

    Raises:
        UsageError: a setting is unknown or has a wrong value; the message names it, never its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        )
        raise UsageError(
            f"settings are wrong: {wrong}", next_step="Correct indelible.toml or the INDELIBLE_* variable."
        ) from None
