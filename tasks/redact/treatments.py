"""One column, one treatment: how a contract's words become vectorised operations.

Lists of strings are treated element by element. A value that is no text has no shape to mask and no
network to cut to: it becomes null under those treatments, and its text is hashed for a pseudonym.
Whatever the contract says, a field that is named as a secret is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import polars as pl

from tasks.contracts.model import Field, Treatment
from tasks.redact.addresses import replace_addresses, truncate
from tasks.redact.distinct import through_distinct
from tasks.redact.holders import Holders
from tasks.redact.keys import is_secret_key
from tasks.redact.prefixes import prefix_key, prefix_pseudonyms
from tasks.redact.pseudonyms import Pseudonyms, pseudonymise
from tasks.redact.scan import JSON, KEPT, TEXT, Mode, Scanner

_NAMED: Final = frozenset({"pseudonym", "encrypt"})
_SHAPED: Final = frozenset({"mask", "truncate_ip", "prefix_pseudonym"})
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
        holders: whose key each row takes.
        scanner: counts what it finds over the whole batch.

    Attributes:
        encrypted: pseudonyms made so far of each field whose values are to be kept encrypted.
    """

    def __init__(self, holders: Holders, scanner: Scanner) -> None:
        self._holders = holders
        self._scanner = scanner
        self.encrypted: dict[str, Pseudonyms] = {}

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
        codes = self._holders.codes(field)
        if values.dtype == pl.List(pl.String):
            return self._elements(values, codes, field)
        if values.dtype == pl.String:
            return self._texts(values, codes, field)
        if treatment in _NAMED:
            return self._texts(values.cast(pl.String), codes, field)
        if treatment in _SHAPED:
            return values.clear(len(values))
        return values

    def _texts(self, values: pl.Series, codes: pl.Series, field: Field) -> pl.Series:
        if field.treatment in _NAMED:
            return self._pseudonyms(values, codes, field)
        if field.treatment == "truncate_ip":
            return through_distinct(values, lambda texts: truncate(texts, self._free_text(field)))
        if field.treatment == "prefix_pseudonym":
            return self._prefix_pseudonyms(values, codes, field)
        if field.treatment == "mask":
            return through_distinct(values, mask)
        return self._scanner.scan([values], scan_mode(field) or TEXT)[0]

    def _free_text(self, field: Field) -> Callable[[pl.Series], pl.Series]:
        return lambda values: self._scanner.scan([values.alias(field.name)], TEXT)[0]

    def _pseudonyms(self, values: pl.Series, codes: pl.Series, field: Field) -> pl.Series:
        made = pseudonymise(values, codes, self._holders, field.domain or field.name)
        if field.treatment == "encrypt":
            self.encrypted[field.name] = made
        return made.column()

    def _prefix_pseudonyms(self, values: pl.Series, codes: pl.Series, field: Field) -> pl.Series:
        result = values.clear(len(values))
        for code in codes.filter(values.is_not_null()).unique(maintain_order=True):
            key = prefix_key(self._holders.key(code), field.domain or field.name)
            convert = partial(
                replace_addresses,
                convert=partial(prefix_pseudonyms, key=key),
                otherwise=self._free_text(field),
            )
            rows = (codes == code).arg_true()
            result = result.scatter(rows, through_distinct(values.gather(rows), convert))
        return result.alias(values.name)

    def _elements(self, values: pl.Series, codes: pl.Series, field: Field) -> pl.Series:
        """Treats the elements of lists, and puts them back into lists of the same lengths."""
        rows = pl.DataFrame({"row": pl.int_range(len(values), eager=True), "holder": codes, "value": values})
        flat = rows.filter(pl.col("value").list.len() > 0).explode("value")
        flat = flat.with_columns(self._texts(flat["value"], flat["holder"], field).alias("treated"))
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
