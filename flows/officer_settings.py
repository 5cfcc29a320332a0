"""The sections `[officers.<name>]`: who may agree that pseudonyms are turned back."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class OfficerSettings(BaseModel):
    """An officer's public keys, as `indelible subject reidentify enrol` shows them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sign_key: str = Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519, in hex")
    open_key: str = Field(pattern=r"^[0-9a-f]{64}$", description="X25519, in hex")


Officers = dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], OfficerSettings]
"""By name."""
