"""A Rego policy tightens treatments; whatever is in doubt is refused when contracts are loaded, or dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.contracts import Contract, load_contract
from tasks.contracts.model import Treatment
from tasks.errors import ContractError, UsageError
from tasks.rego import Policy, load_policy, tighten
from tasks.rego.policy import MAX_POLICY_BYTES, Question
from tasks.rego.tighten import TIGHTER
from tests.support import contracts

HEAD = "package indelible.redaction\nimport rego.v1\n"
SAME = "treatment := input.treatment"
ASKED = Question("gateway", "user_agent", "string", "personal", "scan", "default", "audit")
EXAMPLE = files("data_contracts").joinpath("policies", "example.rego").read_bytes()


def fresh(text: str) -> Policy:
    return Policy((HEAD + text).encode(), "test.rego")


policy = cache(fresh)


def tightened(text: str, contract: Contract | None = None) -> Contract:
    return tighten(contract or contracts.build(contracts.document()), policy(text), "default", "audit")


def only(field: str, answer: str) -> str:
    """A policy that answers for one field, and leaves the others as they are."""
    return f'treatment := {answer} if input.field == "{field}"\n{SAME} if input.field != "{field}"'


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('treatment := "drop"', "drop"),
        (SAME, "scan"),
        ('treatment := "pseudonym" if input.classification == "personal"', "pseudonym"),
        ('treatment := "drop" if input.classification == "secret"', None),
        ('treatment := "mask" if input.field in {"user_agent", "referer"}', "mask"),
        ('treatment := "drop" if { some p in ["user", "agent"]; startswith(input.field, p) }', "drop"),
        ('treatment := "drop" if { every p in ["user", "agent"] { contains(input.field, p) } }', "drop"),
        ('treatment := "drop" if lower(input.tenant) == "DEFAULT"', None),
        ('treatment := "drop" if regex.match("^user_", input.field)', "drop"),
        ('default treatment := "drop"\ntreatment := "keep" if input.purpose == "other"', "drop"),
        ('short(x) := substring(x, 0, 4)\ntreatment := "drop" if short(input.field) == "user"', "drop"),
        ("treatment := input.no_such_key", None),
        ("treatment := null", None),
    ],
)
def test_golden_answers(text: str, answer: str | None) -> None:
    assert policy(text).answers([ASKED]) == [answer]


@pytest.mark.parametrize(
    ("tenant", "purpose", "changed"),
    [
        ("default", "audit", {}),
        ("eu-north", "audit", {"referer": "drop", "user_agent": "drop"}),
        (
            "default",
            "statistics",
            dict.fromkeys(
                ("client_addr", "ident", "user", "user_arn", "caller", "principal_id", "request", "path",
                 "referer", "user_agent", "error_message", "api_key_id", "api_key_name", "cognito_identity_id",
                 "cognito_authentication_provider", "client_certificate"),
                "drop",
            ),
        ),
    ],
)  # fmt: skip
def test_the_example_on_a_shipped_contract(tenant: str, purpose: str, changed: dict[str, str]) -> None:
    before = load_contract("gateway")
    after = tighten(before, Policy(EXAMPLE, "example.rego"), tenant, purpose)
    pairs = zip(before.fields, after.fields, strict=True)
    assert {new.name: new.treatment for old, new in pairs if new.treatment != old.treatment} == changed
    assert set(after.personal_columns) >= set(before.personal_columns)
    assert after.policy is not None
    assert (after.policy.document, after.policy.tenant, after.policy.purpose) == (EXAMPLE, tenant, purpose)
    assert (after.document, after.sha256) == (before.document, before.sha256)


@pytest.mark.parametrize(
    "call",
    [
        "http.send({})", "time.now_ns()", "rand.intn(\"x\", 2)", "opa.runtime()", "crypto.sha256(input.field)",
        "io.jwt.decode(\"x\")", "walk(input)", "numbers.range(1, 1000000000)", "net.lookup_ip_addr(\"x\")",
    ],
)  # fmt: skip
def test_a_builtin_that_is_not_allowed_is_refused_when_the_policy_is_loaded(call: str) -> None:
    name = call.partition("(")[0]
    with pytest.raises(ContractError, match=rf"calls {name}; allowed"):
        policy(f'treatment := "drop" if {{ x := {call}; x == 1 }}\n{SAME} if input.field == "never"')


@pytest.mark.parametrize(
    "document",
    [
        b"", b"\xff\xfe", b"package other\ntreatment := 1", (HEAD + "other := 1").encode(),
        (HEAD + "treatment := ").encode(), (HEAD + "treatment := no.such.builtin(input.field)").encode(),
        (HEAD + SAME + "\n#" + "x" * MAX_POLICY_BYTES).encode(),
        b"# package indelible.redaction\npackage other\ntreatment := 1",
    ],
    ids=["empty", "bytes", "package", "rule", "syntax", "unknown builtin", "size", "package in a comment"],
)  # fmt: skip
def test_what_is_no_policy_is_refused_when_it_is_loaded(document: bytes) -> None:
    with pytest.raises(ContractError, match=r"policy bad\.rego"):
        Policy(document, "bad.rego")


@pytest.mark.parametrize(
    "text",
    [
        'treatment := "drop" if input.type == "string"\ntreatment := "mask" if input.type == "string"',
        'treatment := "drop" if count(5) == 1',
    ],
    ids=["two answers", "wrong argument"],
)
def test_a_policy_that_fails_for_a_field_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match=r"fails for small\."):
        tightened(text)


ANSWERS = {
    '"keep"': "the contract says pseudonym",
    '"scan"': "the contract says pseudonym",
    '"encrypt"': "the contract says pseudonym",
    '"hash"': "no treatment",
    '"DROP"': "no treatment",
    "1": "no treatment",
    "true": "no treatment",
    '["drop"]': "no treatment",
    '{"drop"}': "no treatment",
}


def test_an_answer_that_shows_more_or_is_no_treatment_is_refused() -> None:
    """One policy gives each of them, to another tenant."""
    table = ", ".join(f'"{number}": {answer}' for number, answer in enumerate(ANSWERS))
    mine = fresh(f"answers := {{{table}}}\n{only('user', 'answers[input.tenant]')}")
    for number, reason in enumerate(ANSWERS.values()):
        with pytest.raises(ContractError, match=rf"small\.user: says .*{reason}"):
            tighten(contracts.build(contracts.document()), mine, str(number), "audit")


def test_what_a_policy_does_not_speak_of_is_dropped_and_never_the_time() -> None:
    silent = tightened('treatment := input.treatment if input.field in {"time", "id"}')
    assert silent.field("user").treatment == "drop"
    with pytest.raises(ContractError, match=r"time: says nothing, which is drop: .*must be kept"):
        tightened('treatment := input.treatment if input.field != "time"')


def test_all_answers_that_are_refused_are_named_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        tightened('treatment := "keep"')
    kept = [field.name for field in contracts.build(contracts.document()).fields if field.treatment != "keep"]
    assert len(str(caught.value).splitlines()) == len(kept)


def test_a_treatment_must_fit_the_field() -> None:
    small = contracts.build(contracts.document())
    number = replace(small.field("id"), name="n", type="integer")
    with pytest.raises(ContractError, match=r"small\.n: .*cannot be applied to integer"):
        tightened(only("n", '"scan"'), replace(small, fields=(*small.fields, number)))


def test_a_field_that_becomes_a_pseudonym_has_a_domain_and_the_months_key() -> None:
    field = tightened(only("id", '"pseudonym"')).field("id")
    assert (field.treatment, field.domain, field.key_scope, field.is_personal) == (
        "pseudonym",
        "id",
        "epoch",
        True,
    )
    assert tightened(SAME).field("user") == contracts.build(contracts.document()).field("user")


def test_nothing_that_may_replace_a_treatment_shows_more() -> None:
    """The relation is an order: what replaces a replacement may replace the first, and none goes both ways."""
    treatments = get_args(Treatment)
    assert set(TIGHTER) == set(treatments)
    for first in treatments:
        assert {first, "drop"} <= TIGHTER[first]
        for second in TIGHTER[first]:
            assert TIGHTER[second] <= TIGHTER[first]
            assert first == second or first not in TIGHTER[second]


def test_a_policy_is_asked_once_a_question_and_never_for_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[Any] = Counter()
    mine = fresh(SAME)
    evaluate = mine._evaluate

    def counting(questions: list[dict[str, str]]) -> dict[str, Any]:
        asked.update(tuple(question.items()) for question in questions)
        return evaluate(questions)

    monkeypatch.setattr(mine, "_evaluate", counting)
    contract = load_contract("gateway")
    for _ in range(3):
        for tenant in ("a", "b"):
            assert tighten(contract, mine, tenant, "audit").fields == contract.fields
    assert set(asked.values()) == {1}
    assert len(asked) == 2 * len(contract.fields)


def test_a_policy_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.rego.policy.TIME_LIMIT_S", 0.01)
    with pytest.raises(ContractError, match="has not answered after"):
        fresh(SAME)


def test_a_policy_that_cannot_be_read_is_an_error_of_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.rego cannot be read"):
        load_policy(tmp_path / "gone.rego")
    (tmp_path / "one.rego").write_bytes(EXAMPLE)
    assert load_policy(tmp_path / "one.rego").sha256 == Policy(EXAMPLE, "x").sha256
