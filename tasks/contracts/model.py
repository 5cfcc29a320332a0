"""A data contract as typed, immutable values: what every stage asks a contract for.

Built by `tasks.contracts.load`; see `data_contracts/README` for the ODCS properties behind each value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tasks.contracts.processing import Processing
from tasks.contracts.rhythm import Rhythm

FieldType = Literal["string", "integer", "number", "boolean", "timestamp", "json", "strings"]
Treatment = Literal["keep", "drop", "mask", "truncate_ip", "prefix_pseudonym", "pseudonym", "encrypt", "scan"]
KeyScope = Literal["epoch", "subject"]
Drift = Literal["evolve", "freeze", "quarantine"]
Severity = Literal["error", "warning", "info"]
WireFormat = Literal["cloudtrail", "ndjson", "combined"]

PERSONAL: Final = frozenset({"personal", "pii", "secret"})


@dataclass(frozen=True, slots=True)
class Field:
    """One sealed column.

    Attributes:
        name: column name, `[A-Za-z][A-Za-z0-9_]*`.
        type: wire type. `number` is kept as its source text (String): no float is ever sealed.
            `integer` is within +-(2**53-1). `json` is an opaque subtree, kept as its source text.
            `strings` is a list of strings.
        paths: where the value stands in the record, first present wins: `(("userIdentity","arn"),)`;
            several paths serve sources whose dialects name one thing differently.
        lenient: accept the other JSON spelling of a scalar: an `integer`, `number`, `boolean` or epoch
            written as a JSON string; for a `string`, a JSON number or boolean, kept as its source text.
        nulls: source texts that mean null, for example `-`.
        time_formats: for `timestamp`: any of `rfc3339`, `clf`, `epoch_s`, `epoch_ms`, tried in order.
            An epoch of 1e11 or more (year 5138 in seconds) is not `epoch_s`, so that the two never
            compete for one value.
        treatment: how the value is redacted.
        domain: pseudonym domain; fields that share it get equal pseudonyms for equal values.
        key_scope: whose key a pseudonym takes: that of its month, or that of the person of its row.
        description: for people.
    """

    name: str
    type: FieldType
    paths: tuple[tuple[str, ...], ...]
    required: bool = False
    lenient: bool = False
    nulls: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()
    treatment: Treatment = "keep"
    domain: str = ""
    key_scope: KeyScope = "epoch"
    classification: str = ""
    description: str = ""

    @property
    def is_personal(self) -> bool:
        """Whether the value can tell of whom a record is."""
        return self.classification in PERSONAL or self.treatment not in {"keep", "scan"}


@dataclass(frozen=True, slots=True)
class SubjectField:
    """A field that tells of which person a row is.

    Attributes:
        name: the field.
        part: what of its value identifies the person: `whole`, or `last`, what follows the last `/` or `:`
            (the session or user name in an ARN or a principal id).
    """

    name: str
    part: Literal["whole", "last"] = "whole"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row rule. `sql` is true for a good row; `tasks.contracts.compile` gives the same as Polars.

    Attributes:
        id: `<field>.<kind>`, the name of a row rule, or `unknown_field`. Values of the wrong type
            (`<field>.type`) are found by the reader, so no rule stands for them here.
        field: the field that it is about, or None for a rule over the whole row.
        sql: predicate over the batch's typed columns, as DuckDB runs it; NULL counts as satisfied.
        kind: required, pattern, enum, range, maxLength or row.
        args: the parameters that the contract gives for `kind`.
    """

    id: str
    field: str | None
    severity: Severity
    kind: str
    sql: str
    args: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The Rego policy that decided treatments besides the contract, and what it was asked with each field.

    Attributes:
        document: its bytes; sealed beside the data that was redacted by it.
        sha256: hex digest of `document`.
        tenant: whose deployment this is.
        purpose: what the records are sealed for.
    """

    document: bytes
    sha256: str
    tenant: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Contract:
    """One source's contract.

    Attributes:
        source: name of the source, the folder under `data_contracts/sources/`.
        document: the YAML bytes that were loaded; sealed beside the data that was judged by them.
        sha256: hex digest of `document`.
        formats: wire formats a line may have, tried in order.
        time_field: the `timestamp` field that decides the event date.
        key: fields that identify a record; with equal content, a second one is a duplicate. Empty:
            no record-level duplicates.
        drift: what happens to fields that the contract does not name.
        threshold_pct: above this share of failed rows the batch is held as a whole.
        retention_days: minimum retention of what is sealed: the longest of `retention_minimums`.
        access_events: column of the `access_events` view -> DuckDB SQL over this source's columns:
            actor, action, resource, outcome, source_address.
        landing_include, landing_exclude: `fnmatch` patterns of keys that belong to the source.
        subject: fields that tell of which person a row is; the first that is not null does.
        retention_class: name of the retention class, for people and for the record.
        retention_minimums: (driver, days) of each minimum; a driver may be "".
        retention_max_days: days after which privacy law wants the records gone; None: no maximum.
        rhythm: how often, how late and how steadily the source delivers; None: nothing is expected of it.
        processing: what it states for the record of processing activities.
        policy: what tightened the treatments of `fields`; None: they are those of `document`.
    """

    source: str
    version: str
    document: bytes
    sha256: str
    formats: tuple[WireFormat, ...]
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    time_field: str
    key: tuple[str, ...]
    drift: Drift
    threshold_pct: float
    retention_days: int
    access_events: Mapping[str, str]
    landing_include: tuple[str, ...] = ("*",)
    landing_exclude: tuple[str, ...] = ()
    subject: tuple[SubjectField, ...] = ()
    retention_class: str = "standard"
    retention_minimums: tuple[tuple[str, int], ...] = ()
    retention_max_days: int | None = None
    rhythm: Rhythm | None = None
    processing: Processing = dataclasses.field(default_factory=Processing)
    policy: AppliedPolicy | None = None

    @property
    def personal_columns(self) -> tuple[str, ...]:
        """Sealed columns that can tell of whom a record is; evidence may be shown without them.

        What the contract calls personal or secret, or hides; and what stands for a whole raw line: its unnamed
        fields, its fingerprint, and its offset, which gives away how long the line before it was.
        """
        named = {field.name for field in self.fields if field.is_personal}
        return tuple(sorted(named | {"_extra", "_fingerprint", "_offset"}))

    def field(self, name: str) -> Field:
        """The field called `name`.

        Raises:
            KeyError: the contract has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)
