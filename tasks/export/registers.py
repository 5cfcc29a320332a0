"""The record of processing activities of a bundle's period, from the contracts that its batches were judged by."""

from __future__ import annotations

from dataclasses import replace

from tasks.contracts.load import parse_contract
from tasks.errors import ContractError
from tasks.export.facts import BatchFacts, Facts, load_object
from tasks.export.files import Member
from tasks.export.register import Activity, activity, render_html, render_json
from tasks.storage.protocol import ObjectStore

PAGE = "registers/processing.html"
DOCUMENT = "registers/processing.json"


def register_members(store: ObjectStore, facts: Facts) -> list[Member]:
    """The record as a page and as a document; treatments are those that the newest batch of each source reports."""
    newest = {batch.batch.entry["source"]: batch for batch in facts.batches}
    found = [told for _, batch in sorted(newest.items()) if (told := _activity(store, batch)) is not None]
    return [Member.of(PAGE, render_html(found)), Member.of(DOCUMENT, render_json(found))]


def _activity(store: ObjectStore, batch: BatchFacts) -> Activity | None:
    entry = batch.batch.entry
    try:
        contract = parse_contract(load_object(store, entry["contract"]), entry["source"])
    except ContractError:  # made for another version of this software; the bundle has its bytes all the same
        return None
    treatments = {field["field"]: field["treatment"] for field in batch.redaction["fields"]}
    told = activity(contract, treatments)
    return replace(told, policy_sha256=entry["rego"]["sha256"]) if entry["rego"] else told
