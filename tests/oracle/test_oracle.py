"""An oracle against a real chain and members of every kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from eth_utils.crypto import keccak
from structlog.testing import capture_logs

from nesa.chain.anvil import free_port
from nesa.chain.committees import DrawnCommittees
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import QueryFulfilled, decode_event, raw_log
from nesa.protocol.digests import boundary_digest
from nesa.protocol.evidence import ShardEvidence, decode_evidence, encode_evidence
from nesa.protocol.ids import Address, Digest
from nesa.protocol.queries import Assurance, Outcome, Query, QueryStatus
from nesa_oracle.config import OracleSettings
from nesa_oracle.daemon import Oracle
from nesa_oracle.duties import SEED_BLOCKS
from nesa_oracle.journal import JobKey, Journal, Phase
from tests.chain.rpc_stub import stub_node
from tests.oracle.network import (
    MIDDLE_EDGE,
    OUTPUT_EDGE,
    QUICK,
    TENSORS,
    Network,
    Show,
    evidence_of,
    honest_bodies,
    members,
    operator_key,
    proved_bodies,
    true_proof,
    until,
    works,
)


@contextlib.asynccontextmanager
async def oracle(
    network: Network, connection: Connection, name: str | None, folder: Path, **changes: Any
) -> AsyncIterator[Journal]:
    """A running oracle that signs as `name`, or a dry one; `changes` are settings."""
    network.deployment.write(folder / "deployment.json")
    settings = OracleSettings(
        rpc_url=network.anvil.url,
        deployment=Path("deployment.json"),
        port=free_port(),
        poll_seconds=0.05,
        gather_seconds=3,
        **changes,
    ).in_folder(folder)
    journal = Journal(folder / f"{name}.sqlite", str(name))
    account = None if name is None else operator_key(name)
    async with ClientSession() as session:
        running = asyncio.create_task(
            Oracle(settings, connection, session, journal, account).serve()
        )
        try:
            yield journal
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            journal.close()


async def answer(connection: Connection, query: Query) -> Outcome:
    """Wait for the answer; returns its outcome."""
    market = Contracts(connection).market
    wanted = {"fromBlock": hex(query.seed_block), "address": market.address}
    found: list[Outcome] = []

    async def is_answered() -> bool:
        # The node shows a new state a moment before it finds the logs of the same block.
        logs = [raw_log(log) for log in await connection.request("eth_getLogs", wanted)]
        for event in map(decode_event, logs):
            if isinstance(event, QueryFulfilled) and event.query_id == query.query_id:
                found.append(event.outcome)
        return bool(found)

    await until(is_answered)
    assert await market.status_of(query.query_id, "latest") is QueryStatus.FULFILLED
    return found[0]


def key_of(query: Query) -> JobKey:
    return JobKey((query.query_id, query.attempt))


def first_oracle(network: Network, committees: DrawnCommittees, turn: int = 0) -> str:
    return network.name_of(committees.oracles[turn].signer)


async def test_an_agreed_query_is_answered_and_everybody_paid(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b1111, 0b1111]
    assert outcome.reporter == Address(operator_key(name).address)


async def test_a_report_is_sent_before_the_seed_block_has_a_successor(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED, blocks=1)
    committees = await network.committees(connection, query)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        await answer(connection, query)
    assert (await connection.head()).number == query.seed_block + 1


async def test_a_report_that_comes_too_early_for_the_node_is_kept(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    """Some nodes know no block after the newest and simulate on that one."""

    async def answers(method: str, params: list[Any]) -> None:
        params[:] = ["latest" if one == "pending" else one for one in params]

    query = await network.ask(connection, Assurance.AGREED, blocks=1)
    committees = await network.committees(connection, query)
    with capture_logs() as logs:
        async with (
            stub_node(answers, network.anvil.url) as url,
            Connection(url, network.deployment, QUICK) as behind,
            members(network, honest_bodies(network, committees)),
            oracle(network, behind, first_oracle(network, committees), tmp_path),
        ):
            await until_logged(logs, "submission")
            network.anvil.rpc("evm_mine")
            await answer(connection, query)
    assert [entry["event"] for entry in logs].count("report ready") == 1


async def test_the_python_draw_is_the_chains_draw(network: Network, connection: Connection) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    for shard, seats in enumerate(committees.shards):
        drawn = await Contracts(connection).committee.members(
            query, committees.seed_hash, shard, len(seats), "latest"
        )
        assert [seat.signer for seat in drawn] == [seat.signer for seat in seats]


async def silence(request: web.Request, body: bytes) -> web.StreamResponse:
    await asyncio.sleep(30)
    raise AssertionError


async def flood(request: web.Request, body: bytes) -> web.StreamResponse:
    """Never ends unless it is cut off."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(bytes(1 << 20))
    return response


