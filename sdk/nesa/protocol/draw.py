"""Who answers a query: a draw without replacement that anybody can compute from a block hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, QueryId

DRAW_DOMAIN: Final = keccak(text="nesa.draw.v1")

MAX_DRAW: Final = 64
"""Slots that one draw looks at before it gives up; bounds the gas of a report."""


def query_seed(
    chain_id: int, market: Address, query_id: QueryId, attempt: int, block_hash: bytes
) -> Digest:
    """Seed of all draws of one attempt; `block_hash` is that of the block after the request."""
    return Digest(
        keccak(
            encode(
                [
                    "bytes32",
                    "uint256",
                    "uint256",
                    "address",
                    "uint256",
                    "uint256",
                    "bytes32",
                ],
                [
                    DRAW_DOMAIN,
                    PROTOCOL_VERSION,
                    chain_id,
                    market,
                    query_id,
                    attempt,
                    block_hash,
                ],
            )
        )
    )


def slot_order(seed: bytes, shard: int, slots: int) -> Iterator[int]:
    """Slot indices in draw order: a Fisher-Yates shuffle that only remembers what it moved."""
    moved: dict[int, int] = {}
    for step in range(min(slots, MAX_DRAW)):
        entropy = keccak(seed + shard.to_bytes(32, "big") + step.to_bytes(32, "big"))
        pick = step + int.from_bytes(entropy, "big") % (slots - step)
        yield moved.get(pick, pick)
        moved[pick] = moved.get(step, step)


def draw(
    seed: bytes, shard: int, slots: int, wanted: int, is_active: Callable[[int], bool]
) -> tuple[int, ...]:
    """First `wanted` active slots in draw order; fewer when too few are active."""
    drawn: list[int] = []
    for slot in slot_order(seed, shard, slots):
        if len(drawn) == wanted:
            break
        if is_active(slot):
            drawn.append(slot)
    return tuple(drawn)
