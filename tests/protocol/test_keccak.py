"""One hash, whichever library computes it."""

from __future__ import annotations

from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.keccak import keccak_256


@given(st.binary(max_size=600))
def test_the_fast_hash_is_that_of_the_chain(data):
    assert keccak_256(data) == keccak(data)


def test_it_is_the_hash_that_solidity_has_of_nothing():
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak_256(b"").hex() == empty
