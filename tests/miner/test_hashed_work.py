"""What a prover of a sealed query commits to: digests that proofs show, not blinded ones."""

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from nesa.models.folder import load
from nesa.models.proving.hashing import tensor_hash
from nesa.models.proving.prover import NO_BLIND
from nesa.models.runtime import ShardRunner
from nesa.privacy.sealing import open_answer, proof_blind, seal_input
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import Assurance, Privacy
from nesa_miner.work import Task, compute, is_proved_sealed, requested_input
from tests.miner.committee_network import MODEL as FOLDER
from tests.miner.committee_network import proved_request

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
MODEL = load(FOLDER)
FIRST, LAST = MODEL.shards
(EDGE,) = FIRST.input_edges
INPUT = EDGE.encode(MODEL.test_rows().inputs[0].reshape(EDGE.shape))
BLIND = proof_blind(KEY)
QUERY = replace(
    proved_request(MODEL, 0).query,
    privacy=Privacy.SEALED,
    shards=2,
    input_digest=tensor_hash(EDGE, INPUT, BLIND),
)


def task(shard, kind=CircuitKind.HASHED, key=KEY, query=QUERY):
    return Task(query, shard, key, kind)


def run(shard, tensor, kind=CircuitKind.HASHED):
    facts = MODEL.shards[shard]
    runner = ShardRunner(MODEL.shard_file(shard), facts)
    return compute(task(shard, kind), facts, runner.run, (tensor,))


def test_provers_commit_to_what_their_proofs_show():
    first = run(0, INPUT)
    last = run(1, first.tensors[0])
    assert first.in_digest == QUERY.input_digest
    assert first.out_digest == tensor_hash(FIRST.output_edges[0], first.tensors[0], BLIND)
    assert last.in_digest == first.out_digest
    assert (first.payload, first.payload_hash) == (b"", ZERO_DIGEST)


def test_an_answer_that_everybody_sees_goes_on_chain_as_it_is():
    last = run(1, run(0, INPUT).tensors[0])
    assert last.payload == last.tensors[0]
    assert last.payload_hash == keccak(last.payload)
    assert last.out_digest == boundary_digest(LAST.output_edges, last.tensors)


def test_a_hidden_answer_goes_on_chain_as_digest_and_ciphertext():
    last = run(1, run(0, INPUT).tensors[0], CircuitKind.HASHED_ANSWER)
    assert last.out_digest == tensor_hash(LAST.output_edges[0], last.tensors[0], BLIND)
    assert last.payload[:32] == last.out_digest
    opened = open_answer(KEY, QUERY.version_id, QUERY.input_digest, last.payload[32:])
    assert opened == last.tensors[0]


def test_an_input_under_another_key_or_blind_is_not_proved():
    sent = seal_input(KEY, QUERY.version_id, INPUT)
    assert requested_input(task(0), FIRST, sent) == (INPUT,)
    with pytest.raises(InvalidMessage, match="does not open"):
        requested_input(task(0, key=OTHER_KEY), FIRST, sent)
    unblinded = replace(QUERY, input_digest=tensor_hash(EDGE, INPUT, NO_BLIND))
    with pytest.raises(InvalidMessage, match="not what the request's digest names"):
        requested_input(task(0, query=unblinded), FIRST, sent)
    other = seal_input(KEY, QUERY.version_id, bytes(len(INPUT)))
    with pytest.raises(InvalidMessage, match="not what the request's digest names"):
        requested_input(task(0), FIRST, other)


def test_only_proved_sealed_queries_are_hashed():
    assert is_proved_sealed(QUERY)
    assert not is_proved_sealed(replace(QUERY, assurance=Assurance.AGREED))
    assert not is_proved_sealed(replace(QUERY, privacy=Privacy.OPEN))
    assert task(0, CircuitKind.PUBLIC).digest(0, FIRST.input_edges, (INPUT,)) != QUERY.input_digest
