"""What an auditor has to install, and the completeness of the reason codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks import evidence
from tasks.evidence import reasons
from tests.support.shared import REPO

CRYPTOGRAPHY_PARTS = {"_cffi_backend", "_openssl"}
LIST_IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"tasks.evidence.{name}")
print("\\n".join({name.partition(".")[0] for name in sys.modules}))
"""


def test_only_the_standard_library_and_cryptography_are_imported() -> None:
    modules = sorted(path.stem for path in Path(evidence.__path__[0]).glob("[!_]*.py"))
    assert len(modules) >= 13
    program = f"import sys; sys.path[:0] = {sys.path!r}\n{LIST_IMPORTS}"
    command = [sys.executable, "-S", "-c", program, *modules]
    imported = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout.split()
    allowed = sys.stdlib_module_names | {"__main__", "tasks", "cryptography", *CRYPTOGRAPHY_PARTS}
    assert set(imported) - allowed == set()


def test_each_reason_code_has_a_meaning_and_a_next_step() -> None:
    codes = {value for name, value in vars(reasons).items() if name[0].isupper() and isinstance(value, str)}
    assert codes == set(reasons.MEANINGS)
    for code in codes:
        error = reasons.failure(code, "found here")
        assert (error.reason, str(error)) == (code, f"{code}: found here")
        assert error.next_step.endswith(".")
