from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.proving.artefacts import ProvableShard
from nesa.models.proving.bounds import outputs_at
from nesa.models.proving.corners import extreme_inputs
from nesa.models.proving.proofs import Proof, instances_of
from nesa.models.proving.prover import Prover
from nesa.models.proving.verifier import call_data
from nesa.models.reference import run_shard
from nesa.protocol.errors import InvalidTensor
from tests.models.proving.evm import Deployed
from tests.models.proving.shards import (
    SHARDS,
    compiled,
    corner_row,
    keyless_prover,
    model,
    provable,
    random_rows,
)

CACHE = Path(__file__).parents[3] / ".cache" / "proving"


def reference(name: str, number: int, row: np.ndarray) -> bytes:
    """Output of the operator table, as canonical bytes."""
    table, edge = model(name).table, model(name).shards[number].input_edges[0]
    (output,) = run_shard(table, table.shards[number], (edge.encode(row),))
    return output


@pytest.mark.parametrize(("name", "number"), SHARDS)
async def test_the_circuit_computes_what_the_table_says(name: str, number: int, tmp_path: Path):
    shard = provable(name, number)
    circuit = shard.circuit
    prover = await keyless_prover(circuit, tmp_path)
    corner = np.array(corner_row(shard)).reshape(circuit.source.edge.shape)

    for row in [
        *extreme_inputs(circuit.source.edge)[:4],
        corner,
        *random_rows(shard, 3, seed=number),
    ]:
        computed = await prover.witness(row.reshape(-1).tolist())
        expected = circuit.result.edge.decode(reference(name, number, row))
        assert computed == expected.reshape(-1).tolist()


@pytest.mark.parametrize(("name", "number"), SHARDS)
async def test_the_compiled_graph_computes_what_the_table_says(name, number, tmp_path: Path):
    shard = provable(name, number)
    circuit = shard.circuit
    graph = await compiled(circuit, tmp_path)

    for row in [*extreme_inputs(circuit.source.edge), *random_rows(shard, 100, seed=number)]:
        expected = circuit.result.edge.decode(reference(name, number, row)).reshape(-1).tolist()
        assert list(outputs_at(graph, row.reshape(-1).tolist())) == expected


@pytest.mark.parametrize(("name", "number"), SHARDS)
def test_the_corner_proof_states_what_the_table_says(name: str, number: int):
    shard = provable(name, number)
    row = np.array(corner_row(shard)).reshape(shard.circuit.source.edge.shape)

    assert shard.corner.output == reference(name, number, row)


@pytest.fixture
async def keyless(tmp_path: Path) -> Prover:
    return await keyless_prover(provable("digits-cnn", 0).circuit, tmp_path)


@pytest.mark.parametrize("value", [-1, 17, 2**40])
async def test_an_input_out_of_range_is_refused_before_anything_runs(
    keyless: Prover, value: int, monkeypatch
):
    monkeypatch.setattr("nesa.models.proving.prover.run_step", None)
    row = [value] + [0] * (keyless.circuit.source.elements - 1)

    with pytest.raises(InvalidTensor, match="leave the range"):
        await keyless.witness(row)


async def test_input_bytes_out_of_range_are_not_proved(keyless: Prover, monkeypatch):
    monkeypatch.setattr("nesa.models.proving.prover.run_step", None)
    edges = keyless.circuit.source.edge, keyless.circuit.result.edge

    with pytest.raises(InvalidTensor, match="leave the range"):
        await keyless.prove(b"\xff" * edges[0].nbytes, bytes(edges[1].nbytes))


async def test_an_input_of_another_length_is_refused(keyless: Prover):
    with pytest.raises(InvalidTensor, match="3 values where 64"):
        await keyless.witness([1, 2, 3])


async def test_a_wrong_output_is_not_proved(keyless: Prover):
    corner = provable("digits-cnn", 0).corner
    wrong = bytes([corner.output[0] ^ 1]) + corner.output[1:]

    with pytest.raises(InvalidTensor, match="another output"):
        await keyless.prove(corner.input, wrong)


async def test_refusals_leave_no_files(keyless: Prover):
    before = sorted(keyless.cache.iterdir())
    corner = provable("digits-cnn", 0).corner

    with pytest.raises(InvalidTensor):
        await keyless.prove(corner.input, bytes(len(corner.output)))

    assert sorted(keyless.cache.iterdir()) == before


async def prove_and_check(shard: ProvableShard, row: np.ndarray, expected: bytes) -> None:
    """A fresh proof holds off chain and on a real EVM, and speaks of the very values."""
    circuit = shard.circuit
    given = circuit.source.edge.encode(row)
    prover = await Prover.open(circuit, CACHE)

    proof = await prover.prove(given, expected)

    assert list(proof.instances) == instances_of(circuit.source, given, circuit.result, expected)
    assert await shard.verify(proof)
    assert int.from_bytes(Deployed(shard.creation).call(call_data(proof)), "big") == 1
    assert not await shard.verify(Proof(proof.proof, shard.corner_proof.instances))


async def test_a_fresh_proof_holds_on_and_off_chain():
    shard = provable("breast-cancer-mlp", 1)
    (row,) = random_rows(shard, 1, seed=9)

    await prove_and_check(shard, row, reference("breast-cancer-mlp", 1, row))


@pytest.mark.deep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "number"), SHARDS)
async def test_extreme_inputs_can_be_proved(name: str, number: int):
    shard = provable(name, number)
    for row in extreme_inputs(shard.circuit.source.edge)[:3]:
        await prove_and_check(shard, row, reference(name, number, row))


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "number"), SHARDS)
async def test_many_witnesses_are_what_the_table_says(name: str, number: int, tmp_path: Path):
    shard = provable(name, number)
    prover = await keyless_prover(shard.circuit, tmp_path)

    for row in [*extreme_inputs(shard.circuit.source.edge), *random_rows(shard, 100, seed=77)]:
        computed = await prover.witness(row.reshape(-1).tolist())
        expected = shard.circuit.result.edge.decode(reference(name, number, row))
        assert computed == expected.reshape(-1).tolist()