async def garbage(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(body=b"\xff" * 1000)


async def error(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(status=500)


async def elsewhere(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})


async def forged(request: web.Request, body: bytes) -> web.StreamResponse:
    """The right shape, one signature of somebody else."""
    evidence = decode_evidence(body)
    first, second, *rest = evidence.results
    results = (replace(first, r=second.r), second, *rest)
    return web.Response(body=encode_evidence(replace(evidence, results=results)))


@pytest.mark.parametrize("show", [silence, flood, garbage, error, elsewhere, forged])
async def test_one_honest_member_a_shard_is_enough(
    network: Network, connection: Connection, tmp_path: Path, show: object
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    bad = {network.name_of(seat.signer): show for seats in committees.shards for seat in seats[1:]}
    async with (
        members(network, honest_bodies(network, committees), bad),  # type: ignore[arg-type]
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b1111, 0b1111]


async def test_different_results_of_one_set_are_paid_together(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    bodies = honest_bodies(network, committees)
    for seats in committees.shards:
        for left_out, seat in enumerate(seats):
            name = network.name_of(seat.signer)
            evidence = decode_evidence(bodies[name])
            kept = tuple(one for one in evidence.results if one.position != left_out)
            bodies[name] = encode_evidence(replace(evidence, results=kept))
    async with (
        members(network, bodies),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b1111, 0b1111]


async def test_an_absent_member_is_not_waited_for(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    bodies = honest_bodies(network, committees, absent=[2])
    async with (
        members(network, bodies),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b1011, 0b1011]


async def test_the_second_oracle_waits_for_its_turn(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    second = first_oracle(network, committees, turn=1)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, second, tmp_path) as journal,
    ):
        await asyncio.sleep(1.0)
        assert not journal.sent_hashes(key_of(query))
        network.pass_time(query.rules.oracle_turn)
        outcome = await answer(connection, query)
    assert outcome.fulfilled_at >= query.opened_at + query.rules.oracle_turn


async def test_an_answer_that_a_reorganisation_took_is_sent_again(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path) as journal,
    ):
        await answer(connection, query)

        async def is_noticed() -> bool:
            job = journal.job(key_of(query))
            return job is not None and job.phase is Phase.MINED

        await until(is_noticed)
        network.anvil.rpc("anvil_reorg", 1, [])
        await answer(connection, query)
    assert await connection.mined_nonce(Address(operator_key(name).address)) == 1


async def test_a_replaced_seed_block_means_another_draw(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    """The members of the first draw stay silent; those of the second have evidence."""
    query = await network.ask(connection, Assurance.AGREED)
    bodies: dict[str, bytes] = {}
    async with (
        members(network, bodies),
        oracle(network, connection, "o0", tmp_path),
        oracle(network, connection, "o1", tmp_path),
    ):
        await asyncio.sleep(0.5)
        before = await connection.block(query.seed_block)
        depth = (await connection.head()).number - query.seed_block + 1
        # Another proposer, for at the same times the same blocks would come back.
        network.anvil.rpc("anvil_setCoinbase", "0x" + "c0" * 20)
        network.anvil.rpc("anvil_reorg", depth, [])
        network.anvil.rpc("evm_setIntervalMining", 1)
        assert (await connection.block(query.seed_block)).hash != before.hash
        bodies |= honest_bodies(network, await network.committees(connection, query))
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b1111, 0b1111]


async def test_a_retried_query_is_answered_in_its_new_attempt(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    network.pass_time(query.rules.answer_window + 1)
    again = await network.retry(connection, query)
    committees = await network.committees(connection, again)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, first_oracle(network, committees), tmp_path) as journal,
    ):
        await answer(connection, again)
        assert journal.sent_hashes(key_of(query)) == []
        assert journal.input_of(query.query_id) == TENSORS[0]


async def test_an_oracle_says_that_a_query_it_was_drawn_for_expired(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    with capture_logs() as logs:
        async with members(network, {}), oracle(network, connection, name, tmp_path):
            await until_logged(logs, "put off")
            network.pass_time(query.rules.answer_window + 1)
            await until_logged(logs, "job over")
    told = [entry for entry in logs if entry["event"] == "expired unanswered"]
    assert [entry["had_report"] for entry in told] == [False]


async def until_logged(logs: Sequence[Mapping[str, object]], event: str) -> None:
    async def is_logged() -> bool:
        return any(entry["event"] == event for entry in logs)

    await until(is_logged)


async def test_a_pin_that_failed_is_tried_again(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    signer = operator_key(name).address
    network.anvil.rpc("anvil_setBalance", signer, "0x0")
    network.anvil.rpc("anvil_setBlockTimestampInterval", 0)
    network.anvil.rpc("anvil_mine", hex(SEED_BLOCKS + 1))
    network.anvil.rpc("anvil_setBlockTimestampInterval", 1)
    market = Contracts(connection).market

    async def is_pinned() -> bool:
        return await market.pinned_seed(query.seed_block, "latest") == committees.seed_hash

    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path),
    ):
        await asyncio.sleep(0.5)
        network.anvil.rpc("anvil_setBalance", signer, hex(10**20))
        await until(is_pinned)


async def test_a_dry_oracle_sends_nothing(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    network.pass_time(2 * query.rules.oracle_turn + 5)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, None, tmp_path) as journal,
    ):

        async def is_ready() -> bool:
            job = journal.job(key_of(query))
            return job is not None and job.phase is Phase.GATHERED

        await until(is_ready)
        await asyncio.sleep(0.5)
    status = await Contracts(connection).market.status_of(query.query_id, "latest")
    assert status is QueryStatus.OPEN


