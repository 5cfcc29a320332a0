"""One column, one treatment: how a contract's words become vectorised operations.

Lists of strings are treated element by element. A value that is no text has no shape to mask and no
network to cut to: it becomes null under those treatments, and its text is hashed for a pseudonym.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from tasks.contracts.model import Field, Treatment
from tasks.keyring import Keyring
from tasks.redact.addresses import truncate
from tasks.redact.distinct import through_distinct
from tasks.redact.keys import is_secret_key
from tasks.redact.pseudonyms import pseudonymise
from tasks.redact.scan import JSON, KEPT, TEXT, Mode, Scanner

_MASK_LENGTH: Final = 64


def effective_treatment(field: Field) -> Treatment:
    """What is done to a field: as its contract says, but a field that is named as a secret is dropped.

    Masked and pseudonymised secrets are gone already.
    """
    names = [path[-1] for path in field.paths if path] + [field.name]
    if field.treatment not in {"mask", "pseudonym"} and any(map(is_secret_key, names)):
        return "drop"
    return field.treatment


def scan_mode(field: Field) -> Mode | None:
    """How the texts of a field are scanned, or None where its treatment leaves no text to scan."""
    if effective_treatment(field) not in {"keep", "scan"}:
        return None
    if field.type == "json":
        return JSON
    return TEXT if field.treatment == "scan" else KEPT


class Treatments:
    """Applies treatments to the columns of one batch.

    Args:
        months: key epoch of each row.
        keyring: gives the pseudonym keys.
        scanner: counts what it finds over the whole batch.

    Attributes:
        keys: ids of the keys used so far.
    """

    def __init__(self, months: pl.Series, keyring: Keyring, scanner: Scanner) -> None:
        self._months = months
        self._keyring = keyring
        self._scanner = scanner
        self.keys: set[str] = set()

    def apply(self, frame: pl.DataFrame, fields: Sequence[Field]) -> list[pl.Series]:
        """The sealed form of each field's column. Columns that are scanned alike are scanned together."""
        columns = []
        together: dict[Mode, list[pl.Series]] = {}
        for field in fields:
            values = frame[field.name]
            mode = scan_mode(field)
            if mode is not None and values.dtype == pl.String:
                together.setdefault(mode, []).append(values)
            else:
                columns.append(self._column(values, field))
        for mode, texts in together.items():
            columns += self._scanner.scan(texts, mode)
        return columns

    def _column(self, values: pl.Series, field: Field) -> pl.Series:
        treatment = effective_treatment(field)
        if treatment == "drop":
            return values.clear(len(values))
        if values.dtype == pl.List(pl.String):
            return self._elements(values, field)
        if values.dtype == pl.String:
            return self._texts(values, self._months, field)
        if treatment == "pseudonym":
            return self._texts(values.cast(pl.String), self._months, field)
        if treatment in {"mask", "truncate_ip"}:
            return values.clear(len(values))
        return values

    def _texts(self, values: pl.Series, months: pl.Series, field: Field) -> pl.Series:
        if field.treatment == "pseudonym":
            return self._pseudonyms(values, months, field.domain or field.name)
        if field.treatment == "truncate_ip":
            return through_distinct(values, lambda texts: truncate(texts, self._free_text))
        if field.treatment == "mask":
            return through_distinct(values, mask)
        return self._scanner.scan([values], scan_mode(field) or TEXT)[0]

    def _free_text(self, values: pl.Series) -> pl.Series:
        return self._scanner.scan([values], TEXT)[0]

    def _pseudonyms(self, values: pl.Series, months: pl.Series, domain: str) -> pl.Series:
        result = values.clear(len(values))
        rows = pl.DataFrame({"row": pl.int_range(len(values), eager=True), "month": months, "value": values})
        for (month,), part in rows.drop_nulls("value").partition_by("month", as_dict=True).items():
            epoch = str(month)
            named = pseudonymise(part["value"], self._keyring.secret("pseudonym", epoch), domain, epoch)
            self.keys.add(self._keyring.key_id("pseudonym", epoch))
            if part.height == len(values):
                return named.alias(values.name)
            result = result.scatter(part["row"], named)
        return result

    def _elements(self, values: pl.Series, field: Field) -> pl.Series:
        """Treats the elements of lists, and puts them back into lists of the same lengths."""
        rows = pl.DataFrame(
            {"row": pl.int_range(len(values), eager=True), "month": self._months, "value": values}
        )
        flat = rows.filter(pl.col("value").list.len() > 0).explode("value")
        flat = flat.with_columns(self._texts(flat["value"], flat["month"], field).alias("treated"))
        lists = flat.group_by("row", maintain_order=True).agg("treated")
        joined = rows.join(lists, on="row", how="left", maintain_order="left")
        return joined.select(pl.coalesce("treated", "value")).to_series().alias(values.name)


def mask(values: pl.Series) -> pl.Series:
    """Keeps the shape of each text and nothing else: letters become `x` or `X`, digits `9`.

    At most 64 characters are kept, so that length tells little.
    """
    shape = values.str.slice(0, _MASK_LENGTH)
    shape = shape.str.replace_all(r"\p{Lu}", "X").str.replace_all(r"[\p{L}\p{M}--\p{Lu}]", "x")
    return shape.str.replace_all(r"\p{N}", "9").str.replace_all(r"[^\x00-\x7f]", "x")
