"""The hardened verifiers on a real EVM: the corner proofs pass, everything else reverts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.proving.artefacts import ProvableShard
from nesa.models.proving.field import MODULUS
from nesa.models.proving.proofs import Proof
from nesa.models.proving.verifier import SELECTOR, call_data
from tests.models.proving.evm import Deployed, Reverted
from tests.models.proving.shards import SHARDS, provable

WORD = 32
ONE = 1


@pytest.fixture(scope="module", params=SHARDS, ids=lambda shard: f"{shard[0]}-{shard[1]}")
def shard(request) -> ProvableShard:
    return provable(*request.param)


@pytest.fixture(scope="module")
def verifier(shard: ProvableShard) -> Deployed:
    return Deployed(shard.creation)


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(WORD, "big") for number in numbers)


def proof_part(proof: Proof) -> bytes:
    return words(len(proof.proof)) + proof.proof


def instances_part(proof: Proof) -> bytes:
    return words(len(proof.instances), *proof.instances)


def refused(verifier: Deployed, data: bytes) -> bool:
    try:
        verifier.call(data)
    except Reverted:
        return True
    return False


def test_the_deployed_code_has_the_committed_hash(shard: ProvableShard, verifier: Deployed):
    assert verifier.code_hash == shard.verifier_code_hash


def test_the_corner_proof_passes(shard: ProvableShard, verifier: Deployed):
    answer = verifier.call(call_data(shard.corner_proof))

    assert int.from_bytes(answer, "big") == ONE


def test_the_corner_proof_stays_within_the_gas_floor(shard: ProvableShard, verifier: Deployed):
    verifier.call(call_data(shard.corner_proof))

    assert verifier.gas_used < 800_000


def test_the_canonical_calldata_is_that_of_the_abi(shard: ProvableShard):
    proof = shard.corner_proof
    instances_at = 2 * WORD + len(proof_part(proof))
    body = proof_part(proof) + instances_part(proof)

    assert call_data(proof) == SELECTOR + words(2 * WORD, instances_at) + body


@pytest.mark.parametrize("step", [1, -1])
def test_another_input_or_output_is_refused(shard: ProvableShard, verifier: Deployed, step: int):
    proof = shard.corner_proof
    for place in (0, shard.circuit.source.elements, len(proof.instances) - 1):
        changed = list(proof.instances)
        changed[place] = (changed[place] + step) % MODULUS

        assert refused(verifier, call_data(Proof(proof.proof, tuple(changed))))


def test_a_proof_of_another_length_is_refused(shard: ProvableShard, verifier: Deployed):
    proof = shard.corner_proof
    for data in (b"", proof.proof[:-1], proof.proof[:-WORD], proof.proof + bytes(WORD)):
        assert refused(verifier, call_data(Proof(data, proof.instances)))


def test_no_proof_at_all_is_refused(shard: ProvableShard, verifier: Deployed):
    zeros = Proof(bytes(shard.proof_bytes), shard.corner_proof.instances)

    assert refused(verifier, call_data(zeros))


def test_the_proofs_of_other_shards_are_refused(shard: ProvableShard, verifier: Deployed):
    others = [provable(*named) for named in SHARDS]
    for other in others:
        if other.circuit.digest != shard.circuit.digest:
            for instances in (other.corner_proof.instances, shard.corner_proof.instances):
                assert refused(verifier, call_data(Proof(other.corner.proof, instances)))


def test_ether_and_other_selectors_are_refused(shard: ProvableShard, verifier: Deployed):
    data = call_data(shard.corner_proof)

    assert refused(verifier, b"\x00\x00\x00\x00" + data[4:])
    with pytest.raises(Reverted):
        verifier.call(data, value=1)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_in_a_proof_is_refused(data, bit: int):
    shard = provable(*SHARDS[0])
    proof = bytearray(shard.corner.proof)
    place = data.draw(st.integers(0, len(proof) - 1))
    proof[place] ^= 1 << bit

    calldata = call_data(Proof(bytes(proof), shard.corner_proof.instances))

    assert refused(Deployed(shard.creation), calldata)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_word_in_the_frame_of_a_call_is_refused(data):
    """Offsets and lengths: every word of the calldata that is neither proof nor instance."""
    shard = provable(*SHARDS[1])
    calldata = bytearray(call_data(shard.corner_proof))
    frame = [4, 4 + WORD, 4 + 2 * WORD, 4 + 3 * WORD + shard.proof_bytes]
    place = data.draw(st.sampled_from(frame))
    before = bytes(calldata[place : place + WORD])
    after = data.draw(st.one_of(st.integers(0, 2**13), st.integers(0, 2**256 - 1)).map(words))
    calldata[place : place + WORD] = after

    assert refused(Deployed(shard.creation), bytes(calldata)) == (before != after)
