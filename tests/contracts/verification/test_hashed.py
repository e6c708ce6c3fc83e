"""Proofs about tensors that a circuit hashes: the router gets digests in their place."""

import boa
import pytest

from nesa.protocol.circuits import ShownEdge
from nesa.protocol.digests import boundary_digest
from tests.contracts.verification.test_verify import DATA, INPUT, OUTPUT
from tests.contracts.verifiers import FIELD, true_proof

HASHED = ShownEdge(INPUT, is_hashed=True)
HASHED_OUTPUT = ShownEdge(OUTPUT, is_hashed=True)
DIGEST = (FIELD - 1).to_bytes(32, "big")
OTHER = (1).to_bytes(32, "big")


def ask(router, verifier, edges, data, proof):
    return router.verify(verifier, *(edge.pack() for edge in edges), *data, proof)


def test_a_hashed_input_gives_its_digest(router, verifier):
    edges, data = (HASHED, ShownEdge(OUTPUT)), (DIGEST, DATA[1])
    digests = ask(router, verifier, edges, data, true_proof(edges, data))
    assert digests == (DIGEST, boundary_digest([OUTPUT], DATA[1:]))


def test_two_hashed_tensors_give_two_digests(router, verifier):
    edges, data = (HASHED, HASHED_OUTPUT), (DIGEST, OTHER)
    assert ask(router, verifier, edges, data, true_proof(edges, data)) == data


def test_a_ciphertext_behind_the_digest_of_an_output_is_not_looked_at(router, verifier):
    edges, data = (HASHED, HASHED_OUTPUT), (DIGEST, OTHER)
    proof = true_proof(edges, data)
    assert ask(router, verifier, edges, (DIGEST, OTHER + b"sealed"), proof) == data


@pytest.mark.parametrize("given", [OTHER, bytes(32)])
def test_a_proof_of_another_digest_is_refused(router, verifier, given):
    edges = (HASHED, HASHED_OUTPUT)
    proof = true_proof(edges, (DIGEST, OTHER))
    with boa.reverts("router: proof refused"):
        ask(router, verifier, edges, (given, OTHER), proof)
    with boa.reverts("router: proof refused"):
        ask(router, verifier, edges, (DIGEST, DIGEST), proof)


@pytest.mark.parametrize("number", [FIELD, FIELD + 1, 2**256 - 1])
def test_a_digest_is_one_element_below_the_modulus(router, verifier, number):
    """Else one tensor had several digests, and what is taken once could be asked again."""
    edges, data = (HASHED, HASHED_OUTPUT), (number.to_bytes(32, "big"), OTHER)
    with boa.reverts("router: no digest"):
        ask(router, verifier, edges, data, true_proof(edges, data))
    with boa.reverts("router: no digest"):
        ask(router, verifier, edges, data[::-1], true_proof(edges, data[::-1]))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_hashed_input_is_one_digest_long(router, verifier, length):
    data = (bytes(length), OTHER)
    with boa.reverts("router: wrong length"):
        ask(router, verifier, (HASHED, HASHED_OUTPUT), data, bytes(32))


@pytest.mark.parametrize("length", [0, 31])
def test_a_hashed_output_has_a_digest(router, verifier, length):
    with boa.reverts("router: wrong length"):
        ask(router, verifier, (HASHED, HASHED_OUTPUT), (DIGEST, bytes(length)), bytes(32))
