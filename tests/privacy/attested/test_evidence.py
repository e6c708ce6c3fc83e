"""The document in which an operator shows the quote of its enclave."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.privacy.attested.evidence import (
    MAX_SEAT_EVIDENCE_BYTES,
    SeatEvidence,
    decode_seat_evidence,
)
from nesa.privacy.attested.quotes import MAX_COLLATERAL_BYTES, MAX_QUOTE_BYTES
from nesa.protocol.errors import InvalidMessage
from tests.privacy.attested.test_policy import BINDING
from tests.privacy.attested.test_quotes import SGX, TDX

EVIDENCE = SeatEvidence(BINDING, TDX.data, TDX.collateral)


def test_evidence_is_read_as_it_was_written() -> None:
    assert decode_seat_evidence(EVIDENCE.encode()) == EVIDENCE


def test_the_longest_evidence_fits() -> None:
    longest = SeatEvidence(BINDING, b"\xff" * MAX_QUOTE_BYTES, '"' * MAX_COLLATERAL_BYTES)
    assert decode_seat_evidence(longest.encode()) == longest
    with pytest.raises(InvalidMessage, match="may have"):
        decode_seat_evidence(b" " * (MAX_SEAT_EVIDENCE_BYTES + 1))


def test_the_digest_is_of_quote_and_collateral_apart() -> None:
    assert EVIDENCE.digest == replace(EVIDENCE, binding=replace(BINDING, block_number=7)).digest
    others = {
        EVIDENCE.digest,
        SeatEvidence(BINDING, SGX.data, TDX.collateral).digest,
        SeatEvidence(BINDING, TDX.data, SGX.collateral).digest,
        SeatEvidence(BINDING, TDX.data + b"{", TDX.collateral[1:]).digest,
    }
    assert len(others) == 4


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"quote": "0x"}, "quote"),
        ({"quote": "0x0"}, "quote"),
        ({"quote": "0x" + "00" * (MAX_QUOTE_BYTES + 1)}, "quote"),
        ({"collateral": 5}, "collateral"),
        ({"signer": "0x12"}, "signer"),
        ({"encryption_key": "0x" + "AA" * 32}, "encryption_key"),
        ({"block_number": -1}, "block_number"),
        ({"block_number": "7"}, "block_number"),
        ({"chain_id": 0}, "chain_id"),
        ({"comment": ""}, "comment"),
    ],
)
def test_a_document_that_is_wrong_says_where(changes: dict[str, Any], place: str) -> None:
    document = json.loads(EVIDENCE.encode()) | changes
    with pytest.raises(InvalidMessage, match=f"not the evidence of a seat: {place}"):
        decode_seat_evidence(json.dumps(document).encode())


@given(data=st.binary(max_size=200))
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode_seat_evidence(data)
