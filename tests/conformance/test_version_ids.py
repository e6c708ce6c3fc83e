"""The registry computes the protocol's version roots and ids."""

from itertools import pairwise

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts, version_id, version_root
from tests.deployment import deployer

WORDS = st.binary(min_size=32, max_size=32)


@pytest.fixture(scope="module")
def registry():
    return deployer("registry/ModelRegistry").deploy(boa.env.generate_address("router"))


@st.composite
def edges(draw):
    dtype = draw(st.sampled_from(DType))
    low, high = sorted(draw(st.tuples(*2 * (st.integers(*dtype.bounds),))))
    shape = draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=5))
    return EdgeType(dtype, tuple(shape), low, high)


@st.composite
def versions(draw):
    between = st.lists(edges(), min_size=1, max_size=4).map(tuple)
    inner = draw(st.lists(between, max_size=7))
    boundaries = [(draw(edges()),), *inner, (draw(edges()),)]
    return tuple(
        ShardFacts(inputs, outputs, draw(WORDS), ZERO_DIGEST, ZERO_DIGEST)
        for inputs, outputs in pairwise(boundaries)
    )


@settings(max_examples=25, deadline=None)
@given(shards=versions(), operators_root=WORDS, metadata_digest=WORDS)
def test_roots_and_ids_agree(registry, shards, operators_root, metadata_digest):
    developer = boa.env.generate_address("developer")
    with boa.env.anchor():
        registered = registry.register(
            "",
            "",
            operators_root,
            metadata_digest,
            [shard.as_abi() for shard in shards],
            [],
            0,
            0,
            0,
            ZERO_ADDRESS,
            sender=developer,
        )
        root = version_root(operators_root, shards, metadata_digest)
        assert registry.get_logs()[0].root == root
        assert registered == version_id(developer, root)
