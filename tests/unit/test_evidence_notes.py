from __future__ import annotations

from base64 import b64encode

import pytest

from tasks.errors import VerificationError
from tasks.evidence.checkpoint import Checkpoint, parse_checkpoint
from tasks.evidence.note import (
    CosignatureSigner,
    CosignatureVerifier,
    NoteSigner,
    NoteVerifier,
    make_note,
    open_note,
)
from tests.support.logs import private_key

LOG = NoteSigner("log.example", private_key("log"))
WITNESS = CosignatureSigner("w.example", private_key("witness"))
STRANGER = NoteSigner("stranger.example", private_key("stranger"))
TEXT = Checkpoint("log.example", 5, bytes(32)).text()
SIGNED = make_note(TEXT, LOG.sign(TEXT))

RETYPED = f"log.example+{LOG.verifier.key_id.hex()}+" + b64encode(b"\x04" + LOG.verifier.public_key).decode()


def reason(note: bytes) -> str:
    with pytest.raises(VerificationError) as error:
        open_note(note, [LOG.verifier, WITNESS.verifier])
    return error.value.reason


def test_opening_tells_the_text_and_who_signed_and_ignores_strangers() -> None:
    note = make_note(TEXT, STRANGER.sign(TEXT), WITNESS.sign(TEXT, 7), LOG.sign(TEXT), LOG.sign(TEXT))
    text, signers = open_note(note, [LOG.verifier, WITNESS.verifier])
    assert text == TEXT
    assert signers == (WITNESS.verifier, LOG.verifier)


def test_text_may_hold_empty_lines() -> None:
    text = "a\n\nb\n"
    assert open_note(make_note(text, LOG.sign(text)), [LOG.verifier]).text == text


def test_a_note_that_only_strangers_signed_is_refused() -> None:
    assert reason(make_note(TEXT, STRANGER.sign(TEXT))) == "checkpoint-unknown-key"


@pytest.mark.parametrize("line", [LOG.sign(TEXT + "x"), WITNESS.sign("x", 7)])
def test_one_bad_signature_of_a_known_key_condemns_the_note(line: str) -> None:
    assert reason(make_note(TEXT, LOG.sign(TEXT), line)) == "checkpoint-signature-bad"


def test_a_cosignature_covers_its_time() -> None:
    signed_at_7, signed_at_8 = (WITNESS.sign(TEXT, seconds) for seconds in (7, 8))
    assert signed_at_7 != signed_at_8
    mixed = bytearray(make_note(TEXT, LOG.sign(TEXT), signed_at_7))
    position = mixed.rindex(b"w.example ") + len(b"w.example ") + 14
    mixed[position] = ord("B")
    assert reason(bytes(mixed)) == "checkpoint-signature-bad"


def test_one_key_for_two_purposes_does_not_confuse_them() -> None:
    log = NoteSigner("x.example", private_key("shared"))
    witness = CosignatureSigner("x.example", private_key("shared"))
    assert log.verifier.key_id != witness.verifier.key_id
    note = make_note(TEXT, witness.sign(TEXT, 1))
    with pytest.raises(VerificationError):
        open_note(note, [log.verifier])


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        TEXT.encode(),
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED.replace(b"\n\n", b"\n"),
        SIGNED.replace(b"log.example\n5", b"log.example\r\n5"),
        SIGNED.replace("\u2014".encode(), b"-"),
        SIGNED.replace(b"\xe2\x80\x94", b"\xe2\x80\xff"),
        SIGNED.replace("\u2014 log.example ".encode(), "\u2014 log+example ".encode()),
        SIGNED.replace("\u2014 log.example ".encode(), "\u2014 log.example  ".encode()),
        SIGNED.replace(b"=\n", b"\n"),
        make_note(TEXT, "\u2014 log.example AAAA\n"),
        make_note(TEXT, *[STRANGER.sign(TEXT)] * 101),
        make_note("x" * (1 << 20) + "\n", LOG.sign("x")),
    ],
)
def test_what_is_no_note_is_refused(note: bytes) -> None:
    assert reason(note) == "malformed-note"


def test_vkeys_come_back() -> None:
    assert NoteVerifier.from_vkey(LOG.vkey) == LOG.verifier
    assert CosignatureVerifier.from_vkey(WITNESS.vkey) == WITNESS.verifier
    assert NoteVerifier.from_vkey(LOG.vkey).vkey == LOG.vkey


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a+b",
        WITNESS.vkey,
        LOG.vkey.replace("log", "lag"),
        LOG.vkey.replace("log.example", "log example"),
        LOG.vkey[:-1],
        LOG.vkey + "\n",
        LOG.vkey.upper(),
        "+" + LOG.vkey.split("+", 1)[1],
        "n+00000000+",
        RETYPED,
    ],
)
def test_what_is_no_log_key_is_refused(vkey: str) -> None:
    with pytest.raises(VerificationError) as error:
        NoteVerifier.from_vkey(vkey)
    assert error.value.reason == "malformed-key"


def test_a_signer_needs_a_name_that_a_note_can_hold() -> None:
    for name in ("", "a b", "a+b", "a\u3000b"):
        with pytest.raises(VerificationError):
            NoteSigner(name, private_key("log"))


def test_checkpoints_come_back() -> None:
    checkpoint = Checkpoint("audit.example/2026", 2**63 - 1, bytes(range(32)))
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "extension\n",
        TEXT + "extension",
        TEXT + "\n",
        "\n" + TEXT.split("\n", 1)[1],
        TEXT.replace("\n5\n", "\n05\n"),
        TEXT.replace("\n5\n", "\n+5\n"),
        TEXT.replace("\n5\n", "\n-5\n"),
        TEXT.replace("\n5\n", "\n\u0665\n"),
        TEXT.replace("\n5\n", f"\n{2**63}\n"),
        TEXT.replace("\n5\n", "\n" + "9" * 5000 + "\n"),
        TEXT.replace("A=\n", "B=\n"),
        TEXT.replace("AAAA", "", 1),
        TEXT.replace("AAAA", "AA A", 1),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(VerificationError) as error:
        parse_checkpoint(text)
    assert error.value.reason == "malformed-checkpoint"
