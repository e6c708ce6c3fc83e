"""Attacks with proofs: made for something else, altered, or taken by a verifier that does not look.

The provable shards of the repository stand on a real EVM here, with their corner proofs.
"""

from dataclasses import replace

import boa
import numpy as np
import pytest

from nesa.chain.abi import interface
from nesa.models.proving.field import MODULUS
from nesa.models.proving.proofs import Proof
from nesa.models.proving.verifier import SELECTOR, call_data
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import Assurance
from nesa.protocol.versions import ShardFacts
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier, true_proof
from tests.deployment import register_version, with_circuits
from tests.market import INPUT_EDGE, OUTPUT_EDGE, TENSORS
from tests.models.proving.evm import Deployed, Reverted
from tests.models.proving.shards import SHARDS, provable

WORD = 32


def proved(world, client):
    return world.request(client, assurance=Assurance.PROVED)


def test_proof_other_request(world, client):
    """The prover reuses the proof of an earlier input: the market rebuilds the instances from what
    was asked."""
    query = proved(world, client)
    other = (bytes(30), TENSORS[1][1])
    proof = true_proof([INPUT_EDGE, OUTPUT_EDGE], other)
    with boa.reverts("committee: proof of other input"):
        world.fulfil_proved(query, world.reports(query), other, [proof])
    with boa.reverts("router: proof refused"):
        world.fulfil_proved(query, world.reports(query), TENSORS[1], [proof])


def test_proof_other_model(world, client):
    """The prover proves a cheaper model, here the two shards of another version: the market asks
    the verifier of the shard that the query is for."""
    query = proved(world, client)
    proofs = world.proofs(replace(query, shards=2))
    with boa.reverts("router: proof refused"):
        world.fulfil_proved(query, world.reports(query), TENSORS[1], proofs[:1])


def test_proofs_in_another_order_are_worthless(world, client):
    """The prover shows every proof, but of the wrong shard: each is verified at its place."""
    query = world.request(client, 2, assurance=Assurance.PROVED)
    with boa.reverts("router: proof refused"):
        world.fulfil_proved(query, proofs=list(reversed(world.proofs(query))))


# --- Generated verifiers ---


@pytest.fixture(scope="module", params=SHARDS, ids=lambda shard: f"{shard[0]}-{shard[1]}")
def shard(request):
    return provable(*request.param)


@pytest.fixture(scope="module")
def verifier(shard):
    return Deployed(shard.creation)


def assert_refused(verifier, data):
    with pytest.raises(Reverted):
        verifier.call(data)


def words(*numbers):
    return b"".join(number.to_bytes(WORD, "big") for number in numbers)


def test_instance_plus_P(shard, verifier):
    """The attacker adds the field's order to an instance, which is the same residue and so the same
    proof of other bytes: every instance must be below the order."""
    proof = shard.corner_proof
    assert int.from_bytes(verifier.call(call_data(proof)), "big") == 1
    for place in range(len(proof.instances)):
        changed = list(proof.instances)
        changed[place] += MODULUS
        assert_refused(verifier, call_data(Proof(proof.proof, tuple(changed))))


def test_instance_count(shard, verifier):
    """The attacker leaves an instance out, so that nothing binds it, or adds one: the verifier
    takes as many as its circuit has."""
    proof = shard.corner_proof
    for instances in (proof.instances[:-1], proof.instances[1:], (*proof.instances, 0), ()):
        assert_refused(verifier, call_data(Proof(proof.proof, instances)))


def test_proof_calldata_has_one_form(shard, verifier):
    """The attacker lays a call out so that the verifier reads one proof and hashes another:
    offsets, lengths and the end of the calldata are those of the one canonical form."""
    proof = shard.corner_proof
    shown = words(len(proof.proof)) + proof.proof
    values = words(len(proof.instances), *proof.instances)
    behind = 2 * WORD + len(shown)
    forms = [
        words(behind + len(values), behind) + shown + values + shown,
        words(2 * WORD + len(values), 2 * WORD) + values + shown,
        words(2 * WORD, behind + WORD) + shown + bytes(WORD) + values,
        words(2 * WORD, behind) + shown + values + bytes(1),
        (words(2 * WORD, behind) + shown + values)[:-1],
    ]
    for form in forms:
        assert_refused(verifier, SELECTOR + form)
    assert verifier.call(SELECTOR + words(2 * WORD, behind) + shown + values) == words(1)


# --- Hostile verifiers ---


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour.ACCEPTS_ALL, "registry: accepts other output"),
        (Behaviour.IGNORES_INSTANCES, "registry: accepts other output"),
        (Behaviour.IGNORES_PROOF, "registry: accepts broken proof"),
        (Behaviour.ANSWERS_LONG, "registry: proof refused"),
        (Behaviour.BURNS_GAS, "registry: proof refused"),
    ],
)
def test_a_verifier_that_always_says_yes(world, client, behaviour, reason):
    """A developer registers a verifier that takes anything and answers its own PROVED queries with
    nothing: until its verifier has refused two false statements a version is not provable."""
    edge = EdgeType(DType.INT32, (2,), -(2**31), 2**31 - 1)
    facts = ShardFacts((edge,), (edge,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    verifier, registry = deploy_verifier(behaviour), world.lower.registry
    shards = with_circuits((facts,), code_hash(verifier))
    version_id = register_version(registry, world.developer, shards, (verifier,))
    values = edge.encode(np.array([7, 8]))
    with boa.reverts(reason):
        registry.prove_corner(version_id, 0, values, values, bytes(32))
    with boa.reverts():
        world.request(
            client, input=values, version_id=version_id, assurance=Assurance.PROVED, replicas=1
        )
    assert not registry.offer(version_id).provable


def test_a_verifier_is_not_exchanged_behind_its_version(world):
    """A developer shows a good verifier and registers the code hash of another: the registry
    compares the deployed code, and nothing changes a version's verifiers later."""
    good, bad = deploy_verifier(Behaviour.CHECKS), deploy_verifier(Behaviour.ACCEPTS_ALL)
    facts = ShardFacts((INPUT_EDGE,), (OUTPUT_EDGE,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    registry = world.lower.registry
    assert code_hash(good) != code_hash(bad)
    with boa.reverts("registry: other verifier"):
        shards = with_circuits((facts,), code_hash(good))
        register_version(registry, world.developer, shards, (bad,))
    names = {entry.get("name", "") for entry in interface("ModelRegistry").entries}
    assert {name for name in names if name.startswith("set_")} == {"set_price"}
