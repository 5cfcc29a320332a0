"""Whatever bytes stand in the place of an object: no exception, and nothing altered goes unnoticed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evidence import paths
from tasks.verify import Verdict, verify
from tests.support.sealed_tree import YEAR, example_tree

TREE = example_tree()
PRISTINE = dict(TREE.objects)
PATHS = sorted(PRISTINE)
# Only a hint for readers without a policy: another spelling of the same policy is as good.
UNAUTHENTICATED = {paths.policy(YEAR)}


def verdict_of(path: str, data: bytes) -> Verdict:
    TREE.objects = PRISTINE | {path: data}
    report = verify(TREE, TREE.policy)
    assert report.ok or report.verdict in (Verdict.CHANGED, Verdict.MISSING)
    return report.verdict


def expect_noticed(path: str, data: bytes) -> None:
    verdict = verdict_of(path, data)
    if data == PRISTINE[path]:
        assert verdict is Verdict.OK
    elif path not in UNAUTHENTICATED:
        assert verdict is not Verdict.OK


@settings(max_examples=40, deadline=None)
@given(path=st.sampled_from(PATHS), data=st.binary(max_size=300))
def test_any_bytes_in_the_place_of_any_object_are_noticed(path: str, data: bytes) -> None:
    expect_noticed(path, data)


@settings(max_examples=100, deadline=None)
@given(path=st.sampled_from(PATHS), position=st.integers(0, 10**6), mask=st.integers(1, 255))
def test_any_changed_byte_of_any_object_is_noticed(path: str, position: int, mask: int) -> None:
    data = bytearray(PRISTINE[path])
    data[position % len(data)] ^= mask
    expect_noticed(path, bytes(data))


@settings(max_examples=40, deadline=None)
@given(path=st.sampled_from(PATHS), start=st.integers(0, 10**6), length=st.integers(0, 500))
def test_any_cut_in_any_object_is_noticed(path: str, start: int, length: int) -> None:
    data = PRISTINE[path]
    start %= len(data)
    expect_noticed(path, data[:start] + data[start + length :])


@settings(max_examples=40, deadline=None)
@given(one=st.sampled_from(PATHS), other=st.sampled_from(PATHS))
def test_any_object_in_the_place_of_another_is_noticed(one: str, other: str) -> None:
    if one == paths.checkpoint(YEAR) and "/checkpoints/" in other:
        return  # an old checkpoint in the pointer is "not sealed yet", see the tamper catalogue
    expect_noticed(one, PRISTINE[other])


@settings(max_examples=40, deadline=None)
@given(lost=st.sets(st.sampled_from(PATHS), min_size=1, max_size=6))
def test_any_removed_objects_are_noticed(lost: set[str]) -> None:
    TREE.objects = {path: data for path, data in PRISTINE.items() if path not in lost}
    # An older tile whose content a newer one repeats is not needed by anybody.
    needed = {path for path in lost if not path.endswith(".p/3") and path != paths.checkpoint_at(YEAR, 3)}
    assert verify(TREE, TREE.policy).ok == (not needed)
