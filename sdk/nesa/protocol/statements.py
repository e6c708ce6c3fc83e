"""What one member signed and opened, as the court takes it: its result, and the set that it was in.

A member attests its own result once a quorum has locked one set of commitments, whatever the
results behind them are. So a committee that splits leaves a statement of every side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol import cbor
from nesa.protocol.faults import entry_of
from nesa.protocol.ids import Address, Digest
from nesa.protocol.messages import Reveal
from nesa.protocol.queries import MAX_REPLICAS
from nesa.protocol.shapes import ADDRESS, WORD, many, record
from nesa.protocol.wire import REVEAL

SHARD_ABI: Final = "(uint256,uint256,bytes32,uint256,bytes32)"
STATEMENT_ABI: Final = "(uint256,bytes32,bytes32,bytes32[],uint256,bytes32,bytes32,bytes32)"
MAX_STATEMENT_BYTES: Final = 1 << 12
"""A statement of a committee of eight takes less than a third of it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A checked reveal without tensors of the member that signs with `signer`, and the commitments
    of its set in draw order."""

    signer: Address
    reveal: Reveal
    commitments: tuple[Digest, ...]

    @property
    def evidence(self) -> Digest:
        """What is announced before it is shown."""
        arguments = [self.shard_as_abi(), self.as_abi()]
        return Digest(keccak(encode([SHARD_ABI, STATEMENT_ABI], arguments)))

    def shard_as_abi(self) -> tuple[Any, ...]:
        """What the member worked on: fields in the order of the court's struct `Shard`."""
        return shard_as_abi(self.reveal)

    def as_abi(self) -> tuple[Any, ...]:
        """What it said: fields in the order of the court's struct `Statement`."""
        return statement_as_abi(self.reveal, self.commitments)


def shard_as_abi(said: Reveal) -> tuple[Any, ...]:
    """What whoever signed worked on: fields in the order of the court's struct `Shard`."""
    context = said.context
    head = (context.query_id, context.attempt, context.seed)
    return (*head, context.shard, said.in_digest)


def statement_as_abi(said: Reveal, commitments: tuple[Digest, ...]) -> tuple[Any, ...]:
    """What was signed: fields in the order of the court's struct `Statement`."""
    head = (said.round, said.out_digest, said.payload_hash, list(commitments))
    return (*head, entry_of(said.position, commitments), said.salt, said.r, said.vs)


_STATEMENT: Final = record(
    Statement, signer=ADDRESS, reveal=REVEAL, commitments=many(WORD, MAX_REPLICAS, 1)
)


def encode_statement(statement: Statement) -> bytes:
    """Canonical bytes of a statement."""
    return cbor.encode(_STATEMENT.pack(statement))


def decode_statement(data: bytes) -> Statement:
    """The statement that `data` is the canonical encoding of; whether it is true is not looked at.

    Raises:
        InvalidMessage: too long, not canonical, or a field that does not fit.
    """
    statement: Statement = _STATEMENT.unpack(cbor.decode(data, MAX_STATEMENT_BYTES))
    return statement
