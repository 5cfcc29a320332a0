"""The section `[audit]`: how much an audit reads back, and what it points out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AuditSettings(BaseModel):
    """How much an audit reads back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period_days: int = Field(default=28, ge=1, le=3660, description="in which every file is read back once")
    sample: int = Field(default=1000, ge=0, le=1_000_000, description="records that are hashed again")
    budget_bytes: int | None = Field(
        default=None, ge=0, description="bytes of files that a sample audit may read; by default no limit"
    )
    canaries: bool = Field(
        default=False,
        description="deliver made-up events too; they are sealed beside the real ones, for good",
    )
    expiry_days: int = Field(default=30, ge=1, description="a certificate that ends sooner is pointed out")
