"""Keys of lines out of one seed: destroyed ones cannot be had from what is left, and all others stay as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.subjects.line_tree import HEIGHT, LineTree, Node

SEED = bytes(range(32))
LAST = 2**HEIGHT - 1
LINES = st.sets(st.one_of(st.integers(0, 40), st.integers(0, LAST)), max_size=12)


@given(destroyed=st.lists(LINES, max_size=4), asked=LINES)
def test_what_is_destroyed_is_gone_and_all_else_is_as_before(
    destroyed: list[set[int]], asked: set[int]
) -> None:
    whole = tree = LineTree.grow(SEED)
    for lines in destroyed:
        tree = LineTree.decode(tree.without(lines).encode())
    gone = set().union(*destroyed)
    assert tree.keys(asked | gone) == {
        line: key for line, key in whole.keys(asked).items() if line not in gone
    }
    for node in tree.nodes:  # whoever holds what is left holds no way to a destroyed line
        assert not [line for line in gone if line >> node.height == node.first >> node.height]


def test_keys_differ_by_line_and_seed() -> None:
    keys = LineTree.grow(SEED).keys(range(1_000))
    others = LineTree.grow(SEED[::-1]).keys(range(1_000))
    assert sorted(keys) == list(range(1_000))
    assert len({*keys.values(), *others.values()}) == 2_000


def test_the_key_of_a_line_is_at_the_end_of_its_path() -> None:
    node = Node(HEIGHT, 0, SEED)
    for height in reversed(range(HEIGHT)):
        node = node.split()[6 >> height & 1]
    assert LineTree.grow(SEED).keys([6]) == {6: node.seed}


@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_what_is_left_is_small(count: int) -> None:
    tree = LineTree.grow(SEED)
    assert len(tree.encode()) == 41
    assert len(tree.without(range(1, count + 1)).encode()) <= 41 * 2 * HEIGHT
    assert len(tree.without(range(0, 2 * count, 2)).encode()) <= 41 * (HEIGHT + count)
