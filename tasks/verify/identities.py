"""The rows of one identities file: columns, order, and whether they hash to the sealed root.

What is encrypted in it is not looked at: a verifier has no key, and needs none. Format: FORMAT.md, "Identities
files".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tasks.errors import VerificationError
from tasks.verify import reasons
from tasks.verify.access import Tree
from tasks.verify.leaves import leads_to, plain_leaves
from tasks.verify.table import SealedTable, UnreadableError, batches, parquet_file, salting

if TYPE_CHECKING:
    import pyarrow.parquet as pq

COLUMNS: Final = ("pseudonym", "field", "kid", "ciphertext")
_BATCH_ROWS: Final = 65_536


def check_identities(tree: Tree, facts: Mapping[str, Any], *, rows: bool) -> None:
    """Check one identities file against what its entry says of it.

    Args:
        tree: where to read and to report.
        facts: one of the entry's `identities`.
        rows: whether to open it; otherwise only its size and SHA-256 are checked.
    """
    data, as_sealed = tree.sealed(facts)
    if data is None or not as_sealed or not rows:
        return
    path, findings = facts["path"], tree.findings
    try:
        file = parquet_file(data)
        _check_columns(file)
        _check_order(tree, file, facts)
        salted = salting(file, SealedTable(None, facts), findings)
        if salted is not None and not leads_to(facts["root"], data, salted, plain_leaves, lambda _: None):
            sentence = "The rows do not hash to the root in the entry, although the bytes are as named there."
            findings.changed(reasons.FILE_ROOT, path, sentence)
    except UnreadableError as error:
        findings.changed(error.reason, path, f"The file's rows cannot be read: {error}.")
    except VerificationError as error:
        findings.changed(error.reason, path, f"A row has no leaf hash ({error}).")


def _check_columns(file: pq.ParquetFile) -> None:
    import pyarrow as pa

    schema = file.schema_arrow
    texts = all(pa.types.is_string(field.type) or pa.types.is_large_string(field.type) for field in schema)
    if sorted(schema.names) != sorted(COLUMNS) or not texts:
        raise UnreadableError("its columns are not those of an identities file", reasons.COLUMNS)


def _check_order(tree: Tree, file: pq.ParquetFile, facts: Mapping[str, Any]) -> None:
    last, rows, in_order = ("", ""), 0, True
    for start, batch in batches(file, _BATCH_ROWS, ["field", "pseudonym"]):
        fields, names = batch["field"].to_pylist(), batch["pseudonym"].to_pylist()
        if None in fields or None in names:
            raise UnreadableError("a row has no field or pseudonym")
        places = list(zip(fields, names, strict=True))
        in_order = in_order and [last, *places] == sorted({last, *places})
        last, rows = max(last, *places), start + len(places)
    if not in_order:
        sentence = "Its rows are not in the order of field and pseudonym, or one stands there twice."
        tree.findings.changed(reasons.ROW_ORDER, facts["path"], sentence)
    if rows != facts["rows"]:
        sentence = f"The file has {rows} rows, the entry says {facts['rows']}."
        tree.findings.changed(reasons.ROW_COUNT, facts["path"], sentence)
