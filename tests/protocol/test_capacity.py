"""A capacity statement is what its signer signed, and nothing else is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.protocol.capacity import (
    CapacityStatement,
    decode_statement,
    encode_statement,
    sign_statement,
)
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address, Timestamp

KEY = PrivateKey(b"\x01" * 32)
MINER = Address(KEY.public_key.to_checksum_address())
VAULT = Address("0x" + "11" * 20)
NOON = Timestamp(1000)
PLAIN = CapacityStatement(1, 31337, VAULT, MINER, NOON, 10**10, 10**9, 10**11, 10**10, 5, 1 << 30)


def test_a_statement_comes_back_as_it_was_signed():
    signed = sign_statement(PLAIN, KEY)
    assert decode_statement(encode_statement(signed)) == signed


@pytest.mark.parametrize("name", ["float32_rate", "measured_at", "free_memory", "chain_id"])
def test_a_figure_changed_afterwards_is_noticed(name):
    signed = sign_statement(PLAIN, KEY)
    changed = replace(signed, **{name: getattr(signed, name) + 1})
    with pytest.raises(InvalidMessage, match="not signed by its signer"):
        decode_statement(encode_statement(changed))


def test_nobody_signs_for_somebody_else():
    with pytest.raises(InvalidMessage, match="signed by the signer"):
        sign_statement(PLAIN, PrivateKey(b"\x02" * 32))


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "ends early"), (b"\x00" * 600, "limit"), (b"\x80", "fields")],
)
def test_what_is_no_statement_is_refused(data, words):
    with pytest.raises(InvalidMessage, match=words):
        decode_statement(data)


def test_figures_that_cannot_be_are_refused():
    with pytest.raises(InvalidMessage, match="float32_rate"):
        sign_statement(replace(PLAIN, float32_rate=-1), KEY)
    still = sign_statement(replace(PLAIN, int8_rate=0), KEY)
    with pytest.raises(InvalidMessage, match="rate of 0"):
        decode_statement(encode_statement(still))
