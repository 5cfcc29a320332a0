from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import list_sources, load_contract, parse_contract
from tasks.contracts.model import SubjectField
from tasks.errors import ContractError
from tests.support.contracts import SOURCE, build, document, field_of, schema_of, set_property

Change = Callable[[dict[str, Any]], None]


def test_the_shipped_contracts_load() -> None:
    assert list_sources() == ("app", "cloudtrail", "gateway")
    for source in list_sources():
        contract = load_contract(source)
        assert contract.source == source
        assert contract.sha256 == hashlib.sha256(contract.document).hexdigest()
        assert contract.field(contract.time_field).required


def test_a_contract_carries_what_its_document_says() -> None:
    contract = build(document())
    assert [field.name for field in contract.fields] == ["time", "id", "user", "status"]
    assert contract.key == ("id",)
    assert contract.retention_days == 366
    assert contract.threshold_pct == 50.0
    assert contract.landing_include == ("*",)
    assert contract.field("user").domain == "person"
    assert contract.field("id").paths == (("id",),)
    assert {rule.id: rule.sql for rule in contract.rules} == {
        "time.required": '"time" IS NOT NULL',
        "id.pattern": "regexp_matches(\"id\", '^[a-z][0-9]*$')",
        "status.range": '"status" >= 100 AND "status" <= 599',
        "user_or_id": '"user" IS NOT NULL OR id IS NOT NULL',
    }


@pytest.mark.parametrize("drift", ["quarantine", "freeze"])
def test_a_strict_drift_policy_is_a_rule(drift: str) -> None:
    content = document()
    set_property(schema_of(content), "drift", drift)
    assert [rule.id for rule in build(content).rules][-1] == "unknown_field"


def on_field(name: str, /, **properties: Any) -> Change:
    return lambda content: field_of(content, name).update(properties)


