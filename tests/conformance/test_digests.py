"""The contracts' digests of tensors are the protocol's."""

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.digests import (
    blinded_digest,
    boundary_digest,
    bytes_root,
    edges_digest,
    tensor_digest,
)
from nesa.protocol.edges import DType, EdgeType
from tests.deployment import load_harness


@pytest.fixture(scope="module")
def harness():
    return load_harness("TensorDigestHarness")


@pytest.mark.parametrize("size", [*range(1, 4), 255, 256, 257, 511, 512, 513, 769, 3841, 4096])
def test_roots_agree_at_every_edge_of_a_leaf(harness, size):
    data = bytes(i * 7 % 256 for i in range(size))
    assert harness.bytes_root(data) == bytes_root(data)


@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=1, max_size=4096))
def test_digests_of_one_tensor_agree(harness, data):
    edge = EdgeType(DType.UINT8, (len(data),), 0, 255)
    assert harness.bytes_root(data) == bytes_root(data)
    assert harness.tensor_digest_of(edge.pack(), data) == tensor_digest(edge, data)
    assert harness.boundary_digest(edge.pack(), data) == boundary_digest([edge], [data])


@settings(max_examples=20, deadline=None)
@given(tensors=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4))
def test_digests_of_several_edges_agree(harness, tensors):
    assert harness.edges_digest(tensors) == edges_digest(tensors)


@settings(max_examples=20, deadline=None)
@given(digest=st.binary(min_size=32, max_size=32), blind=st.binary(min_size=32, max_size=32))
def test_blinded_digests_agree(harness, digest, blind):
    assert harness.blinded(digest, blind) == blinded_digest(digest, blind)


def test_a_tensor_of_no_bytes_has_no_digest(harness):
    with boa.reverts("digest: no bytes"):
        harness.bytes_root(b"")
