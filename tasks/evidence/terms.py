"""What entries of several types say in the same way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypedDict

from tasks.evidence.schema import Date, Form

Format = Literal["indelible/1"]
Source = Annotated[str, Form("a source name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")]
HoldId = Annotated[str, Form("<year>-<index>", r"[0-9]{4}-(0|[1-9][0-9]{0,14})")]
Text = Annotated[str, Form("a non-empty line", r"[^\x00-\x1f]+")]


class Scope(TypedDict):
    """What an entry that is no batch is about; dates are event dates, both included."""

    since: Date | None
    source: Source
    subject: Text | None
    until: Date | None


def instant(moment: datetime) -> str:
    """A time as entries spell it (`schema.Instant`): UTC; a fraction of a second is cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def person(name: str) -> str:
    """A name without what does not make it another person's: two people agree only if these differ."""
    return name.strip().casefold()
