"""The only reader of the environment: `indelible.toml`, then `INDELIBLE_*`, then the command's own options.

`INDELIBLE_STORE__URI=s3://indelible` overrides `uri` in `[store]`; `INDELIBLE_CONFIG` names another file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tasks.errors import UsageError


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


class KeySettings(_Section):
    """The keyring. Keys never lie in the store."""

    directory: Path | None = None
    passphrase: SecretStr | None = None


class RetentionSettings(_Section):
    """Added to what contracts ask. Log objects outlive the records that they prove."""

    extra_log_days: int = Field(default=366, ge=1)
    catalog_days: int = Field(default=30, ge=1)
    override_days: int | None = Field(
        default=None, ge=1, description="replaces contracts' days; for trials only"
    )


class ScheduleSettings(_Section):
    """Cron lines, UTC. `deliver` may name a schedule for one source."""

    deliver: dict[str, str] = Field(default_factory=dict)
    deliver_default: str = "*/15 * * * *"
    verify: str = "30 3 * * *"
    export: str = "0 5 1 * *"


class LimitSettings(_Section):
    """Bounds on what input can make large."""

    batch_bytes: int = Field(default=512 << 20, ge=1 << 16, description="text of a batch, as estimated")
    batch_drops: int = Field(default=5000, ge=1, le=20_000)
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
    retention: RetentionSettings = RetentionSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    limits: LimitSettings = LimitSettings()
    probe: ProbeSettings = ProbeSettings()

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
