"""On a real chain a challenge is opened once and by the cheaper way, whatever was killed before."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from nesa.chain.connection import Connection
from nesa.chain.docket import fold
from nesa.chain.events import ChallengeOpened, EvidenceAnnounced
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.queries import Query
from nesa_miner.watchtower.accusing import Accuser, Means
from nesa_miner.watchtower.proving import FaultProof, FaultProver
from tests.miner.watchtower.answers import Answered, answered, room_of
from tests.miner.watchtower.test_on_chain import court_events
from tests.oracle.network import Network

MEANS = Means(Amount(1_000 * ONE_NES), 1)


async def accuser_of(
    network: Network, connection: Connection, nes: int = 0, prover: object = None
) -> Accuser:
    room = await room_of(network, connection, "watcher", nes)
    return Accuser(room, MEANS, cast(FaultProver, prover))


async def announced(network: Network, accuser: Accuser, answer: Answered) -> None:
    assert not await accuser.accuse(answer.history, 0, {})
    network.anvil.rpc("evm_mine")


async def opened(connection: Connection) -> list[ChallengeOpened]:
    return await court_events(connection, ChallengeOpened)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def sending_in_no_block(
    network: Network, accuser: Accuser, answer: Answered
) -> asyncio.Task[bool]:
    """A challenge whose transaction waits, and that no block takes."""
    await announced(network, accuser, answer)
    await accuser.bonds.approve(Amount(200 * ONE_NES), accuser.room.court.address)
    network.anvil.rpc("evm_setAutomine", False)

    async def is_waiting() -> bool:
        return int(network.anvil.rpc("txpool_status")["pending"], 16) == 1

    sending = asyncio.create_task(accuser.accuse(answer.history, 0, {}))
    await until(is_waiting)
    return sending


async def test_a_challenge_is_announced_once_and_opened_once_over_restarts(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    await announced(network, await accuser_of(network, connection, nes=200), answer)
    for _ in range(2):
        again = await accuser_of(network, connection)
        assert await again.accuse(answer.history, 0, {})
    assert len(await court_events(connection, EvidenceAnnounced)) == 1
    (challenge,) = await opened(connection)
    assert challenge.challenge.charge.shard == 0


async def test_a_kill_while_the_challenge_waits_for_a_block_pays_no_second_bond(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    accuser = await accuser_of(network, connection, nes=200)
    killed = await sending_in_no_block(network, accuser, answer)
    killed.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed
    again = asyncio.create_task(
        (await accuser_of(network, connection)).accuse(answer.history, 0, {})
    )
    await asyncio.sleep(0.3)
    network.anvil.rpc("evm_mine")
    network.anvil.rpc("evm_setAutomine", True)  # what it sends after the block has to be mined too
    with contextlib.suppress(Unavailable):
        await again
    assert await (await accuser_of(network, connection)).accuse(answer.history, 0, {})
    assert len(await opened(connection)) == 1


async def test_a_nonce_that_something_else_took_is_not_tried_again_blindly(
    network: Network, connection: Connection
) -> None:
    """What took it may be the same challenge, from before a restart."""
    answer = await answered(network, connection)
    accuser = await accuser_of(network, connection, nes=200)
    sending = await sending_in_no_block(network, accuser, answer)
    account = Account.from_key(keccak(text="watcher"))
    nonce = await connection.mined_nonce(accuser.room.sender.address)
    dear = {"maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**11, "type": 2, "gas": 21_000}
    other = {"to": account.address, "value": 0, "nonce": nonce, "chainId": 31_337, **dear}
    network.anvil.rpc(
        "eth_sendRawTransaction", f"0x{account.sign_transaction(other).raw_transaction.hex()}"
    )
    network.anvil.rpc("evm_mine")
    with pytest.raises(Unavailable, match="took the nonce"):
        await sending
    assert await opened(connection) == []


@dataclass
class NamedProver:
    """Proves everything with these bytes, or nothing."""

    proof: bytes | None
    asked: int = 0

    async def prove(self, query: Query, sent: bytes, charge: Charge) -> FaultProof | None:
        self.asked += 1
        return None if self.proof is None else FaultProof(bytes(30), bytes(16), self.proof)


async def test_a_proof_that_the_chain_refuses_gives_way_to_a_bond(
    network: Network, connection: Connection
) -> None:
    """The circuit errs, or the version has none after all."""
    answer, prover = await answered(network, connection), NamedProver(b"proof")
    accuser = await accuser_of(network, connection, nes=200, prover=prover)
    await announced(network, accuser, answer)
    with pytest.raises(Exception, match="no circuit|proof|registry"):
        await accuser.accuse(answer.history, 0, {})
    assert await accuser.accuse(answer.history, 0, {})
    (challenge,) = await opened(connection)
    assert challenge.challenge.bond == 100 * ONE_NES
    assert prover.asked == 1


async def test_where_nothing_can_be_proved_a_bond_opens(
    network: Network, connection: Connection
) -> None:
    answer, prover = await answered(network, connection), NamedProver(None)
    accuser = await accuser_of(network, connection, nes=200, prover=prover)
    await announced(network, accuser, answer)
    assert await accuser.accuse(answer.history, 0, {})
    assert (await opened(connection))[0].challenge.bond == 100 * ONE_NES


async def test_a_second_watcher_that_could_prove_takes_a_bond(
    network: Network, connection: Connection
) -> None:
    """The court takes one proof for an output; whoever comes later is not made to prove it."""
    answer, prover = await answered(network, connection), NamedProver(b"proof")
    accuser = await accuser_of(network, connection, nes=200)
    await announced(network, accuser, answer)
    assert await accuser.accuse(answer.history, 0, {})
    (event,) = await opened(connection)
    free: Any = fold([_without_bond(event)])
    second = Accuser(
        await room_of(network, connection, "another", 200), MEANS, cast(FaultProver, prover)
    )
    assert not await second.accuse(answer.history, 0, free)
    network.anvil.rpc("evm_mine")
    assert await second.accuse(answer.history, 0, free)
    assert prover.asked == 0
    assert len(await opened(connection)) == 2


def _without_bond(event: ChallengeOpened) -> ChallengeOpened:
    from dataclasses import replace

    return replace(event, challenge=replace(event.challenge, bond=Amount(0)))
