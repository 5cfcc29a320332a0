"""The Rego interpreter, run as a program of its own: a policy and questions in, what it calls and answers out.

rego-cpp is native code. In a process beside the one that delivers, an abort or an endless evaluation of it costs an
error message and nothing else; in the same process, libraries that bring C++ runtimes of their own made it abort.
This file imports nothing of Indelible, and is started by its path (`tasks.rego.policy`).

Standard input: `{"entrypoint", "policy", "questions"}`. Last line of standard output: `{"answers"}`, an `[answer]`
or, where the policy says nothing, `[]`, for each question; `{"failed"}`, the number of the question that it fails
for; or `{"refused"}`. With either of the first two come `called`, the functions that are called and not defined in the
policy, and `lacking`, those of them that this build does not have.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import regopy

# regopy gives what is no JSON to its JSON parser when an evaluation fails.
FAILURES = (regopy.RegoError, ValueError)


def evaluate(policy: str, entrypoint: str, questions: list[Any]) -> dict[str, Any]:
    """Compile, look at the compiled plan, ask.

    Args:
        policy: its text.
        entrypoint: the rule, for example `example/allow`.
        questions: an `input` each.
    """
    interpreter = regopy.Interpreter()
    interpreter.strict_built_in_errors = True
    try:
        interpreter.add_module("policy.rego", policy)
        bundle = interpreter.build(None, [entrypoint])
    except FAILURES:
        return {"refused": "does not compile"}
    if not bundle.ok():
        return {"refused": "does not compile"}
    with TemporaryDirectory(prefix="indelible-rego-") as directory:
        target = Path(directory) / "bundle"
        interpreter.save_bundle(str(target), bundle)
        plan = json.loads((target / "plan.json").read_bytes())
    own = {function["name"] for function in plan["funcs"]["funcs"]}
    rule = entrypoint.replace("/", ".")
    if f"g0.data.{rule}" not in own:
        return {"refused": f"has no rule {rule}"}
    # The plan's own list of builtins leaves out those that this build does not have.
    listed = {builtin["name"] for builtin in plan["static"].get("builtin_funcs") or []}
    called = sorted((listed | set(calls(plan))) - own)
    seen = {"called": called, "lacking": [name for name in called if not interpreter.is_builtin(name)]}
    answers: list[Any] = []
    for number, question in enumerate(questions):
        try:
            interpreter.set_input(question)
            output = interpreter.query_bundle_entrypoint(bundle, entrypoint)
        except FAILURES:
            return {**seen, "failed": number}
        if not output.ok():
            return {**seen, "failed": number}
        answers.append(output.results[0].expressions[:1])
    return {**seen, "answers": answers}


def calls(node: Any) -> Iterator[str]:
    """Names of all functions that a part of a plan calls; for calls by a computed name, that there is one."""
    if isinstance(node, list):
        for item in node:
            yield from calls(item)
    elif isinstance(node, dict):
        if node.get("type") == "CallStmt":
            yield node["stmt"]["func"]
        elif node.get("type") == "CallDynamicStmt":
            yield "a function by a computed name"
        for item in node.values():
            yield from calls(item)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    result = evaluate(asked["policy"], asked["entrypoint"], asked["questions"])
    print(f"\n{json.dumps(result)}")  # after whatever rego-cpp had to say
