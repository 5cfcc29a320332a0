"""A Rego policy: one file, compiled once, asked once for each different question.

rego-cpp gives "undefined" for a builtin that it lacks and for one that fails, and a policy that is undefined says
nothing at all. So the compiled plan must call only builtins of a short list, all of which this build has; errors
of builtins are errors; and undefined is denied. All builtins of the list are functions of their arguments alone:
equal questions have equal answers, at any time, on any machine, and an auditor can ask again.

Language: https://www.openpolicyagent.org/docs/policy-language
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tasks.errors import ContractError, UsageError

PACKAGE: Final = "indelible.redaction"
RULE: Final = "treatment"
MAX_POLICY_BYTES: Final = 1 << 18
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
    """A compiled policy.

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
        try:
            import regopy
        except ModuleNotFoundError as error:
            raise UsageError("a Rego policy needs regopy", next_step="Install `indelible[rego]`.") from error
        self.document, self.name = document, name
        self.sha256 = hashlib.sha256(document).hexdigest()
        self._failures = (regopy.RegoError, ValueError)  # ValueError: an error message where JSON should be
        self._interpreter = regopy.Interpreter()
        self._interpreter.strict_built_in_errors = True
        self._answers: dict[Question, object] = {}
        self._bundle = self._compile()
        self._check_plan()

    def answer(self, question: Question) -> object:
        """What the policy says: any JSON value, or None when it says nothing. Asked once, then remembered.

        Raises:
            ContractError: it fails: two rules give different answers, or a builtin cannot take its argument.
        """
        if question not in self._answers:
            self._answers[question] = self._ask(question)
        return self._answers[question]

    def _ask(self, question: Question) -> object:
        with self._refusing(f"fails for {question.source}.{question.field}"):
            self._interpreter.set_input(asdict(question))
            output = self._interpreter.query_bundle_entrypoint(self._bundle, _ENTRYPOINT)
            if not output.ok():
                raise ValueError
            found: list[Any] = output.results[0].expressions
        return found[0] if found else None

    def _compile(self) -> Any:
        if len(self.document) > MAX_POLICY_BYTES:
            raise self._refusal(f"has {len(self.document)} bytes, more than {MAX_POLICY_BYTES}")
        with self._refusing("is not UTF-8"):
            text = self.document.decode("utf-8")
        if _PACKAGE_LINE.search(text) is None:
            raise self._refusal(f"has no line `package {PACKAGE}`")
        with self._refusing("does not compile"):
            self._interpreter.add_module("policy.rego", text)
            bundle = self._interpreter.build(None, [_ENTRYPOINT])
            if not bundle.ok():
                raise ValueError
        return bundle

    def _check_plan(self) -> None:
        """Walk the compiled plan: what it calls is a function of the policy or a builtin of the list.

        The plan's own list of builtins leaves out those that this build does not have.
        """
        with TemporaryDirectory(prefix="indelible-rego-") as directory:
            target = Path(directory) / "bundle"
            self._interpreter.save_bundle(str(target), self._bundle)
            plan = json.loads((target / "plan.json").read_bytes())
        own = {function["name"] for function in plan["funcs"]["funcs"]}
        if f"g0.data.{PACKAGE}.{RULE}" not in own:
            raise self._refusal(f"has no rule `{RULE}`")
        called = {builtin["name"] for builtin in plan["static"].get("builtin_funcs") or []} | set(
            _calls(plan)
        )
        if refused := sorted(name for name in called - own if not self._has(name)):
            raise self._refusal(f"calls {', '.join(refused)}; allowed are: {', '.join(sorted(BUILTINS))}")

    def _has(self, name: str) -> bool:
        return name in BUILTINS and self._interpreter.is_builtin(name)

    @contextmanager
    def _refusing(self, reason: str) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise self._refusal(reason) from error

    def _refusal(self, reason: str) -> ContractError:
        return ContractError(
            f"the policy {self.name} {reason}",
            next_step="Correct it; infra/docs/privacy.md says what a policy may do.",
        )


def _calls(node: Any) -> Iterator[str]:
    """Names of all functions that a part of a plan calls; of calls by a computed name, the kind of statement."""
    if isinstance(node, list):
        for item in node:
            yield from _calls(item)
    elif isinstance(node, dict):
        if node.get("type") == "CallStmt":
            yield node["stmt"]["func"]
        elif node.get("type") == "CallDynamicStmt":
            yield "a function by a computed name"
        for item in node.values():
            yield from _calls(item)


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
