"""Proofs checked off chain, by the corner proofs that stand in the models' folders."""

from __future__ import annotations

import pytest

from nesa.models.proving.artefacts import ProvableShard
from nesa.models.proving.field import MODULUS
from nesa.models.proving.proofs import Proof
from tests.models.proving.shards import SHARDS, provable


@pytest.fixture(params=SHARDS, ids=lambda shard: f"{shard[0]}-{shard[1]}")
def shard(request) -> ProvableShard:
    return provable(*request.param)


@pytest.fixture
def one() -> ProvableShard:
    return provable("breast-cancer-mlp", 1)


async def test_every_corner_proof_holds(shard: ProvableShard):
    assert await shard.verify(shard.corner_proof)


async def test_the_proof_of_another_shard_does_not_hold(shard: ProvableShard):
    other = provable(*SHARDS[0] if shard is provable(*SHARDS[1]) else SHARDS[1])

    assert not await shard.verify(Proof(other.corner.proof, shard.corner_proof.instances))


@pytest.mark.parametrize("place", [0, 31, 500, 2000, -1])
async def test_a_flipped_bit_is_noticed(one: ProvableShard, place: int):
    changed = bytearray(one.corner.proof)
    changed[place] ^= 1

    assert not await one.verify(Proof(bytes(changed), one.corner_proof.instances))


async def test_another_length_is_noticed(one: ProvableShard):
    """ezkl itself takes a proof with bytes behind it."""
    proof, instances = one.corner.proof, one.corner_proof.instances

    for data in (proof[:-1], proof[:-32], proof + b"\x00", b""):
        assert not await one.verify(Proof(data, instances))


async def test_other_values_are_noticed(one: ProvableShard):
    proof, instances = one.corner.proof, one.corner_proof.instances

    assert not await one.verify(Proof(proof, (instances[0] + 1, *instances[1:])))
    assert not await one.verify(Proof(proof, (*instances[:-1], (instances[-1] - 1) % MODULUS)))


async def test_values_in_another_form_are_noticed(one: ProvableShard):
    proof, instances = one.corner.proof, one.corner_proof.instances

    for wrong in ((instances[0] + MODULUS, *instances[1:]), instances[:-1], (*instances, 0)):
        assert not await one.verify(Proof(proof, wrong))
    assert not await one.verify(Proof(proof, (-1, *instances[1:])))
