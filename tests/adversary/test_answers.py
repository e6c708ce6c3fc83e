"""Attacks with answers: values that compare unlike themselves, and machines that disagree."""

import numpy as np
import pytest

from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidTensor
from scripts.setup.failure import SetupError
from tests.models.machines import MACHINES, computed, mismatches, table
from tests.models.onnx_runtime import SCALED, scaling_runner


@pytest.mark.parametrize("factor", [0.5, float("nan"), float("inf"), float("-inf"), 3.0])
def test_nan_inf_negzero(factor):
    """A model, or a liar, answers with a value that has two forms or equals nothing, so that honest
    members differ: minus zero is zero, and whatever is no integer of the edge never leaves."""
    negated = scaling_runner(-1.0)
    for runner in (negated, scaling_runner(1.0)):
        (zeros,) = runner.run((bytes(4),))
        assert boundary_digest([SCALED], [zeros]) == boundary_digest([SCALED], [bytes(4)])
    for values in ([[-0.0, 0.0, -0.0, 0.0]], np.zeros((1, 4))):
        assert SCALED.encode(np.array(values)) == bytes(4)
    with pytest.raises(InvalidTensor):
        scaling_runner(factor).run((bytes([1, 1, 1, 100]),))
    with pytest.raises(InvalidTensor):
        SCALED.encode(np.array([[factor * 101, 0, 0, 0]]))


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_two_machines_same_hash(capsys):
    """Somebody convicts an honest member whose processor rounds otherwise, or hides behind that: on
    newer, older and other processors every operator and every model gives the same bytes."""
    columns: dict[str, dict[str, str]] = {}
    missing, controls = [], set()
    for name, make in MACHINES.items():
        try:
            machine = make()
        except SetupError as problem:
            missing.append(f"{name}: {problem}")
            continue
        results = computed(machine)
        controls.add(results.pop("control")["fractions"])
        columns |= {f"{name}, {engine}": found for engine, found in results.items()}
    different = mismatches(columns)
    with capsys.disabled():
        print(f"\n{table(columns)}\n{len(different)} mismatches")
    assert different == []
    if missing:  # with machines missing the control may have nobody to differ from
        pytest.skip("; ".join(missing))
    assert len(controls) > 1, "no processor rounds fractions in another way: the zoo is blind"
