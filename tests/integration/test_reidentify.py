"""Pseudonyms are turned back when two officers agree, for a purpose and a time, and when it is on record: not else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import flows.officers
from flows import evidence, reidentify
from flows.access import seal_access
from flows.holding import Order
from flows.officers import withdraw
from flows.reidentify import Release, Signed
from tasks.errors import IndelibleError, KeyUnavailableError, NotFoundError, StoreRefusedError, UsageError
from tasks.evidence import paths
from tasks.evidence.access_entry import signed_bytes
from tasks.keyring import officers
from tasks.keyring.officers import OfficerKey
from tasks.subjects.destruction import Cause, destroy_subject
from tests.integration.test_identities import ALICE
from tests.integration.test_subject_access import accesses, make
from tests.support.officers import enrol


class Office:
    """A deployment with records of Alice, and three officers."""

    def __init__(self, base: Path) -> None:
        self.runtime, self.store = make(base, 0)
        self.keys = {
            name: officers.create(base / f"{name}.pem", name, None) for name in ("anna", "otto", "uma")
        }
        for name in self.keys:
            enrol(self.runtime, self.keys, name)
        data = pl.concat(
            pl.read_parquet(self.store.read(info.path)).select("_line", "user_email", "client_ip")
            for info in self.store.list(paths.DATA_PREFIX)
        )
        self.alice = data.filter(_line=1)["user_email"].item()
        self.bob = data.filter(_line=3)["user_email"].item()

    def request(self, *pseudonyms: str, **changes: Any) -> Signed:
        now = datetime.now(UTC)
        asked = {
            "purpose": "fraud",
            "case": "2026-17",
            "requested_by": "ida",
            "expires": now + timedelta(hours=1),
        }
        return reidentify.make_request(
            "audit.example/test", "app", pseudonyms or [self.alice], **{**asked, "now": now, **changes}
        )

    def signed(self, request: Signed, *names: str) -> Signed:
        for name in names or ("anna", "otto"):
            request = reidentify.sign(request, self.keys[name], datetime.now(UTC))
        return request

    def refused(self, request: Signed, why: str, kind: type[IndelibleError] = UsageError) -> None:
        """Nothing is released, and nothing is sealed of it."""
        before = accesses(self.runtime)
        with pytest.raises(kind, match=why) as error:
            reidentify.release(self.runtime, request)
        assert ALICE not in str(error.value)
        assert self.alice not in str(error.value)
        assert accesses(self.runtime) == before


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def test_a_request_in_which_somebody_is_named_is_not_sealed(office: Office) -> None:
    with pytest.raises(UsageError, match=r"the case holds .*\(email\)") as error:
        office.request(case=f"about {ALICE}")
    assert ALICE not in str(error.value)
    written = Signed({**office.request().request, "purpose": f"to find {ALICE}"})
    office.refused(office.signed(written), r"the purpose holds .*\(email\)")


def opened(release: Release | list[dict[str, str]], key: OfficerKey) -> Any:
    assert isinstance(release, Release)
    return reidentify.open_release(release, key)


def test_two_officers_together_see_the_values_and_neither_alone(office: Office) -> None:
    request = reidentify.parse_signed(office.signed(office.request(), "otto", "uma").encode())
    released = reidentify.release(office.runtime, request)
    assert ALICE.encode() not in released.encode()
    [entry] = [entry for entry in accesses(office.runtime) if entry["request"] == request.request]
    assert [officer["name"] for officer in entry["officers"]] == ["otto", "uma"]
    assert ALICE not in json.dumps(entry)
    assert evidence.verify_store(office.runtime).ok
    with office.runtime.catalog() as catalog:
        catalog.create_views(office.runtime.contracts())
        seen = catalog.connection.execute(
            'SELECT purpose, "case", requested_by, source, pseudonyms, officers, records FROM accesses'
        ).fetchall()
    assert ("fraud", "2026-17", "ida", "app", [office.alice], ["otto", "uma"], None) in seen

    again = reidentify.parse_release(released.encode())
    for name in ("uma", "anna"):
        with pytest.raises(KeyUnavailableError, match="another officer"):
            opened(again, office.keys[name])
    half = opened(again, office.keys["otto"])
    assert ALICE.encode() not in half.encode() + half.wrapped
    with pytest.raises(KeyUnavailableError):
        opened(half, office.keys["otto"])
    values = opened(half, office.keys["uma"])
    assert values == [{"column": "user_email", "pseudonym": office.alice, "value": ALICE}]
    with pytest.raises(KeyUnavailableError):
        opened(replace(again, request="0" * 64), office.keys["otto"])


def test_the_access_is_under_a_stored_checkpoint_before_a_value_is_decrypted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = []

    def decrypt(*_: Any) -> str:
        sealed.append(evidence.verify_store(office.runtime).shards[-1].size)
        return "value"

    monkeypatch.setattr(reidentify, "decrypt_identity", decrypt)
    with office.runtime.catalog() as catalog:
        [(before,)] = catalog.connection.execute("SELECT count(*) FROM entries").fetchall()
    reidentify.release(office.runtime, office.signed(office.request()))
    assert sealed == [before + 1]


@pytest.mark.parametrize("refused", ["/seq/", "/checkpoints/"], ids=["entry", "checkpoint"])
def test_nothing_is_released_when_it_cannot_be_sealed(
    office: Office, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    request = office.signed(office.request())
    monkeypatch.setattr(reidentify, "decrypt_identity", lambda *_: pytest.fail("a value was decrypted"))
    office.store.refused = refused
    try:
        with pytest.raises(StoreRefusedError):
            reidentify.release(office.runtime, request)
    finally:
        office.store.refused = ""


def test_a_worker_that_signs_no_log_releases_nothing(office: Office) -> None:
    settings = office.runtime.settings
    sequencer = settings.sequencer.model_copy(update={"worker": "one"})
    worker = replace(office.runtime, settings=settings.model_copy(update={"sequencer": sequencer}))
    with pytest.raises(StoreRefusedError, match="signs no log"):
        reidentify.release(worker, office.signed(office.request()))


def test_one_signature_or_one_officer_twice_is_refused(office: Office) -> None:
    one = office.signed(office.request(), "anna")
    office.refused(office.request(), "0 of 2 officers")
    office.refused(one, "1 of 2 officers")
    office.refused(replace(one, signatures=one.signatures * 2), "1 of 2 officers")
    with pytest.raises(UsageError, match="anna has signed already"):
        office.signed(one, "anna")
    with pytest.raises(UsageError, match="two officers have signed"):
        office.signed(one, "otto", "uma")


def test_who_asks_is_not_one_of_the_two(office: Office) -> None:
    request = office.request(requested_by="Anna")
    with pytest.raises(UsageError, match="Anna asked"):
        office.signed(request, "anna")
    forged = office.signed(office.request(), "anna", "otto")
    named = Signed({**forged.request, "requested_by": "otto"}, ())
    key = office.keys["otto"].signing
    signature = key.sign(signed_bytes(named.request)).hex()
    mine = {"key": office.keys["otto"].sign_key, "name": "otto", "signature": signature}
    both = (*office.signed(named, "anna").signatures, mine)
    office.refused(replace(named, signatures=both), "otto asked")  # type: ignore[arg-type]


def test_only_the_pseudonyms_that_were_signed_are_turned_back(office: Office) -> None:
    signed = office.signed(office.request())
    other = Signed({**signed.request, "pseudonyms": [office.bob]}, signed.signatures)
    office.refused(other, "not over this request")


def test_keys_that_are_not_enrolled_count_for_nothing(office: Office, tmp_path: Path) -> None:
    stranger = officers.create(tmp_path / "x.pem", "uma", b"secret")
    half = office.signed(office.request(), "anna")
    office.refused(reidentify.sign(half, stranger, datetime.now(UTC)), "not that of an officer")
    signed = office.signed(office.request())
    renamed = ({**signed.signatures[0], "name": "uma"}, signed.signatures[1])
    office.refused(replace(signed, signatures=renamed), "not that of an officer")  # type: ignore[arg-type]
    assert officers.read(tmp_path / "x.pem", b"secret").sign_key == stranger.sign_key
    with pytest.raises(KeyUnavailableError, match="passphrase"):
        officers.read(tmp_path / "x.pem", None)


P = 2**255 - 19
# All u of low order on Curve25519 and its twist, and those that are equal to one of them modulo P.
LOW_ORDER = (
    0,
    1,
    P - 1,
    P,
    P + 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_a_key_for_which_nothing_can_be_wrapped_is_not_enrolled(office: Office, point: int) -> None:
    open_key = point.to_bytes(32, "little").hex()
    asked = flows.officers.request(
        office.runtime, "zoe", "ab" * 32, "cd" * 32, requested_by="ida", reason="board 3"
    )
    with pytest.raises(UsageError, match="no X25519 public key"):
        flows.officers.request(
            office.runtime, "zoe", "ab" * 32, open_key, requested_by="ida", reason="board 3"
        )
    by_hand = replace(asked, statement={**asked.statement, "open_key": open_key})
    with pytest.raises(UsageError, match="no X25519 public key"):
        flows.officers.enrol(office.runtime, by_hand.sign(office.keys["anna"]))
    assert "zoe" not in {one.name for one in flows.officers.enrolments(office.runtime)}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("sign_key", "01" + "00" * 31, "anybody can sign"),
        ("reason", "kim.doe@example.org", "the reason holds"),
    ],
)
def test_a_request_that_was_edited_is_checked_again(office: Office, field: str, value: str, why: str) -> None:
    asked = flows.officers.request(
        office.runtime, "zoe", "ab" * 32, "cd" * 32, requested_by="ida", reason="board 3"
    )
    by_hand = replace(asked, statement={**asked.statement, field: value})
    with pytest.raises(UsageError, match=why):
        flows.officers.enrol(office.runtime, by_hand.sign(office.keys["anna"]))


def test_who_was_withdrawn_before_the_release_signs_for_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    request = office.signed(office.request(), "anna", "otto")
    withdraw(office.runtime, Order("carla", "dennis", "otto left"), "otto")
    office.refused(request, "not that of an officer who is enrolled")
    assert reidentify.release(office.runtime, office.signed(office.request(), "anna", "uma")).waiting
    assert evidence.verify_store(office.runtime).ok
    with office.runtime.catalog() as catalog:
        catalog.create_views(office.runtime.contracts())
        seen = catalog.connection.execute(
            "SELECT name, approver, signed, withdrawn_at IS NULL FROM officers ORDER BY entry"
        ).fetchall()
    assert seen == [
        ("anna", "carla", False, True),
        ("otto", "anna", True, False),
        ("uma", "anna", True, True),
    ]


def test_who_is_withdrawn_at_the_last_moment_signs_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path / "office")
    request = office.signed(office.request(), "anna", "otto")

    def overtaken(*args: Any) -> str:
        withdraw(office.runtime, Order("carla", "dennis", "otto left"), "otto")
        return seal_access(*args)

    monkeypatch.setattr(reidentify, "seal_access", overtaken)
    monkeypatch.setattr(reidentify, "decrypt_identity", lambda *_: pytest.fail("a value was decrypted"))
    office.refused(request, "not that of an officer who is enrolled")


def test_a_request_has_its_time_and_its_deployment(office: Office) -> None:
    now = datetime.now(UTC)
    past = now - timedelta(days=2)
    old = office.request(now=past, expires=past + timedelta(days=1))
    with pytest.raises(UsageError, match="was in force"):
        office.signed(old)
    for name in ("anna", "otto"):
        old = reidentify.sign(old, office.keys[name], past)
    office.refused(old, "was in force")
    for expires in (now - timedelta(seconds=1), now + timedelta(days=31)):
        with pytest.raises(UsageError, match="within 30 days"):
            office.request(expires=expires)
    there = reidentify.make_request(
        "audit.example/other", "app", [office.alice], purpose="x", case="x", requested_by="ida",
        expires=now + timedelta(hours=1), now=now,
    )  # fmt: skip
    office.refused(office.signed(there), "another deployment")


def test_a_pseudonym_whose_value_is_not_kept_is_refused(office: Office) -> None:
    office.refused(
        office.signed(office.request("s_" + "0" * 32)), "1 of 1 pseudonyms are not kept", NotFoundError
    )


def test_who_was_erased_is_not_turned_back(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    request = office.signed(office.request(office.alice, office.bob))
    [subject] = office.runtime.keyring.subject_ids([ALICE])
    destroy_subject(office.runtime.key_table, subject, Cause("anna", "otto", "Art. 17"))
    office.refused(request, "the person was erased", KeyUnavailableError)
    rest = reidentify.release(office.runtime, office.signed(office.request(office.bob)))
    assert rest.waiting == ("anna", "otto")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"request":1,"signatures":[]}', b'{"format":"x"}'])
def test_files_that_are_none_are_refused(data: bytes) -> None:
    for parse in (reidentify.parse_signed, reidentify.parse_release):
        with pytest.raises(UsageError):
            parse(data)