def on_custom(name: str, prop: str, value: Any, **more: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        for key, chosen in {prop: value, **more}.items():
            set_property(field_of(content, name), key, chosen)

    return change


def view_of(content: dict[str, Any]) -> dict[str, Any]:
    found = (p["value"] for p in schema_of(content)["customProperties"] if p["property"] == "accessEvents")
    view: dict[str, Any] = next(found)
    return view


def on_schema(prop: str, value: Any) -> Change:
    return lambda content: set_property(schema_of(content), prop, value)


def on_top(prop: str, value: Any) -> Change:
    return lambda content: set_property(content, prop, value)


def quality(**changes: Any) -> Change:
    return lambda content: schema_of(content)["quality"][0].update(changes)


DEFECTS: dict[str, tuple[Change, str]] = {
    "misspelt standard property": (on_field("id", requred=True), "requred"),
    "misspelt own property": (on_custom("user", "treatmnt", "scan"), "unknown property `treatmnt`"),
    "bad name": (on_field("id", name="_id"), "`_id` must match"),
    "name of a partition column": (on_field("id", name="event_date"), "`event_date` must match"),
    "names equal but for case": (on_field("id", name="Status"), "`status` stands twice"),
    "one path for two fields": (on_custom("id", "paths", ["user"]), "belongs to `id` already"),
    "path of wrong type": (on_custom("id", "paths", "user"), "must be a list of keys"),
    "pattern does not compile": (on_field("id", logicalTypeOptions={"pattern": "["}), "does not compile"),
    "pattern not portable": (on_field("id", logicalTypeOptions={"pattern": r"^\w+$"}), "not portable"),
    "option that nothing checks": (
        on_field("id", logicalTypeOptions={"minLength": 3}),
        "`minLength` is not",
    ),
    "range upside down": (
        on_field("status", logicalTypeOptions={"minimum": 5, "maximum": 4}),
        "minimum is above maximum",
    ),
    "personal data kept": (on_field("id", classification="pii"), "needs a treatment other than keep"),
    "secret not dropped": (on_field("user", classification="secret"), "must be dropped or masked"),
    "misspelt classification": (on_field("id", classification="personel"), "`personel` is unknown"),
    "plain hash": (on_custom("user", "treatment", "sha256"), "is reversible"),
    "unknown treatment": (on_custom("user", "treatment", "encript"), "treatment is `encript`"),
    "plain hash by another name": (on_custom("user", "treatment", "Hash_MD5"), "is reversible"),
    "plain hash in what a view derives": (
        lambda content: view_of(content).update(actor='upper(sha256("user"))'),
        "`actor` makes a hash",
    ),
    "plain hash that ODCS derives": (on_field("id", transformLogic="md5(email)"), "is reversible"),
    "plain hash that the source made": (on_custom("id", "paths", ["userEmailSHA256"]), "is reversible"),
    "key of a person without a person": (on_custom("user", "keyScope", "subject"), "`user` needs it"),
    "person without use": (on_schema("subject", ["user"]), "no field has the keyScope subject"),
    "person that is no field": (on_schema("subject", ["nope"]), "subject names `nope`"),
    "person that is kept": (on_schema("subject", ["id"]), "subject names `id`"),
    "person named twice": (on_schema("subject", ["user", "user"]), "names one field twice"),
    "person by an unknown part": (
        on_schema("subject", [{"field": "user", "part": "first"}]),
        "part of `user` is `first`",
    ),
    "key of a person for an address": (
        on_custom("user", "treatment", "prefix_pseudonym", keyScope="subject"),
        "subject belongs to pseudonym and encrypt",
    ),
    "misspelt key scope": (on_custom("user", "keyScope", "person"), "keyScope is `person`"),
    "treatment that does not fit": (
        on_custom("status", "treatment", "truncate_ip"),
        "cannot be applied",
    ),
    "pseudonym without domain": (on_custom("user", "domain", ""), "domain is needed by pseudonym"),
    "unknown type": (
        on_field("id", logicalType="date", logicalTypeOptions={}),
        "is not a type",
    ),
    "timestamp without formats": (on_custom("time", "timeFormats", []), "timeFormats must name"),
    "unknown time format": (on_custom("time", "timeFormats", ["iso"]), "timeFormats must name"),
    "enum of wrong type": (on_field("status", enum=[{"value": "200"}]), "integers for an integer"),
    "time field that is none": (on_schema("timeField", "id"), "must name a required timestamp"),
    "time field not required": (on_field("time", required=False), "must name a required timestamp"),
    "key of no field": (on_schema("recordKey", ["nope"]), "names `nope`, which is no field"),
    "unknown format": (on_schema("formats", ["csv"]), "formats must name"),
    "mixed formats": (on_schema("formats", ["cloudtrail", "ndjson"]), "cannot mix cloudtrail"),
    "unknown drift": (on_schema("drift", "ignore"), "drift is `ignore`"),
    "access events incomplete": (on_schema("accessEvents", {"actor": "id"}), "must give exactly"),
    "threshold above 100": (on_top("quarantineThresholdPct", 101), "from 0 to 100"),
    "threshold absent": (lambda content: content.pop("customProperties"), "from 0 to 100"),
    "no retention": (lambda content: content.pop("slaProperties"), "at least one property `retention`"),
    "retention without unit": (
        lambda content: content["slaProperties"][0].pop("unit"),
        "retention needs a whole number and a unit",
    ),
    "rule of another engine": (quality(engine="soda"), "are run"),
    "rule that is no SQL": (quality(implementation="id IS IS"), "no SQL predicate"),
    "rule about nothing known": (quality(implementation="nope > 1"), "but names nope"),
    "rule of unknown severity": (quality(severity="fatal"), "severity is `fatal`"),
    "rule with a bad name": (quality(name="User.Or"), "name must match"),
    "another source's contract": (
        lambda content: content.update(id="other"),
        "must equal the name",
    ),
    "older standard": (lambda content: content.update(apiVersion="v3.0.0"), "must be v3.2.0"),
}


@pytest.mark.parametrize(("change", "complaint"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_is_refused(change: Change, complaint: str) -> None:
    content = document()
    change(content)
    with pytest.raises(ContractError) as caught:
        build(content)
    assert complaint in str(caught.value)
    assert caught.value.next_step


def test_all_defects_are_reported_together_with_their_lines() -> None:
    content = document()
    set_property(field_of(content, "user"), "treatment", "hash")
    set_property(content, "quarantineThresholdPct", -1)
    field_of(content, "id")["logicalTypeOptions"] = {"pattern": r"\bx"}
    with pytest.raises(ContractError) as caught:
        build(content)
    reported = str(caught.value).splitlines()
    assert len(reported) == 3
    places = [int(line.split(":")[1]) for line in reported]
    assert places == sorted(places)
    assert all(line.startswith(f"{SOURCE}/contract.odcs.yaml:") for line in reported)


def test_a_key_that_stands_twice_is_refused() -> None:
    shipped = load_contract("app").document
    with pytest.raises(ContractError, match=r"contract\.odcs\.yaml:3: kind: this key stands twice"):
        parse_contract(b"kind: DataContract\n" + shipped, "app")


@pytest.mark.parametrize("text", [b"", b"[]", b"a: [", b"\xff\xfe\x00", b"- !!python/object:os.system {}"])
def test_what_is_no_contract_is_refused(text: bytes) -> None:
    with pytest.raises(ContractError):
        parse_contract(text, SOURCE)


@pytest.mark.parametrize("source", ["nope", "../sources/app", "", "app/"])
def test_an_unknown_source_is_refused_and_the_known_ones_are_named(source: str) -> None:
    with pytest.raises(ContractError, match="app, cloudtrail, gateway"):
        load_contract(source)


def test_contracts_load_from_another_directory(tmp_path: Path) -> None:
    assert list_sources(tmp_path / "absent") == ()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "contract.odcs.yaml").write_bytes(load_contract("app").document)
    assert list_sources(tmp_path) == ("app",)
    assert load_contract("app", tmp_path) == load_contract("app")


def test_fields_that_name_the_person_take_the_persons_key() -> None:
    content = document()
    set_property(field_of(content, "user"), "keyScope", "subject")
    set_property(schema_of(content), "subject", [{"field": "user", "part": "last"}])
    contract = build(content)
    assert contract.subject == (SubjectField("user", "last"),)
    assert contract.field("user").key_scope == "subject"
    assert contract.field("id").key_scope == "epoch"


@pytest.mark.parametrize(
    "name", ["hashtag", "commit_hash", "ip_cache", "etag_md5", "account_id", "chash", "shared"]
)
def test_names_that_only_sound_like_a_hash_of_a_person_are_taken(name: str) -> None:
    content = document()
    set_property(field_of(content, "id"), "paths", [name])
    assert build(content).field("id").paths == ((name,),)
