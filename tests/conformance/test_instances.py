"""The router gives verifiers the instances that the prover proves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.edges import DType, EdgeType
from tests.contracts.verifiers import Behaviour, deploy_verifier, true_proof
from tests.deployment import deployer


@pytest.fixture(scope="module")
def router():
    return deployer("verification/ProofRouter").deploy()


@pytest.fixture(scope="module")
def verifier():
    return deploy_verifier(Behaviour.CHECKS)


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(DType))
    least, greatest = dtype.bounds
    low, high = sorted(draw(st.tuples(*2 * (st.integers(least, greatest),))))
    sides = st.sampled_from((low, high)) | st.integers(low, high)
    values = draw(st.lists(sides, min_size=1, max_size=64))
    edge = EdgeType(dtype, (len(values),), low, high)
    return edge, edge.encode(np.array(values))


@settings(max_examples=60, deadline=None)
@given(inputs=tensors(), outputs=tensors())
def test_instances_agree(router, verifier, inputs, outputs):
    edges, data = zip(inputs, outputs, strict=True)
    packed = [edge.pack() for edge in edges]
    assert router.try_verify(verifier, *packed, *data, true_proof(edges, data))
