"""Leaves opened together lead to the root of their tree, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.digests import bytes_root, leaf_hash, merkle_root
from nesa.protocol.errors import InvalidOpening
from nesa.protocol.openings import Tree, leaf_bytes, opened_bytes, root_of, sibling_count


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(bytes([place])) for place in range(count)]


@given(st.integers(1, 40), st.data())
def test_any_leaves_lead_to_the_root(width, data):
    tree = Tree(leaves(width))
    drawn = data.draw(st.sets(st.integers(0, width - 1), min_size=1))
    places = sorted(drawn)
    nodes = [leaves(width)[place] for place in places]
    assert tree.root == merkle_root(leaves(width))
    assert root_of(places, nodes, width, tree.siblings(places)) == tree.root
    assert sibling_count(places, width) == len(tree.siblings(places))


@given(st.integers(1, 40), st.data())
def test_a_node_too_few_or_too_many_is_refused(width, data):
    tree = Tree(leaves(width))
    place = data.draw(st.integers(0, width - 1))
    siblings = tree.siblings([place])
    for changed in (siblings[:-1], (*siblings, bytes(32))):
        if changed != siblings:
            with pytest.raises(InvalidOpening):
                root_of([place], [leaves(width)[place]], width, changed)


def test_neighbours_need_fewer_nodes_than_strangers():
    tree = Tree(leaves(16))
    assert len(tree.siblings([4, 5, 6, 7])) == 2
    assert len(tree.siblings([0, 4, 8, 12])) == 8


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600, 768])
def test_opened_bytes_are_those_of_their_leaves(size):
    data = bytes(place % 251 for place in range(size))
    tree = Tree.of_bytes(data)
    assert tree.root == bytes_root(data)
    every = tuple(range(tree.width))
    assert b"".join(opened_bytes(every, data, size).values()) == data
    last = every[-1:]
    assert opened_bytes(last, leaf_bytes(data, last[0]), size)[last[0]] == data[last[0] * 256 :]


@pytest.mark.parametrize(
    ("places", "length"),
    [((0, 0), 512), ((1, 0), 512), ((3,), 256), ((-1,), 256), ((0,), 255), ((2,), 256)],
)
def test_leaves_ascend_and_have_their_length(places, length):
    with pytest.raises(InvalidOpening):
        opened_bytes(places, bytes(length), 600)


def test_there_is_no_tree_without_leaves():
    with pytest.raises(ValueError, match="at least one leaf"):
        Tree([])
    with pytest.raises(InvalidOpening):
        root_of([], [], 1, [])
