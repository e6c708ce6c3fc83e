"""What the dispute court announces of a challenge, and what is shown to it; see `DisputeCourt`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.models.disputes.traces import Charge
from nesa.protocol.faults import Equivocation, entry_of
from nesa.protocol.ids import (
    PROTOCOL_VERSION,
    Address,
    Amount,
    Digest,
    QueryId,
    Seconds,
    Timestamp,
)
from nesa.protocol.messages import Reveal

CLAIM_DOMAIN: Final = keccak(text="nesa.claim.v1")
CHALLENGE_DOMAIN: Final = keccak(text="nesa.challenge.v1")

SHARD_ABI: Final = "(uint256,uint256,bytes32,uint256,bytes32)"
STATEMENT_ABI: Final = "(uint256,bytes32,bytes32,bytes32[],uint256,bytes32,bytes32,bytes32)"


class GameResult(IntEnum):
    """How a game ended for its defender; values are those of the contract's flag."""

    WON = 1
    LOST_BY_TIME = 2
    LOST_BY_FACT = 4


class Ending(IntEnum):
    """How a challenge ended; values are those of the contract's flag."""

    STANDING = 1
    FALLEN = 2
    FALLEN_ELSEWHERE = 4


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenger against the output of one shard, as the court announced it.

    The court keeps its hash only, so it travels with every later call. `signers` were paid for the
    output, in draw order. Defences are taken until `defence_ends`; each move has `move_window`.
    """

    challenge_id: int
    challenger: Address
    query_id: QueryId
    requester: Address
    charge: Charge
    signers: tuple[Address, ...]
    seat_stake: Amount
    bond: Amount
    penalty: Amount
    defence_ends: Timestamp
    move_window: Seconds

    @property
    def output(self) -> tuple[QueryId, int]:
        """What is challenged: the output of this shard of this query."""
        return self.query_id, self.charge.shard

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct `Challenge`."""
        head = (self.challenge_id, self.challenger, self.query_id, self.requester)
        sums = (self.seat_stake, self.bond, self.penalty)
        clocks = (self.defence_ends, self.move_window)
        return (*head, self.charge.as_abi(), list(self.signers), *sums, *clocks)

    @classmethod
    def from_abi(cls, values: tuple[Any, ...]) -> Challenge:
        """The challenge in a decoded event."""
        number, challenger, query_id, requester, charge, signers, *rest = values
        head = (number, challenger, query_id, requester)
        return cls(*head, Charge(*charge), tuple(signers), *rest)


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """What a version id is the hash of; the court is shown it instead of reading the registry.

    `shards_digest` is that of `nesa.protocol.versions`.
    """

    developer: Address
    operators_root: Digest
    shards_digest: Digest
    metadata_digest: Digest

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct `Version`."""
        return (self.developer, self.operators_root, self.shards_digest, self.metadata_digest)


def challenge_evidence(query_id: QueryId, shard: int, out_digest: bytes) -> Digest:
    """What is announced of a challenge or a fault proof of a shard's output."""
    kinds = ["bytes32", "uint256", "uint256", "bytes32"]
    return Digest(keccak(encode(kinds, [CHALLENGE_DOMAIN, query_id, shard, out_digest])))


def equivocation_as_abi(fault: Equivocation) -> tuple[Any, ...]:
    """Two outputs of one member as the contract's structs: the shard, and both statements."""
    first, second = fault.first, fault.second
    context = first.context
    head = (context.query_id, context.attempt, context.seed, context.shard)
    statements = (_statement(first, fault.first_set), _statement(second, fault.second_set))
    return ((*head, first.in_digest), *statements)


def equivocation_evidence(fault: Equivocation) -> Digest:
    """What is announced of two outputs of one member."""
    kinds = [SHARD_ABI, STATEMENT_ABI, STATEMENT_ABI]
    return Digest(keccak(encode(kinds, equivocation_as_abi(fault))))


def _statement(said: Reveal, commitments: tuple[Digest, ...]) -> tuple[Any, ...]:
    head = (said.round, said.out_digest, said.payload_hash, list(commitments))
    return (*head, entry_of(said.position, commitments), said.salt, said.r, said.vs)


def claim_of(chain_id: int, court: Address, challenger: Address, evidence: bytes) -> Digest:
    """What `challenger` announces of evidence; for somebody else it is another hash."""
    kinds = ["bytes32", "uint256", "uint256", "address", "address", "bytes32"]
    values = [CLAIM_DOMAIN, PROTOCOL_VERSION, chain_id, court, challenger, evidence]
    return Digest(keccak(encode(kinds, values)))
