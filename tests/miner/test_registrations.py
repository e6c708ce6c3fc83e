"""Registrations are found however few blocks the node looks through at once."""

from __future__ import annotations

from typing import Any

import pytest

from nesa.chain.connection import Block, Connection, RpcRefused
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ZERO_DIGEST, BlockNumber, Timestamp, VersionId
from nesa_miner.registrations import find_registration
from tests.chain.emitter import deployment_at

VERSION = VersionId(b"\x07" * 32)
HEAD = BlockNumber(1_000)


class MeanNode(Connection):
    """Answers for a few blocks only, and has nothing in them."""

    def __init__(self, most: int) -> None:
        super().__init__("http://node", deployment_at("0x" + "22" * 20, 1))  # type: ignore[arg-type]
        self.most = most
        self.asked: list[tuple[int, int]] = []

    async def head(self) -> Block:
        return Block(HEAD, ZERO_DIGEST, ZERO_DIGEST, Timestamp(1), 0)

    async def request(self, method: str, *params: Any) -> Any:
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        if last - first + 1 > self.most:
            raise RpcRefused(method, -32005, "query returned more than 10000 results")
        self.asked.append((first, last))
        return []


@pytest.mark.parametrize("most", [1, 7, 300, 1_000])
async def test_every_block_is_looked_through_once(most: int) -> None:
    node = MeanNode(most)
    with pytest.raises(InvalidInput, match="is not registered on chain 31337"):
        await find_registration(node, VERSION)
    seen = [block for first, last in node.asked for block in range(first, last + 1)]
    assert sorted(seen) == list(range(1, HEAD + 1))
    assert len(seen) == len(set(seen))


async def test_a_node_that_refuses_even_one_block_is_not_asked_for_ever() -> None:
    with pytest.raises(RpcRefused):
        await find_registration(MeanNode(0), VERSION)
