"""Merkle digests of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.digests import (
    blinded_digest,
    boundary_digest,
    bytes_root,
    edges_digest,
    inner_hash,
    leaf_hash,
    merkle_root,
    tensor_digest,
)
from nesa.protocol.edges import DType, EdgeType

EDGE = EdgeType(DType.UINT8, (4,), 0, 255)


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962's own wording: split at the largest power of two below the count."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return keccak(b"\x01" + recursive_root(leaves[:half]) + recursive_root(leaves[half:]))


@given(st.integers(1, 70))
def test_the_tree_is_that_of_rfc_6962(count):
    leaves = [leaf_hash(bytes([number])) for number in range(count)]
    assert merkle_root(leaves) == recursive_root(leaves)


def test_leaves_and_inner_nodes_never_collide():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != inner_hash(left, right)


def test_a_tree_without_leaves_is_refused():
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle_root([])


def test_a_leaf_holds_256_bytes():
    data = bytes(range(256)) + b"x"
    assert bytes_root(data[:256]) == leaf_hash(data[:256])
    assert bytes_root(data) == inner_hash(leaf_hash(data[:256]), leaf_hash(b"x"))


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4))
def test_tensors_are_equal_when_their_digests_are(first, second):
    assert (tensor_digest(EDGE, first) == tensor_digest(EDGE, second)) == (first == second)


def test_dtype_shape_and_range_are_part_of_the_digest():
    others = [
        EDGE,
        EdgeType(DType.UINT8, (2, 2), 0, 255),
        EdgeType(DType.UINT8, (4,), 0, 254),
        EdgeType(DType.INT8, (4,), 0, 127),
    ]
    assert len({tensor_digest(edge, bytes(4)) for edge in others}) == len(others)


def test_one_edge_is_a_list_of_one():
    digest = tensor_digest(EDGE, bytes(4))
    assert boundary_digest([EDGE], [bytes(4)]) == edges_digest([digest])
    assert edges_digest([digest]) != digest


def test_the_order_of_edges_counts():
    first, second = bytes(4), bytes([1, 2, 3, 4])
    assert boundary_digest([EDGE, EDGE], [first, second]) != boundary_digest(
        [EDGE, EDGE], [second, first]
    )


def test_a_blind_hides_the_digest():
    digest = tensor_digest(EDGE, bytes(4))
    assert len({digest, blinded_digest(digest, bytes(32)), blinded_digest(digest, b"\1" * 32)}) == 3
