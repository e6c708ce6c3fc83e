"""The shipped models' verifiers behind the router, and their versions in the registry."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.models.folder import load
from nesa.models.proving.artefacts import read_provable_shard
from nesa.models.proving.hashing import tensor_hash
from nesa.models.proving.prover import NO_BLIND
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import Address
from nesa.protocol.versions import version_id
from tests.contracts.verifiers import instances
from tests.deployment import ROOT
from tests.revm import Revert, RevmChain, RevmContract

DEVELOPER = "0x" + "de" * 20
ANYBODY = "0x" + "aa" * 20

PROVABLE = 4  # its place in an offer

SELECTOR = keccak(text="verifyProof(bytes,uint256[])")[:4]

VERIFY_TYPES = ["address", "bytes32", "bytes32", "bytes", "bytes", "bytes"]
VERIFY_SELECTOR = keccak(text=f"verify({','.join(VERIFY_TYPES)})")[:4]


HASHED_MODEL = "hashed/breast-cancer-mlp-hashed"


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn", HASHED_MODEL])
def world(request):
    """A shipped model, its verifiers deployed, and the contracts that ask them."""
    folder = ROOT / "models" / request.param
    model = load(folder)
    chain = RevmChain()
    shards = [read_provable_shard(folder, model, index) for index in range(len(model.shards))]
    verifiers = [chain.evm.deploy(deployer=DEVELOPER, code=shard.creation) for shard in shards]
    router = chain.deploy("contracts/verification/ProofRouter")
    registry = chain.deploy("contracts/registry/ModelRegistry", router.address)
    return SimpleNamespace(
        chain=chain,
        model=model,
        shards=shards,
        corners=[shard.corner for shard in shards],
        verifiers=[RevmContract(chain, address, []).address for address in verifiers],
        router=router,
        registry=registry,
    )


def edges(world, shard):
    circuit = world.shards[shard].circuit
    return circuit.source, circuit.result


def digest_of(edge, data):
    return data if edge.is_hashed else boundary_digest([edge.edge], [data])


def question(world, shard, **changes):
    """Arguments of `verify` for the shard's corner proof."""
    first, last = edges(world, shard)
    corner = world.corners[shard]
    asked = {"input": corner.input, "output": corner.output, "proof": corner.proof} | changes
    return world.verifiers[shard], first.pack(), last.pack(), *asked.values()


def others(shown, data):
    """Other tensors, or digests of other tensors."""
    if shown.is_hashed:
        return [tensor_hash(shown.edge, bytes(shown.edge.nbytes), NO_BLIND), bytes(32)]
    edge, found = shown.edge, []
    values = edge.decode(data)
    for position in (0, values.size - 1):
        other = values.copy()
        other.flat[position] = edge.low if other.flat[position] != edge.low else edge.high
        found.append(edge.encode(other))
    return found


@pytest.mark.parametrize("shard", [0, 1])
def test_a_corner_proof_is_accepted(world, shard):
    first, last = edges(world, shard)
    corner = world.corners[shard]
    expected = (digest_of(first, corner.input), digest_of(last, corner.output))
    assert world.router.verify(*question(world, shard)) == expected


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("position", [0, 7, 31, 64, 1_000, -1, -33])
def test_a_changed_proof_is_refused(world, shard, position):
    proof = bytearray(world.corners[shard].proof)
    proof[position] ^= 1
    assert not world.router.try_verify(*question(world, shard, proof=bytes(proof)))


@pytest.mark.parametrize("shard", [0, 1])
def test_other_lengths_are_refused(world, shard):
    proof = world.corners[shard].proof
    for other in (b"", proof[:-1], proof[:-32], proof + b"\0", proof + bytes(32)):
        assert not world.router.try_verify(*question(world, shard, proof=other))


@pytest.mark.parametrize("shard", [0, 1])
@pytest.mark.parametrize("side", [0, 1])
def test_other_values_are_refused(world, shard, side):
    edge = edges(world, shard)[side]
    name = ("input", "output")[side]
    for other in others(edge, getattr(world.corners[shard], name)):
        assert not world.router.try_verify(*question(world, shard, **{name: other}))


@pytest.mark.parametrize("shard", [0, 1])
def test_calldata_that_is_not_canonical_is_refused(world, shard):
    corner = world.corners[shard]
    values = instances(edges(world, shard), (corner.input, corner.output))
    canonical = SELECTOR + encode(["bytes", "uint256[]"], [corner.proof, values])
    assert int.from_bytes(world.chain.send(ANYBODY, world.verifiers[shard], canonical)) == 1

    # The same proof, one word further back.
    size, count = len(corner.proof), len(values)
    words = [96, 128 + size, 0, size]
    shifted = b"".join(word.to_bytes(32, "big") for word in words) + corner.proof
    shifted += b"".join(word.to_bytes(32, "big") for word in (count, *values))
    with pytest.raises(Revert):
        world.chain.send(ANYBODY, world.verifiers[shard], SELECTOR + shifted)


def test_the_version_becomes_provable(world):
    registry, model = world.registry, world.model
    shards = [shard.as_abi() for shard in model.shards]
    version = (model.name, "", model.operators_root, model.metadata_digest, shards)
    terms = (world.verifiers, 1, 1, 1, ZERO_ADDRESS)
    registered = registry.register(*version, *terms, sender=DEVELOPER)
    assert registered == version_id(Address(DEVELOPER), model.root)
    if edges(world, 0)[0].is_hashed:
        keys = [keccak(shard.circuit.verifying_key) for shard in world.shards]
        registry.declare_hashed(registered, False, keys, sender=ANYBODY)
    assert not registry.offer(registered)[PROVABLE]
    for index, corner in enumerate(world.corners):
        evidence = (corner.input, corner.output, corner.proof)
        registry.prove_corner(registered, index, *evidence, sender=ANYBODY)
    assert registry.offer(registered)[PROVABLE]


@pytest.mark.parametrize("shard", [0, 1])
def test_asking_through_the_router_costs_little_more(world, shard):
    corner = world.corners[shard]
    values = instances(edges(world, shard), (corner.input, corner.output))
    bare = SELECTOR + encode(["bytes", "uint256[]"], [corner.proof, values])
    world.chain.cool()
    world.chain.send(ANYBODY, world.verifiers[shard], bare)
    bare_gas = world.chain.gas_used
    routed = VERIFY_SELECTOR + encode(VERIFY_TYPES, list(question(world, shard)))
    world.chain.cool()
    world.chain.send(ANYBODY, world.router.address, routed)
    assert world.chain.gas_used <= 1.056 * bare_gas
