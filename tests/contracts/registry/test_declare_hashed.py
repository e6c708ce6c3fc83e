import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.circuits import CircuitKind, ShownEdge
from tests.contracts.registry.test_prove_corner import CORNERS
from tests.contracts.verifiers import code_hash, true_proof
from tests.deployment import (
    INPUT_EDGE,
    MIDDLE_EDGE,
    OUTPUT_EDGE,
    SHARDS,
    key_of,
    register_version,
    with_hashed_circuits,
)

KEYS = [keccak(key_of(shard)) for shard in range(2)]
EDGES = (INPUT_EDGE, MIDDLE_EDGE, OUTPUT_EDGE)
DIGESTS = tuple(bytes([0]) + keccak(edge.pack())[1:] for edge in EDGES)
HIDES_ANSWER = {CircuitKind.HASHED: False, CircuitKind.HASHED_ANSWER: True}


@pytest.fixture(params=HIDES_ANSWER)
def kind(request):
    return request.param


@pytest.fixture
def hashed_id(registry, developer, verifier, kind):
    shards = with_hashed_circuits(SHARDS, code_hash(verifier), kind)
    return register_version(registry, developer, shards, (verifier, verifier))


def shown(kind, shard):
    """A shard's boundaries as its proofs show them, and what the chain gets of each."""
    ends = kind.ends(shard, 2)
    given = ShownEdge(EDGES[shard], ends.hashed_input)
    computed = ShownEdge(EDGES[shard + 1], ends.hashed_output)
    output = DIGESTS[shard + 1] if ends.hashed_output else CORNERS[1][1]
    return (given, computed), (DIGESTS[shard], output)


def test_hashed_circuits_are_declared_and_then_shown(registry, outsider, hashed_id, kind, verifier):
    assert not registry.offer(hashed_id).hashed
    registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS, sender=outsider)
    (log,) = registry.get_logs()
    assert (log.version_id, log.hashed_answer) == (hashed_id, HIDES_ANSWER[kind])
    assert registry.offer(hashed_id).hashed
    for shard in range(2):
        edges, data = shown(kind, shard)
        words = tuple(edge.pack() for edge in edges)
        assert registry.proof_terms(hashed_id, shard) == (verifier.address, *words)
        registry.prove_corner(hashed_id, shard, *data, true_proof(edges, data))
    assert registry.offer(hashed_id).provable


def test_public_circuits_cannot_be_declared(registry, circuit_version_id):
    for hides_answer in HIDES_ANSWER.values():
        with boa.reverts("registry: other circuits"):
            registry.declare_hashed(circuit_version_id, hides_answer, KEYS)


def test_a_version_without_circuits_cannot_be_declared(registry, version_id):
    with boa.reverts("registry: other circuits"):
        registry.declare_hashed(version_id, False, KEYS)


def test_what_the_circuit_digests_do_not_say_cannot_be_declared(registry, hashed_id, kind):
    with boa.reverts("registry: other circuits"):
        registry.declare_hashed(hashed_id, not HIDES_ANSWER[kind], KEYS)
    with boa.reverts("registry: other circuits"):
        registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS[::-1])
    with boa.reverts("registry: not one key each"):
        registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS[:1])
    with boa.reverts("registry: unknown version"):
        registry.declare_hashed(bytes(32), HIDES_ANSWER[kind], KEYS)


def test_a_version_is_declared_once_and_before_a_corner(registry, hashed_id, kind):
    registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS)
    with boa.reverts("registry: already declared"):
        registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS)


def test_a_corner_of_tensors_comes_too_early(registry, developer, hashed_id, kind, verifier):
    """The stand-in takes it, unlike a hashed circuit's verifier: then nothing can be declared."""
    registry.prove_corner(hashed_id, 0, *CORNERS[0])
    with boa.reverts("registry: declared too late"):
        registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS)


def test_a_corner_of_digests_needs_the_declaration(registry, hashed_id, kind):
    edges, data = shown(kind, 0)
    with boa.reverts("router: wrong length"):
        registry.prove_corner(hashed_id, 0, *data, true_proof(edges, data))


def test_prices_leave_what_was_declared(registry, developer, hashed_id, kind):
    registry.declare_hashed(hashed_id, HIDES_ANSWER[kind], KEYS)
    registry.set_price(hashed_id, 7, 8, sender=developer)
    offer = registry.offer(hashed_id)
    assert (offer.price, offer.proof_price, offer.hashed, offer.shards) == (7, 8, True, 2)
