"""One contract, several dialects: a value of another shape in one place does not cost a good line."""

from __future__ import annotations

from tests.support.ingest import contract, field, read


def test_a_parent_of_another_type_is_a_fault_only_where_a_field_has_no_other_place() -> None:
    only_below = contract(("ndjson",), field("status", "string", ("error", "code")))
    batch = read(only_below, b'{"error":"timeout"}')
    assert batch.frame["_type_faults"].to_list() == [["error.type"]]

    elsewhere_too = contract(("ndjson",), field("status", "string", ("error", "code"), ("status",)))
    batch = read(elsewhere_too, b'{"error":"timeout","status":"x"}')
    assert batch.frame["_type_faults"].to_list() == [[]]
    assert batch.frame["status"].to_list() == ["x"]
    assert batch.frame["_extra"].to_list() == ['{"error":"timeout"}']


def test_a_lenient_string_takes_numbers_and_booleans_as_they_stand() -> None:
    lenient = contract(("ndjson",), field("level", lenient=True), field("code"))
    batch = read(lenient, b'{"level":30}\n{"level":true}\n{"level":1.50}\n{"code":7}')
    assert batch.frame["level"].to_list() == ["30", "true", "1.50", None]
    assert batch.frame["_type_faults"].to_list() == [[], [], [], ["code.type"]]
