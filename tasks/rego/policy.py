"""A Rego policy: one file, asked once each different question.

rego-cpp gives "undefined" for a builtin that it lacks and for one that fails, and a policy that is undefined says
nothing at all. So the compiled plan may call only builtins of a short list, all of which this build has; errors
of builtins are errors; and undefined is denied. All builtins of the list are functions of their arguments alone:
equal questions have equal answers, at any time, on any machine, and an auditor can ask again.

Language: https://www.openpolicyagent.org/docs/policy-language
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tasks.errors import ContractError, UsageError

PACKAGE: Final = "indelible.redaction"
RULE: Final = "treatment"
MAX_POLICY_BYTES: Final = 1 << 18
TIME_LIMIT_S: Final = 60
BUILTINS: Final = frozenset(
    {
        "plus", "minus", "mul", "div", "rem", "equal", "neq", "lt", "lte", "gt", "gte", "and", "or",
        "internal.member_2", "internal.member_3", "startswith", "endswith", "contains", "lower", "upper",
        "indexof", "substring", "split", "concat", "replace", "trim", "trim_left", "trim_right", "trim_prefix",
        "trim_suffix", "trim_space", "regex.match", "count", "object.get", "object.keys", "array.concat",
        "array.slice", "union", "intersection", "is_string", "is_null",
    }
)  # fmt: skip
_ENTRYPOINT: Final = f"{PACKAGE.replace('.', '/')}/{RULE}"
_PACKAGE_LINE: Final = re.compile(rf"^package\s+{re.escape(PACKAGE)}\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Question:
    """What a policy is asked, and its `input`: of one field, never of a row.

    Attributes:
        source: of the contract.
        field: column name.
        type: wire type, as in the contract's `Field`.
        classification: as in the contract, "" when it has none.
        treatment: what the contract says.
        tenant: whose deployment this is.
        purpose: what the records are sealed for.
    """

    source: str
    field: str
    type: str
    classification: str
    treatment: str
    tenant: str
    purpose: str


class Policy:
    """A policy that compiles and calls nothing that it may not.

    Args:
        document: the file.
        name: what to call it in messages.

    Attributes:
        document: the bytes, as they are sealed.
        sha256: their hex digest.
        name: as given.

    Raises:
        ContractError: it is no policy, has no rule `treatment`, or calls a builtin that is not allowed.
        UsageError: the library is not installed.
    """

    def __init__(self, document: bytes, name: str) -> None:
        self.document, self.name = document, name
        self.sha256 = hashlib.sha256(document).hexdigest()
        self._answers: dict[Question, object] = {}
        self._text = self._read()
        called = self._evaluate([])
        if refused := sorted({*called["called"]} - BUILTINS | {*called["lacking"]}):
            raise self._refusal(f"calls {', '.join(refused)}; allowed are: {', '.join(sorted(BUILTINS))}")

    def answers(self, questions: Sequence[Question]) -> list[object]:
        """What the policy says to each: any JSON value, or None when it says nothing. Asked once, then remembered.

        Raises:
            ContractError: it fails: two rules give different answers, a builtin cannot take its argument, or there
                is no end to it.
        """
        new = [question for question in dict.fromkeys(questions) if question not in self._answers]
        if new:
            found = self._evaluate([asdict(question) for question in new])
            if "failed" in found:
                failed = new[found["failed"]]
                raise self._refusal(
                    f"fails for {failed.source}.{failed.field}: two rules give different answers,"
                    " or a builtin cannot take its argument"
                )
            self._answers |= {q: a[0] if a else None for q, a in zip(new, found["answers"], strict=True)}
        return [self._answers[question] for question in questions]

    def _read(self) -> str:
        if len(self.document) > MAX_POLICY_BYTES:
            raise self._refusal(f"has {len(self.document)} bytes, more than {MAX_POLICY_BYTES}")
        try:
            text = self.document.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._refusal("is not UTF-8") from error
        if _PACKAGE_LINE.search(text) is None:
            raise self._refusal(f"has no line `package {PACKAGE}`")
        return text

    def _evaluate(self, questions: list[dict[str, str]]) -> dict[str, Any]:
        if find_spec("regopy") is None:
            raise UsageError("a Rego policy needs regopy", next_step="Install `indelible[rego]`.")
        program = Path(__file__).with_name("interpreter.py")
        asked = {"entrypoint": _ENTRYPOINT, "policy": self._text, "questions": questions}
        try:
            run = subprocess.run(
                [sys.executable, "-I", str(program)],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT_S,
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise self._refusal(f"has not answered after {TIME_LIMIT_S} s") from error
        except subprocess.CalledProcessError as error:
            raise self._refusal("makes the interpreter break down") from error
        found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        if "refused" in found:
            raise self._refusal(found["refused"])
        return found

    def _refusal(self, reason: str) -> ContractError:
        return ContractError(
            f"the policy {self.name} {reason}",
            next_step="Correct it; infra/docs/privacy.md says what a policy may do.",
        )


def load_policy(path: Path) -> Policy:
    """Read and compile a policy.

    Raises:
        UsageError: there is no such file.
        ContractError: it is refused; see `Policy`.
    """
    try:
        document = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the policy {path} cannot be read", next_step="Correct [policy] file in indelible.toml."
        ) from error
    return Policy(document, path.name)
