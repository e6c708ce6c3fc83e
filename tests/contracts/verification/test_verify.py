import boa
import numpy as np
import pytest

from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from tests.contracts.verifiers import Behaviour, deploy_verifier, true_proof

INPUT = EdgeType(DType.INT8, (1, 3), -5, 7)
OUTPUT = EdgeType(DType.INT16, (2,), -300, 300)
EDGES = (INPUT, OUTPUT)
PACKED = tuple(edge.pack() for edge in EDGES)
DATA = (INPUT.encode(np.array([[-5, 0, 7]])), OUTPUT.encode(np.array([-300, 299])))
PROOF = true_proof(EDGES, DATA)


def test_a_true_proof_gives_the_boundary_digests(router, verifier):
    digests = router.verify(verifier, *PACKED, *DATA, PROOF)
    assert digests == (boundary_digest([INPUT], DATA[:1]), boundary_digest([OUTPUT], DATA[1:]))


@pytest.mark.parametrize("behaviour", [Behaviour.CHECKS, Behaviour.SAYS_NO])
@pytest.mark.parametrize("proof", [b"", PROOF[:-1], PROOF + b"\0", bytes(32), bytes(4608)])
def test_a_false_proof_reverts(router, behaviour, proof):
    with boa.reverts("router: proof refused"):
        router.verify(deploy_verifier(behaviour), *PACKED, *DATA, proof)


@pytest.mark.parametrize(
    "other",
    [
        (INPUT.encode(np.array([[-5, 1, 7]])), DATA[1]),
        (DATA[0], OUTPUT.encode(np.array([-300, 298]))),
    ],
)
def test_a_proof_of_other_values_reverts(router, verifier, other):
    with boa.reverts("router: proof refused"):
        router.verify(verifier, *PACKED, *other, PROOF)


@pytest.mark.parametrize(
    "behaviour", [Behaviour.ANSWERS_LONG, Behaviour.ANSWERS_TWO, Behaviour.BURNS_GAS]
)
def test_only_one_word_that_is_one_counts(router, behaviour):
    with boa.reverts("router: proof refused"):
        router.verify(deploy_verifier(behaviour), *PACKED, *DATA, PROOF)


def test_an_account_without_code_reverts(router):
    with boa.reverts("router: proof refused"):
        router.verify(boa.env.generate_address("verifier"), *PACKED, *DATA, PROOF)


@pytest.mark.parametrize(
    "data",
    [
        (DATA[0][:-1], DATA[1]),
        (DATA[0] + b"\0", DATA[1]),
        (b"", DATA[1]),
        (DATA[0], DATA[1][:-1]),
        (DATA[0], DATA[1] + b"\0"),
    ],
)
def test_bytes_of_another_length_revert(router, verifier, data):
    with boa.reverts("router: wrong length"):
        router.verify(verifier, *PACKED, *data, PROOF)


@pytest.mark.parametrize(
    "data",
    [
        (b"\xfa\x00\x07", DATA[1]),  # -6
        (b"\xfb\x00\x08", DATA[1]),  # 8
        (b"\xfb\x80\x07", DATA[1]),  # -128
        (DATA[0], (-301).to_bytes(2, "little", signed=True) + b"\0\0"),
        (DATA[0], b"\0\0" + (301).to_bytes(2, "little")),
    ],
)
def test_a_value_outside_its_range_reverts(router, data):
    # Circuits do not bound their inputs, so that even a verifier that accepts all is not asked.
    with boa.reverts("router: value out of range"):
        router.verify(deploy_verifier(Behaviour.ACCEPTS_ALL), *PACKED, *data, PROOF)


def test_as_many_values_as_fit(router, verifier):
    full = EdgeType(DType.INT32, (64,), -(2**31), 2**31 - 1)
    data = full.encode(np.arange(64) * 67_000_000 - 2**31)
    proof = true_proof((full, full), (data, data))
    assert router.try_verify(verifier, full.pack(), full.pack(), data, data, proof)

    wider = EdgeType(DType.INT8, (65,), -1, 1)
    with boa.reverts("router: too many values"):
        router.verify(verifier, full.pack(), wider.pack(), data, bytes(65), proof)
    widest = EdgeType(DType.INT8, (129,), -1, 1)
    with boa.reverts("router: too many values"):
        router.verify(verifier, widest.pack(), full.pack(), bytes(129), data, proof)


@pytest.mark.parametrize("gas", [*range(200_000, 2_000_001, 200_000), 2_130_000])
def test_too_little_gas_reverts_at_every_limit(router, verifier, gas):
    # Never false: a low limit says nothing of the proof.
    with boa.reverts("router: too little gas"):
        router.try_verify(verifier, *PACKED, *DATA, PROOF, gas=gas)


def test_enough_gas_is_found_not_far_above_the_floor(router, verifier):
    assert router.try_verify(verifier, *PACKED, *DATA, PROOF, gas=2_160_000)


def test_just_above_the_floor_a_verifier_gets_all_its_gas(router):
    """As many and as long values as fit cost most before the verifier is called."""
    full = EdgeType(DType.INT32, (64,), -(2**31), 2**31 - 1)
    needy, data, proof = deploy_verifier(Behaviour.NEEDS_ALL_GAS), bytes(256), bytes(4608)
    answers = set()
    for gas in range(2_100_000, 2_300_000, 2_003):
        try:
            asked = (full.pack(), full.pack(), data, data, proof)
            answers.add(router.try_verify(needy, *asked, gas=gas))
        except boa.BoaError:
            answers.add("reverted")
    assert answers == {"reverted", True}


def test_a_verifier_gets_no_more_than_its_gas(router):
    hungry = deploy_verifier(Behaviour.BURNS_GAS)
    assert not router.try_verify(hungry, *PACKED, *DATA, PROOF)
    assert router._computation.get_gas_used() < 2_100_000
