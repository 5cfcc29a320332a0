from __future__ import annotations

import pytest

from tasks.errors import VerificationError
from tasks.evidence.checkpoint import Checkpoint
from tasks.evidence.note import CosignatureSigner, NoteSigner, make_note
from tasks.evidence.policy import parse_policy
from tests.support.logs import private_key

LOG = NoteSigner("log.example", private_key("log"))
OTHER_LOG = NoteSigner("other.example", private_key("other"))
WITNESSES = [CosignatureSigner(f"w{number}.example", private_key(f"w{number}")) for number in range(5)]
TEXT = Checkpoint("log.example", 5, bytes(32)).text()

LINES = [f"log {LOG.vkey}", *(f"witness W{i} {witness.vkey}" for i, witness in enumerate(WITNESSES))]


def policy_text(*lines: str) -> str:
    return "".join(line + "\n" for line in [*LINES, *lines])


def cosigned(*numbers: int) -> bytes:
    return make_note(TEXT, LOG.sign(TEXT), *(WITNESSES[number].sign(TEXT, 7) for number in numbers))


def accepts(text: str, note: bytes) -> bool:
    policy = parse_policy(text)
    try:
        return policy.open_checkpoint(note).size == 5
    except VerificationError as error:
        if error.reason != "witness-quorum-missing":
            raise
        return False


def test_no_quorum_asks_for_the_log_alone() -> None:
    assert accepts(policy_text("quorum none"), cosigned())


def test_a_quorum_can_be_one_witness() -> None:
    text = policy_text("quorum W1")
    assert accepts(text, cosigned(1))
    assert not accepts(text, cosigned(0, 2))


@pytest.mark.parametrize(
    ("threshold", "numbers", "expected"),
    [
        ("any", (), False),
        ("any", (2,), True),
        ("2", (2,), False),
        ("2", (0, 2), True),
        ("2", (3, 4), False),
        ("all", (0, 1), False),
        ("all", (0, 1, 2), True),
    ],
)
def test_a_group_counts_its_members(threshold: str, numbers: tuple[int, ...], expected: bool) -> None:
    text = policy_text(f"group G {threshold} W0 W1 W2", "quorum G")
    assert accepts(text, cosigned(*numbers)) is expected


@pytest.mark.parametrize(
    ("numbers", "expected"), [((0, 1), False), ((0, 1, 3), True), ((0, 3, 4), False), ((1, 2, 4), True)]
)
def test_groups_of_groups(numbers: tuple[int, ...], expected: bool) -> None:
    text = policy_text(
        "group X 2 W0 W1 W2",
        "# the other organisation",
        "",
        "group Y any W3 W4",
        "group Z all X Y",
        "quorum Z",
    )
    assert accepts(text, cosigned(*numbers)) is expected


def test_one_witness_twice_is_one_witness() -> None:
    assert not accepts(policy_text("group G 2 W0 W1", "quorum G"), cosigned(0, 0))


def test_blanks_comments_urls_and_opaque_names_are_read() -> None:
    log = f" \t# c\u00e4\n\n\tlog {LOG.vkey} https://log.example/\t \n"
    witness = f"witness K\xff {WITNESSES[0].vkey} u\nquorum K\xff\n"
    policy = parse_policy((log + witness).encode("latin-1"))
    assert policy.open_checkpoint(cosigned(0)).origin == "log.example"


def test_a_trusted_log_cannot_sign_for_another_origin() -> None:
    policy = parse_policy(f"log {LOG.vkey}\nlog {OTHER_LOG.vkey}\nquorum none\n")
    with pytest.raises(VerificationError) as error:
        policy.open_checkpoint(make_note(TEXT, OTHER_LOG.sign(TEXT)))
    assert error.value.reason == "checkpoint-unknown-key"


def test_witnesses_alone_are_not_enough() -> None:
    policy = parse_policy(policy_text("quorum W0"))
    with pytest.raises(VerificationError) as error:
        policy.open_checkpoint(make_note(TEXT, WITNESSES[0].sign(TEXT, 7)))
    assert error.value.reason == "checkpoint-unknown-key"


@pytest.mark.parametrize(
    "text",
    [
        "",
        policy_text(),
        policy_text("quorum none")[:-1],
        policy_text("quorum none", "quorum none"),
        policy_text("quorum W9"),
        policy_text("quorum W0 W1"),
        policy_text("group G any", "quorum none"),
        policy_text("group G 0 W0", "quorum none"),
        policy_text("group G 2 W0", "quorum none"),
        policy_text("group G 01 W0", "quorum none"),
        policy_text("group G some W0", "quorum none"),
        policy_text("group G any none", "quorum none"),
        policy_text("group G any W0 W0", "quorum none"),
        policy_text("group G any W0", "group H any W0", "quorum none"),
        policy_text("group G any G", "quorum none"),
        policy_text("group W0 any W1", "quorum none"),
        policy_text("group none any W1", "quorum none"),
        policy_text(LINES[0], "quorum none"),
        policy_text(LINES[1].replace("W0", "X"), "quorum none"),
        policy_text(f"witness X {LOG.vkey}", "quorum none"),
        policy_text(f"log {WITNESSES[0].vkey}", "quorum none"),
        policy_text("QUORUM none"),
        policy_text("quorum none").replace("\n", "\r\n"),
        policy_text("quorum\u00a0none"),
        policy_text("#" * (1 << 16), "quorum none"),
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(VerificationError) as error:
        parse_policy(text)
    assert error.value.reason == "malformed-policy"
