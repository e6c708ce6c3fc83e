"""The contracts hash what members hash, and recover who signed it."""

import boa
import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    quorum,
    set_digest,
)
from nesa.protocol.signatures import sign_digest
from tests.conformance.strategies import ADDRESSES, NUMBERS, WORDS
from tests.deployment import load_harness

SETTINGS = settings(max_examples=12, deadline=None)


@pytest.fixture(scope="module")
def harness():
    return load_harness("ProtocolHarness")


@st.composite
def works(draw):
    chain_id = int(boa.env.evm.patch.chain_id)
    values = [draw(kind) for kind in (ADDRESSES, NUMBERS, NUMBERS, WORDS, NUMBERS)]
    context = ShardContext(chain_id, *values)
    return context, draw(NUMBERS), draw(WORDS), draw(WORDS)


def as_abi(work):
    context, round_, in_digest, out_digest = work
    head = (context.market, context.query_id, context.attempt, context.seed, context.shard)
    return (*head, round_, in_digest, out_digest)


@SETTINGS
@given(work=works(), member=ADDRESSES, salt=WORDS)
def test_commitments_agree(harness, work, member, salt):
    context, round_, in_digest, out_digest = work
    expected = commitment(context, round_, member, in_digest, out_digest, salt)
    assert harness.commitment(as_abi(work), member, salt) == expected


@SETTINGS
@given(work=works(), commitments=st.lists(WORDS, max_size=8))
def test_set_digests_agree(harness, work, commitments):
    context, round_, _, _ = work
    assert harness.set_digest(as_abi(work), commitments) == set_digest(context, round_, commitments)


@SETTINGS
@given(work=works(), payload_hash=WORDS, settled=WORDS)
def test_attestation_hashes_agree(harness, work, payload_hash, settled):
    context, round_, in_digest, out_digest = work
    attested = Attestation(
        context.query_id,
        context.attempt,
        context.shard,
        round_,
        in_digest,
        out_digest,
        payload_hash,
        settled,
    )
    expected = attestation_hash(context.chain_id, context.market, attested)
    assert harness.attestation_hash(as_abi(work), payload_hash, settled) == expected


@SETTINGS
@given(secret=st.integers(1, 2**250), digest=WORDS)
def test_signatures_recover(harness, secret, digest):
    key = PrivateKey(secret.to_bytes(32, "big"))
    signer = key.public_key.to_checksum_address()
    assert harness.signer_of(digest, *sign_digest(key, digest)) == signer


def test_quorums_agree(harness):
    for replicas in range(1, 9):
        assert harness.quorum(replicas) == quorum(replicas)
