import boa
import numpy as np
import pytest

from nesa.protocol.edges import DType, EdgeType
from tests.contracts.verifiers import Behaviour, deploy_verifier, true_proof

EDGE = EdgeType(DType.UINT8, (2,), 1, 200)
DATA = EDGE.encode(np.array([1, 200]))
PROOF = true_proof((EDGE, EDGE), (DATA, DATA))


def ask(router, verifier, input_=DATA, output=DATA, proof=PROOF):
    return router.try_verify(verifier, EDGE.pack(), EDGE.pack(), input_, output, proof)


def test_says_whether_the_verifier_accepts(router, verifier):
    assert ask(router, verifier)
    assert not ask(router, verifier, proof=bytes(32))
    assert not ask(router, verifier, output=b"\x01\xc7")


@pytest.mark.parametrize(
    "behaviour", [Behaviour.ANSWERS_LONG, Behaviour.ANSWERS_TWO, Behaviour.BURNS_GAS]
)
def test_other_answers_are_no(router, behaviour):
    assert not ask(router, deploy_verifier(behaviour))


def test_values_that_do_not_fit_revert(router, verifier):
    with boa.reverts("router: value out of range"):
        ask(router, verifier, output=b"\x00\xc8")
    with boa.reverts("router: value out of range"):
        ask(router, verifier, input_=b"\x01\xc9")
    with boa.reverts("router: wrong length"):
        ask(router, verifier, input_=b"\x01")
