"""The sections `[officers.<name>]`: who may agree that pseudonyms are turned back."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class OfficerSettings(BaseModel):
    """An officer's public keys, as `indelible subject reidentify enrol` shows them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sign_key: str = Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519, in hex")
    open_key: str = Field(pattern=r"^[0-9a-f]{64}$", description="X25519, in hex")


def _each_their_own(officers: dict[str, OfficerSettings]) -> dict[str, OfficerSettings]:
    """Whoever holds both keys of a release reads it alone."""
    for kind in ("sign_key", "open_key"):
        if len({getattr(officer, kind) for officer in officers.values()}) < len(officers):
            raise ValueError(f"two officers have the same {kind}; each needs keys of their own")
    return officers


Officers = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], OfficerSettings],
    AfterValidator(_each_their_own),
]
"""By name."""
