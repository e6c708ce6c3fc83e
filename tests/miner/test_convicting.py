"""A member that was wrong is named with its own signatures, to whoever asks, also afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from aiohttp.test_utils import make_mocked_request
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.privacy.envelopes import Opened
from nesa.protocol.commitments import attestation_hash, commitment, set_digest
from nesa.protocol.digests import boundary_digest
from nesa.protocol.faults import Equivocation, Outvoted, decode_fault, statements_of, verify_fault
from nesa.protocol.ids import Digest
from nesa.protocol.messages import Handoff
from nesa.protocol.queries import SignedResult
from nesa.protocol.signatures import sign_digest
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from nesa_miner.server import Routes
from tests.miner.committee_network import CommitteeNetwork, open_request

KEY = JobKey((1, 0))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


def engine_of(network: CommitteeNetwork, number: int) -> Engine:
    engine = network.miners[number].engine
    assert engine is not None
    return engine


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def kinds(network: CommitteeNetwork, number: int) -> set[tuple[str, str]]:
    faults = engine_of(network, number).around.journal.faults(KEY)
    return {(fault.kind, fault.signer) for fault in faults}


async def test_a_liar_is_named_by_everybody_and_after_a_restart(network: CommitteeNetwork) -> None:
    liar = network.miners[3]
    liar.library.tampers = True
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    named = {("Outvoted", liar.seat.signer)}
    await until(lambda: all(kinds(network, number) == named for number in range(3)))
    network.kill(0)
    network.start(0)
    response = await Routes(engine_of(network, 0)).faults(
        make_mocked_request("GET", "/", match_info={"query_id": "1", "attempt": "0"})
    )
    assert response.text is not None
    (shown,) = json.loads(response.text)
    fault = decode_fault(bytes.fromhex(shown["body"][2:]))
    assert isinstance(fault, Outvoted)
    verify_fault([miner.seat.signer for miner in network.miners[:4]], fault)


async def test_honest_members_are_never_named(network: CommitteeNetwork) -> None:
    network.kill(2)
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    assert all(kinds(network, number) == set() for number in (0, 1, 3, 4, 5, 6, 7))


async def test_who_hands_over_two_tensors_of_one_input_is_named(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    handoff = next(said for _, said in network.delivered if isinstance(said, Handoff))
    receiver = engine_of(network, 4)
    second = forged_by(network, handoff, (1, 2, 3))
    receiver.receive(Opened(network.miners[1].identity.address, second))
    both = {result.position for result in handoff.results} & {1, 2, 3}
    signers = {("Equivocation", network.miners[place].seat.signer) for place in both}
    assert both
    assert kinds(network, 4) == signers
    bodies = [decode_fault(kept.body) for kept in receiver.around.journal.faults(KEY)]
    assert {type(fault) for fault in bodies} == {Equivocation}
    assert statements_of(second)[0].out_digest == second.out_digest


def forged_by(network: CommitteeNetwork, first: Handoff, liars: tuple[int, ...]) -> Handoff:
    """What a quorum of liars signs besides the truth."""
    edges = network.model.shards[0].output_edges
    tensors = (bytes([first.tensors[0][0] ^ 1]) + first.tensors[0][1:],)
    out, salt = boundary_digest(edges, tensors), b"\7" * 32
    context, round_ = first.context, first.round + 1
    signers = [miner.seat.signer for miner in network.miners[:4]]
    entries = tuple(
        commitment(context, round_, signers[place], first.in_digest, out, salt)
        if place in liars
        else Digest(bytes(32))
        for place in range(4)
    )
    bare = replace(
        first, round=round_, out_digest=out, commitments=entries, tensors=tensors,
        results=tuple(SignedResult(place, salt, b"", b"") for place in liars),
    )  # fmt: skip
    assert statements_of(bare)[0].set_digest == set_digest(context, round_, entries)
    results = []
    for statement in statements_of(bare):
        signed = attestation_hash(context.chain_id, context.market, statement.attestation)
        key = PrivateKey(keccak(text=f"signer {statement.position}"))
        results.append(SignedResult(statement.position, salt, *sign_digest(key, signed)))
    return replace(bare, results=tuple(results))
