"""Circuits that hash: what they show, what bounds it, and what they compute."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nesa.models.proving import process
from nesa.models.proving.circuits import working_folder
from nesa.models.proving.compiled import CompiledGraph
from nesa.models.proving.field import MODULUS
from nesa.models.proving.hashing import element_of, poseidon, tensor_hash
from nesa.models.proving.keys import provide_keys
from nesa.models.proving.proofs import Proof
from nesa.models.proving.prover import NO_BLIND, Prover
from nesa.models.proving.rules import check_circuit
from nesa.models.runtime import ShardRunner
from nesa.protocol.circuits import BLIND_ELEMENTS, CircuitKind, Ends, ShownEdge, circuit_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidMessage, InvalidModel, InvalidTensor
from tests.models.proving.shards import MODELS, compiled, keyless_prover, model, provable

NAME = "hashed/breast-cancer-mlp-hashed"
FIRST, LAST = provable(NAME, 0), provable(NAME, 1)
BLIND = bytes(range(32))
CACHE = MODELS.parent / ".cache" / "proving"


@pytest.fixture
async def graph(tmp_path: Path) -> CompiledGraph:
    return await compiled(FIRST.circuit, tmp_path)


def check(graph: CompiledGraph) -> None:
    circuit = FIRST.circuit
    check_circuit(graph, circuit.source, circuit.result, circuit.reference.identity.k)


def row_of(shard, seed: int) -> np.ndarray:
    edge = shard.circuit.source.edge
    return np.random.default_rng(seed).integers(edge.low, edge.high + 1, edge.shape)


def outputs(number: int, row: np.ndarray) -> tuple[bytes, bytes]:
    """Canonical bytes of an input of a shard, and of what it gives."""
    facts = model(NAME).shards[number]
    given = facts.input_edges[0].encode(row)
    (computed,) = ShardRunner(model(NAME).shard_file(number), facts).run((given,))
    return given, computed


# --- What is hashed ---


def test_a_digest_is_of_the_whole_tensor_and_the_whole_blind():
    edge = FIRST.circuit.source.edge
    zeros = bytes(edge.nbytes)
    shown = tensor_hash(edge, zeros, BLIND)
    assert shown == tensor_hash(edge, zeros, BLIND)
    others = {tensor_hash(edge, bytes([i]) + zeros[1:], BLIND) for i in (1, 127, 255)}
    others |= {tensor_hash(edge, zeros[:-1] + b"\1", BLIND)}
    for place in range(len(BLIND)):
        changed = BLIND[:place] + bytes([BLIND[place] ^ 128]) + BLIND[place + 1 :]
        others.add(tensor_hash(edge, zeros, changed))
    assert len(others - {shown}) == 4 + len(BLIND)


def test_tensors_of_other_lengths_have_other_digests():
    for count in (1, 2, 30, 46):
        assert poseidon([0] * count) != poseidon([0] * (count + 1))


def test_a_digest_is_below_the_modulus():
    assert element_of(poseidon([1, 2, -3])) < MODULUS
    for wrong in (MODULUS.to_bytes(32, "big"), bytes(31), bytes(33), b"\xff" * 32):
        with pytest.raises(InvalidMessage):
            element_of(wrong)


@pytest.mark.parametrize("blind", [b"", bytes(31), bytes(33)])
def test_a_blind_of_another_length_is_refused(blind: bytes):
    edge = FIRST.circuit.source.edge
    with pytest.raises(InvalidTensor, match="a blind has 32 bytes"):
        tensor_hash(edge, bytes(edge.nbytes), blind)


def test_what_leaves_its_range_has_no_digest():
    edge = EdgeType(DType.INT8, (2,), -5, 5)
    with pytest.raises(InvalidTensor, match="leave the range"):
        tensor_hash(edge, b"\6\0", BLIND)


def test_the_circuit_digest_says_what_is_hashed():
    key = FIRST.circuit.verifying_key
    every = [Ends(*ends) for ends in ((False, False), (True, False), (True, True))]
    assert len({circuit_digest(key, ends) for ends in every}) == 3
    assert [shard.circuit.ends for shard in (FIRST, LAST)] == [every[2], every[1]]


def test_kinds_hash_every_boundary_but_perhaps_the_answer():
    ends = [CircuitKind.HASHED.ends(shard, 3) for shard in range(3)]
    assert ends == [Ends(True, True), Ends(True, True), Ends(True, False)]
    assert CircuitKind.HASHED_ANSWER.ends(2, 3) == Ends(True, True)
    assert CircuitKind.PUBLIC.ends(0, 1).is_public


@pytest.mark.parametrize("is_hashed", [False, True])
def test_a_shown_edge_is_one_word(is_hashed: bool):
    shown = ShownEdge(FIRST.circuit.source.edge, is_hashed)
    assert ShownEdge.unpack(shown.pack()) == shown
    for wrong in (b"\3" + shown.pack()[1:], shown.pack()[1:], b""):
        with pytest.raises(InvalidTensor):
            ShownEdge.unpack(wrong)


# --- What is computed ---


@pytest.mark.parametrize("number", [0, 1])
async def test_the_circuit_computes_what_the_table_says(number: int, tmp_path: Path):
    prover = await keyless_prover(provable(NAME, number).circuit, tmp_path)
    for seed in range(2):
        row = row_of(prover, seed)
        _, computed = outputs(number, row)
        edge = prover.circuit.result.edge
        assert (
            await prover.witness(row.reshape(-1).tolist()) == edge.decode(computed).ravel().tolist()
        )


async def test_a_value_beyond_the_range_counts_as_its_end(tmp_path: Path):
    """A hash bounds nothing, so the circuit itself clips; the digest stays that of what came in."""
    prover = await keyless_prover(FIRST.circuit, tmp_path)
    beyond = [1000, -999, 200, *[0] * 27]
    ends = [127, -127, 127, *[0] * 27]
    blind = [0] * BLIND_ELEMENTS
    found = await prover._witness_into(tmp_path, [*beyond, *blind])
    assert found == await prover._witness_into(tmp_path, [*ends, *blind])
    assert poseidon([*beyond, *blind]) != poseidon([*ends, *blind])


async def test_a_blind_reaches_the_output_and_nothing_else(tmp_path: Path):
    prover = await keyless_prover(FIRST.circuit, tmp_path)
    row, size = [3] * 30, FIRST.circuit.result.edge.elements
    zero = await prover._witness_into(tmp_path, [*row, *[0] * BLIND_ELEMENTS])
    other = await prover._witness_into(tmp_path, [*row, *range(1, BLIND_ELEMENTS + 1)])
    assert other[:size] == zero[:size]
    assert (zero[size:], other[size:]) == ([0] * 16, list(range(1, BLIND_ELEMENTS + 1)))


# --- Rules ---


def first(graph: CompiledGraph, name: str) -> int:
    return next(number for number, n in graph.nodes.items() if n.operation.name == name)


def with_node(graph: CompiledGraph, number: int, **changes) -> CompiledGraph:
    nodes = {**graph.nodes, number: replace(graph.nodes[number], **changes)}
    return replace(graph, nodes=nodes)


def with_fields(graph: CompiledGraph, number: int, **fields) -> CompiledGraph:
    operation = graph.nodes[number].operation
    changed = replace(operation, fields={**operation.fields, **fields})
    return with_node(graph, number, operation=changed)


def test_the_committed_circuit_keeps_every_rule(graph: CompiledGraph):
    check(graph)


@pytest.mark.parametrize("half", ["maximum", "minimum"])
def test_an_input_that_is_not_clipped_is_refused(graph: CompiledGraph, half: str):
    number = first(graph, half)
    identity = replace(graph.nodes[number].operation, name="identity", fields={"scale": None})
    inputs = graph.nodes[number].inputs[:1]
    with pytest.raises(InvalidModel, match="reads a hashed input unclipped"):
        check(with_node(graph, number, operation=identity, inputs=inputs))


def test_a_wider_clip_is_refused(graph: CompiledGraph):
    bound = graph.nodes[graph.nodes[first(graph, "maximum")].inputs[1][0]]
    constant = replace(bound.operation, constant=np.full(bound.shape, -1000, np.int64))
    number = graph.nodes[first(graph, "maximum")].inputs[1][0]
    with pytest.raises(InvalidModel, match="unclipped"):
        check(with_node(graph, number, operation=constant))


def test_a_model_that_reads_the_blind_is_refused(graph: CompiledGraph):
    tensor = first(graph, "slice")
    with pytest.raises(InvalidModel, match="cut off its blind"):
        check(with_fields(graph, tensor, start=1, end=31))


def test_an_output_that_ends_with_another_blind_is_refused(graph: CompiledGraph):
    (out, _), joined = graph.outputs[0], graph.nodes[graph.outputs[0][0]]
    swapped = with_node(graph, out, inputs=joined.inputs[::-1])
    with pytest.raises(InvalidModel, match=r"outputs reach|does not end"):
        check(swapped)
    twice = with_node(graph, out, inputs=(joined.inputs[0], (first(graph, "minimum"), 0)))
    with pytest.raises(InvalidModel):
        check(twice)


@pytest.mark.parametrize("side", ["input", "output"])
def test_another_visibility_is_refused(graph: CompiledGraph, side: str):
    run_args = {**graph.run_args, f"{side}_visibility": "public"}
    with pytest.raises(InvalidModel, match="visibility"):
        check(replace(graph, run_args=run_args))


# --- Proofs ---


@pytest.mark.parametrize("shard", [FIRST, LAST], ids=["first", "last"])
async def test_the_corner_proof_holds_for_its_digests_only(shard):
    proof = shard.corner_proof
    assert await shard.verify(proof)
    for place in range(len(proof.instances)):
        changed = list(proof.instances)
        changed[place] = (changed[place] + 1) % MODULUS
        assert not await shard.verify(Proof(proof.proof, tuple(changed)))


async def test_a_wrong_output_or_blind_is_not_proved(tmp_path: Path):
    prover = await keyless_prover(FIRST.circuit, tmp_path)
    given, computed = outputs(0, row_of(FIRST, 5))
    with pytest.raises(InvalidTensor, match="another output"):
        await prover.prove(given, bytes([computed[0] ^ 1]) + computed[1:], BLIND)
    with pytest.raises(InvalidTensor, match="a blind has"):
        await prover.prove(given, computed, BLIND[1:])


@pytest.mark.deep
@pytest.mark.timeout(600)
async def test_two_proofs_of_one_query_meet_in_the_middle():
    row = row_of(FIRST, 9)
    given, middle = outputs(0, row)
    _, answer = outputs(1, FIRST.circuit.result.edge.decode(middle))
    before = await (await Prover.open(FIRST.circuit, CACHE)).prove(given, middle, BLIND)
    after = await (await Prover.open(LAST.circuit, CACHE)).prove(middle, answer, BLIND)
    digest = element_of(tensor_hash(FIRST.circuit.source.edge, given, BLIND))
    assert before.instances[0] == digest
    assert before.instances[1] == after.instances[0]
    assert after.instances[0] != (await _other_blind(middle, answer)).instances[0]


async def _other_blind(given: bytes, computed: bytes) -> Proof:
    return await (await Prover.open(LAST.circuit, CACHE)).prove(given, computed, NO_BLIND)


@pytest.mark.deep
@pytest.mark.timeout(600)
async def test_no_proof_shows_another_digest_than_that_of_its_input():
    """A prover that forges what its witness says was hashed gets no proof that holds."""
    prover = await Prover.open(FIRST.circuit, CACHE)
    row = [*row_of(FIRST, 3).reshape(-1).tolist(), *[7] * BLIND_ELEMENTS]
    forged = poseidon([*[0] * 30, *[7] * BLIND_ELEMENTS])
    with working_folder(prover.cache) as folder:
        await prover._witness_into(folder, row)
        witness = json.loads((folder / "witness.json").read_bytes())
        witness["processed_inputs"]["poseidon_hash"] = [forged[::-1].hex()]
        (folder / "witness.json").write_text(json.dumps(witness))
        try:
            proof = await prover._prove_in(folder)
        except process.ProvingFailed:
            return
    assert element_of(forged) in proof.instances
    assert not await FIRST.verify(proof)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shard", [FIRST, LAST], ids=["first", "last"])
async def test_set_up_reproduces_the_committed_verifying_key(shard, tmp_path: Path):
    await provide_keys(shard.circuit, tmp_path)
