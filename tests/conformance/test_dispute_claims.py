"""What is announced of evidence is hashed alike by the court and by those who announce it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.chain.disputes import challenge_evidence, claim_of
from nesa.protocol.ids import Address, QueryId
from tests.conformance.strategies import ADDRESSES, WORDS
from tests.revm import RevmChain, RevmContract


@pytest.fixture(scope="module")
def court() -> RevmContract:
    chain = RevmChain()
    stand_ins = [f"0x{number:040x}" for number in range(1, 9)]
    # The last one has to have code.
    code = chain.deploy("contracts/verification/ProofRouter").address
    return chain.deploy("contracts/disputes/DisputeCourt", *stand_ins, code)


@settings(max_examples=50, deadline=None)
@given(query_id=st.integers(1, 2**64), shard=st.integers(0, 7), out_digest=WORDS)
def test_evidence_of_a_challenge(
    court: RevmContract, query_id: int, shard: int, out_digest: bytes
) -> None:
    found = court.challenge_evidence(query_id, shard, out_digest)
    assert found == challenge_evidence(QueryId(query_id), shard, out_digest)


@settings(max_examples=50, deadline=None)
@given(challenger=ADDRESSES, evidence=WORDS)
def test_a_claim_names_its_challenger(
    court: RevmContract, challenger: str, evidence: bytes
) -> None:
    found = court.claim_of(challenger, evidence)
    accounts = (Address(court.address), Address(challenger))
    assert found == claim_of(court.chain.chain_id, *accounts, evidence)
