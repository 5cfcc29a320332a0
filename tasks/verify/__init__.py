"""Verification: is what lies here what was sealed?

Knows the public format (`data_contracts/delivered/FORMAT.md`) and three read calls, and nothing of how
evidence is written, so it can judge the writer. Imports the standard library, `cryptography` (through
`tasks.evidence`) and, only when rows are read, `pyarrow`: an auditor installs no pipeline.

Put here: checks, the report, readers of copies, the auditor's command. Do not put here: anything that
writes, repairs, reaches a network, or needs a key other than public ones.
"""

from tasks.verify.readers import DirectoryReader, Reader, ZipReader
from tasks.verify.report import Finding, Report, Verdict
from tasks.verify.tree import verify

__all__ = ["DirectoryReader", "Finding", "Reader", "Report", "Verdict", "ZipReader", "verify"]