async def test_a_proved_query_is_answered_with_the_first_prover(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.PROVED)
    committees = await network.committees(connection, query)
    async with (
        members(network, proved_bodies(network, committees)),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [1, 1]


async def test_a_false_proof_is_passed_over_for_a_spare(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.PROVED)
    committees = await network.committees(connection, query)
    bodies = proved_bodies(network, committees)
    liar = network.name_of(committees.shards[0][0].signer)
    bodies[liar] = encode_evidence(replace(decode_evidence(bodies[liar]), proof=b"\1" * 32))
    network.pass_time(query.rules.prover_turn)
    async with (
        members(network, bodies),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b10, 1]


async def test_a_copied_proof_costs_its_owner_nothing(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    """The first prover shows an answer of its own beside the proof of the spare."""
    query = await network.ask(connection, Assurance.PROVED)
    committees = await network.committees(connection, query)
    bodies, wrong = proved_bodies(network, committees), bytes(len(TENSORS[-1]))
    digest = boundary_digest([OUTPUT_EDGE], [wrong])
    work = works(network, committees, 0)[1]
    lie = replace(work, out_digest=digest, payload_hash=Digest(keccak(wrong)))
    shown = replace(evidence_of(lie, lie.report()), payload=wrong, proof=true_proof(1))
    bodies[network.name_of(committees.shards[1][0].signer)] = encode_evidence(shown)
    network.pass_time(query.rules.prover_turn)
    async with (
        members(network, bodies),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [1, 0b10]


async def test_a_prover_is_paid_for_the_right_one_of_two_tensors_that_it_was_handed(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    """The first prover of shard 0 lies; those of shard 1 prove its tensor first, then the other."""
    query = await network.ask(connection, Assurance.PROVED)
    committees = await network.committees(connection, query)
    bodies, wrong = proved_bodies(network, committees), bytes(len(TENSORS[1]))
    digest = boundary_digest([MIDDLE_EDGE], [wrong])
    lie = replace(works(network, committees, 0)[0], out_digest=digest)
    shown = replace(evidence_of(lie, lie.report()), tensors_out=(wrong,), proof=b"\1" * 32)
    bodies[network.name_of(committees.shards[0][0].signer)] = encode_evidence(shown)
    shows = {}
    for position, seat in enumerate(committees.shards[1]):
        work = replace(works(network, committees, position)[1], in_digest=digest)
        first = replace(evidence_of(work, work.report()), tensors_in=(wrong,), proof=b"\2" * 32)
        name = network.name_of(seat.signer)
        shows[name] = in_turn(encode_evidence(first), joined(first, bodies[name]))
    network.pass_time(query.rules.prover_turn)
    async with (
        members(network, bodies, shows),
        oracle(network, connection, first_oracle(network, committees), tmp_path),
    ):
        outcome = await answer(connection, query)
    assert [shard.paid for shard in outcome.shards] == [0b10, 1]


def joined(piece: ShardEvidence, body: bytes) -> bytes:
    return encode_evidence(piece, decode_evidence(body))


def in_turn(*bodies: bytes) -> Show:
    """Shows one body after the other, each to whoever has seen the one before."""

    async def show(request: web.Request, _: bytes) -> web.StreamResponse:
        sizes = [-1, *map(len, bodies)]
        seen = sizes.index(int(request.query["size"]))
        await asyncio.sleep(0.05)
        return web.Response(body=bodies[seen]) if seen < len(bodies) else web.Response(status=404)

    return show
