from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.models.proving.field import MODULUS, element_of_hex, from_field, hex_of_element, to_field
from nesa.models.proving.proofs import instances_of
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidTensor

SOURCE = ShownEdge(EdgeType(DType.INT8, (1, 3), -127, 127))
RESULT = ShownEdge(EdgeType(DType.INT16, (2,), -32767, 32767))


def test_inputs_come_first_and_negative_values_wrap_around_the_modulus():
    given_bytes = SOURCE.edge.encode(np.array([[-1, 0, 127]]))
    computed = RESULT.edge.encode(np.array([-32767, 5]))

    values = instances_of(SOURCE, given_bytes, RESULT, computed)

    assert values == [MODULUS - 1, 0, 127, MODULUS - 32767, 5]


def test_a_value_outside_its_edge_has_no_instances():
    with pytest.raises(InvalidTensor, match="leave the range"):
        instances_of(SOURCE, b"\x80\x00\x00", RESULT, bytes(4))


def test_bytes_of_another_length_have_no_instances():
    with pytest.raises(InvalidTensor, match="2 bytes where 3"):
        instances_of(SOURCE, bytes(2), RESULT, bytes(4))


@given(st.integers(-(2**40), 2**40))
def test_integers_survive_the_field(value: int):
    element = to_field(value)

    assert 0 <= element < MODULUS
    assert from_field(element) == value
    assert element_of_hex(hex_of_element(element)) == element
