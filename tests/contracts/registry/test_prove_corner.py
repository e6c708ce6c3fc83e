import boa
import numpy as np
import pytest

from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier, true_proof
from tests.deployment import (
    INPUT_EDGE,
    MIDDLE_EDGE,
    OUTPUT_EDGE,
    register_version,
    with_circuits,
)

INPUT = INPUT_EDGE.encode(np.array([[-127, 127, 0, 1]]))
MIDDLE = MIDDLE_EDGE.encode(np.array([[-127, 7, 9]]))
OUTPUT = OUTPUT_EDGE.encode(np.array([[300, -300]]))
CORNERS = (
    (INPUT, MIDDLE, true_proof((INPUT_EDGE, MIDDLE_EDGE), (INPUT, MIDDLE))),
    (MIDDLE, OUTPUT, true_proof((MIDDLE_EDGE, OUTPUT_EDGE), (MIDDLE, OUTPUT))),
)


def test_the_last_shard_makes_the_version_provable(
    registry, outsider, verifier, circuit_version_id
):
    registry.prove_corner(circuit_version_id, 1, *CORNERS[1], sender=outsider)
    (log,) = registry.get_logs()
    assert (log.shard, log.verifier) == (1, verifier.address)
    assert not registry.offer(circuit_version_id).provable

    registry.prove_corner(circuit_version_id, 0, *CORNERS[0], sender=outsider)
    offer = registry.offer(circuit_version_id)
    assert offer.provable
    assert (offer.shards, offer.royalty_bps) == (2, 1_000)


def test_a_second_time_reverts(registry, circuit_version_id):
    registry.prove_corner(circuit_version_id, 0, *CORNERS[0])
    with boa.reverts("registry: already shown"):
        registry.prove_corner(circuit_version_id, 0, *CORNERS[0])


@pytest.mark.parametrize("first", [-(2**31), 2**31 - 1, 0, 258])
def test_any_first_value_can_be_shown(registry, developer, verifier, first):
    edge = EdgeType(DType.INT32, (1,), -(2**31), 2**31 - 1)
    facts = ShardFacts((edge,), (edge,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    shards = with_circuits((facts,), code_hash(verifier))
    version_id = register_version(registry, developer, shards, (verifier,))
    values = edge.encode(np.array([first]))
    proof = true_proof((edge, edge), (values, values))
    registry.prove_corner(version_id, 0, values, values, proof)
    assert registry.offer(version_id).provable


def test_no_proof_at_all_reverts(registry, developer):
    """There is nothing of it to break, so the verifier could not be seen to look."""
    edge = EdgeType(DType.INT8, (2,), -127, 127)
    facts = ShardFacts((edge,), (edge,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    careless = deploy_verifier(Behaviour.IGNORES_PROOF)
    shards = with_circuits((facts,), code_hash(careless))
    version_id = register_version(registry, developer, shards, (careless,))
    with boa.reverts("registry: no proof"):
        registry.prove_corner(version_id, 0, b"\7\x08", b"\7\x08", b"")


def test_a_false_proof_reverts(registry, circuit_version_id):
    with boa.reverts("registry: proof refused"):
        registry.prove_corner(circuit_version_id, 0, *CORNERS[0][:2], bytes(32))


def test_values_that_do_not_fit_revert(registry, circuit_version_id):
    with boa.reverts("router: wrong length"):
        registry.prove_corner(circuit_version_id, 0, INPUT, b"", CORNERS[0][2])
    with boa.reverts("router: value out of range"):
        registry.prove_corner(circuit_version_id, 0, INPUT, b"\x80\0\0", CORNERS[0][2])


def test_what_cannot_be_proved_reverts(registry, version_id, circuit_version_id, developer):
    with boa.reverts("registry: no circuit"):
        registry.prove_corner(version_id, 0, *CORNERS[0])
    with boa.reverts("registry: no circuit"):
        registry.prove_corner(circuit_version_id, 2, *CORNERS[0])
    with boa.reverts("registry: unknown version"):
        registry.prove_corner(bytes(32), 0, *CORNERS[0])
    registry.retire(circuit_version_id, sender=developer)
    with boa.reverts("registry: version is retired"):
        registry.prove_corner(circuit_version_id, 0, *CORNERS[0])
