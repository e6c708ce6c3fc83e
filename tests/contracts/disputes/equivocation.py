"""Evidence of a member that signed two outputs of one input, as the court takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.ids import Digest
from tests.reports import Work

SHARD = "(uint256,uint256,bytes32,uint256,bytes32)"
STATEMENT = "(uint256,bytes32,bytes32,bytes32[],uint256,bytes32,bytes32,bytes32)"


@dataclass(frozen=True)
class Evidence:
    """The court's arguments."""

    shard: tuple[Any, ...]
    first: tuple[Any, ...]
    second: tuple[Any, ...]

    @property
    def digest(self) -> bytes:
        return keccak(encode([SHARD, STATEMENT, STATEMENT], self.arguments))

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.shard, self.first, self.second


def shard_of(work: Work) -> tuple[Any, ...]:
    context = work.context
    return context.query_id, context.attempt, context.seed, context.shard, work.in_digest


def statement(work: Work, position: int) -> tuple[Any, ...]:
    """What the member at a position revealed."""
    commitments = work.commitments()
    signed = work.result(position, commitments)
    return (
        work.round,
        work.out_digest,
        work.payload_hash,
        list(commitments),
        position,
        signed.salt,
        signed.r,
        signed.vs,
    )


def another(work: Work, text: str = "another") -> Work:
    """The next round, with another output."""
    return replace(work, round=work.round + 1, out_digest=Digest(keccak(text=text)))


def equivocation(work: Work, position: int = 1) -> Evidence:
    """The member's first result, and another one a round later."""
    other = another(work)
    return Evidence(shard_of(work), statement(work, position), statement(other, position))
