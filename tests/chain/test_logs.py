"""No log is lost, repeated, or kept from a block that vanished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from nesa.chain.anvil import Anvil, AnvilSettings, running_anvil, start_anvil
from nesa.chain.connection import Block, Connection
from nesa.chain.deployment import Deployment
from nesa.chain.events import LogKey, RawLog
from nesa.chain.logs import (
    Cursor,
    LogReader,
    ReadBlock,
    ReadPolicy,
    grown,
    next_range,
    shrunk,
)
from nesa.protocol.errors import Incompatible, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest, Timestamp
from tests.chain import emitter
from tests.chain.following import Follower
from tests.chain.rpc_stub import stub_node


async def test_every_log_is_read_once_and_in_order(
    anvil: Anvil, deployment: Deployment, follower: Follower
) -> None:
    for number in range(5):
        emitter.emit(anvil, deployment, "pin", number)
    emitter.emit(anvil, deployment, "pin_many", 5, 10)
    await follower.catch_up()
    await follower.catch_up()
    assert follower.seen == list(range(15))


async def test_a_reorganisation_between_two_reads_of_an_empty_tip_is_seen(
    anvil: Anvil, deployment: Deployment, follower: Follower
) -> None:
    emitter.emit(anvil, deployment, "pin", 1)
    anvil.rpc("anvil_mine", "0x3")
    await follower.catch_up()
    anvil.rpc("anvil_reorg", 4, [])
    emitter.emit(anvil, deployment, "pin", 2)
    await follower.catch_up()
    assert (follower.undone, follower.seen) == ([1], [2])


async def test_a_shorter_chain_undoes_nothing_until_it_differs(
    anvil: Anvil, deployment: Deployment, follower: Follower
) -> None:
    for number in range(3):
        emitter.emit(anvil, deployment, "pin", number)
    await follower.catch_up()
    anvil.rpc("anvil_rollback", 1)
    await follower.catch_up()
    assert follower.seen == [0, 1, 2]
    emitter.emit(anvil, deployment, "pin", 9)
    await follower.catch_up()
    assert (follower.undone, follower.seen) == ([2], [0, 1, 9])


async def test_confirmations_keep_a_distance_from_the_head(
    anvil: Anvil, deployment: Deployment, connection: Connection
) -> None:
    reader = LogReader(connection, ReadPolicy(confirmations=2))
    follower = Follower(reader, await reader.start())
    for number in range(4):
        emitter.emit(anvil, deployment, "pin", number)
    await follower.catch_up()
    assert follower.seen == [0, 1]
    anvil.rpc("anvil_reorg", 2, [])
    anvil.rpc("anvil_mine", "0x2")
    await follower.catch_up()
    assert (follower.undone, follower.seen) == ([], [0, 1])


async def test_reading_goes_on_after_the_node_was_restarted(tmp_path: Path) -> None:
    settings = AnvilSettings(state=tmp_path / "state.json")
    with running_anvil(settings) as first:
        deployment = emitter.deploy(first)
        connection = await Connection.open(first.url, deployment, emitter.QUICK)
        reader = LogReader(connection)
        follower = Follower(reader, await reader.start())
        emitter.emit(first, deployment, "pin", 1)
        await follower.catch_up()
    with pytest.raises(Unavailable):
        await follower.catch_up()
    with restarted(replace(settings, port=first.port)) as second:
        emitter.emit(second, deployment, "pin", 2)
        await follower.catch_up()
        await connection.close()
    assert (follower.undone, follower.seen) == ([], [1, 2])


@contextmanager
def restarted(settings: AnvilSettings) -> Iterator[Anvil]:
    """Once more if it fails: another program may have had the port for a moment."""
    try:
        anvil = start_anvil(settings)
    except Unavailable:
        anvil = start_anvil(settings)
    try:
        yield anvil
    finally:
        anvil.stop()


async def test_a_chain_that_was_reset_is_not_followed(
    anvil: Anvil, deployment: Deployment, follower: Follower
) -> None:
    other = ReadBlock(BlockNumber(1), Digest(b"\1" * 32))
    follower.cursor = Cursor((other,))
    with pytest.raises(Incompatible, match="start with an empty journal"):
        await follower.catch_up()


async def test_logs_that_nobody_asked_for_are_garbage(anvil: Anvil, deployment: Deployment) -> None:
    emitter.emit(anvil, deployment, "pin", 1)

    async with Connection(anvil.url, deployment, emitter.QUICK) as connection:
        cursor = await LogReader(connection).start(BlockNumber(3))
    emitter.emit(anvil, deployment, "pin", 2)

    async def lying(method: str, params: list[dict[str, str]]) -> web.StreamResponse | None:
        if method != "eth_getLogs":
            return None
        return web.json_response({"result": anvil.rpc("eth_getLogs", {"fromBlock": "0x0"})})

    async with (
        stub_node(lying, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        with pytest.raises(Unavailable, match="not asked for"):
            await LogReader(connection).read(cursor)


@pytest.mark.parametrize(
    ("tip", "head", "confirmations", "expected"),
    [(5, 5, 0, None), (5, 6, 0, (6, 6)), (5, 6, 1, None), (5, 50, 2, (6, 15)), (5, 3, 0, None)],
)
def test_the_next_range(tip: int, head: int, confirmations: int, expected: object) -> None:
    assert next_range(BlockNumber(tip), BlockNumber(head), confirmations, 10) == expected


def test_chunks_stay_between_one_and_the_largest() -> None:
    assert (shrunk(1), shrunk(9), grown(8, 10), grown(1, 10)) == (1, 4, 10, 2)


def test_a_cursor_forgets_old_blocks_but_keeps_one_below_its_memory() -> None:
    cursor = Cursor((ReadBlock(BlockNumber(0), Digest(bytes(32))),))
    for number in range(1, 100):
        cursor = cursor.advanced(_block(number), [_log(number)], memory=10)
    assert [block.number for block in cursor.blocks] == list(range(89, 100))


def test_a_cursor_survives_the_journal() -> None:
    cursor = Cursor((ReadBlock(BlockNumber(0), Digest(bytes(32))),))
    cursor = cursor.advanced(_block(7), [_log(5), _log(7)], memory=10)
    assert Cursor.from_json(cursor.to_json()) == cursor


def _block(number: int) -> Block:
    digest = Digest(number.to_bytes(32, "big"))
    return Block(BlockNumber(number), digest, Digest(bytes(32)), Timestamp(number), 0)


def _log(number: int) -> RawLog:
    digest = Digest(number.to_bytes(32, "big"))
    return RawLog(LogKey(BlockNumber(number), 0, digest, digest), Address("0x"), (), b"")
