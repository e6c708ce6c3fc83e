"""What the dispute court announces of a challenge, and what is shown to it; see `DisputeCourt`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.models.disputes.traces import Charge
from nesa.protocol.faults import Equivocation
from nesa.protocol.ids import (
    PROTOCOL_VERSION,
    Address,
    Amount,
    Digest,
    QueryId,
    Seconds,
    Timestamp,
)
from nesa.protocol.statements import (
    SHARD_ABI,
    STATEMENT_ABI,
    shard_as_abi,
    statement_as_abi,
)

CLAIM_DOMAIN: Final = keccak(text="nesa.claim.v1")
NOBODY: Final = Address("0x" + "00" * 20)
CHALLENGE_DOMAIN: Final = keccak(text="nesa.challenge.v1")


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


class Dispute(NamedTuple):
    """What falls once and for all its challenges: the output of a shard, where `accused` is None,
    or what one member signed of it."""

    query_id: QueryId
    shard: int
    accused: Address | None


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenger against the output of one shard, as the court announced it; or a suit, against
    what one member signed in a query without an answer.

    The court keeps its hash only, so it travels with every later call. `signers` were paid for the
    output, in draw order, or the one who is `accused`; None where no member is sued. Defences are
    taken until `defence_ends`; each move has `move_window`.
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
    accused: Address | None = None

    @property
    def output(self) -> tuple[QueryId, int] | None:
        """What is challenged: the output of this shard of this query; None in a suit."""
        return None if self.accused else (self.query_id, self.charge.shard)

    @property
    def dispute(self) -> Dispute:
        """What this challenge shares with others."""
        return Dispute(self.query_id, self.charge.shard, self.accused)

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct `Challenge`."""
        head = (self.challenge_id, self.challenger, self.query_id, self.requester)
        sums = (self.seat_stake, self.bond, self.penalty)
        tail = (self.defence_ends, self.move_window, self.accused or NOBODY)
        return (*head, self.charge.as_abi(), list(self.signers), *sums, *tail)

    @classmethod
    def from_abi(cls, values: tuple[Any, ...]) -> Challenge:
        """The challenge in a decoded event."""
        number, challenger, query_id, requester, charge, signers, *rest = values
        head = (number, challenger, query_id, requester)
        tail = (*rest[:-1], None if rest[-1] == NOBODY else rest[-1])
        return cls(*head, Charge(*charge), tuple(signers), *tail)


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
    statements = (
        statement_as_abi(first, fault.first_set),
        statement_as_abi(second, fault.second_set),
    )
    return (shard_as_abi(first), *statements)


def equivocation_evidence(fault: Equivocation) -> Digest:
    """What is announced of two outputs of one member."""
    kinds = [SHARD_ABI, STATEMENT_ABI, STATEMENT_ABI]
    return Digest(keccak(encode(kinds, equivocation_as_abi(fault))))


def claim_of(chain_id: int, court: Address, challenger: Address, evidence: bytes) -> Digest:
    """What `challenger` announces of evidence; for somebody else it is another hash."""
    kinds = ["bytes32", "uint256", "uint256", "address", "address", "bytes32"]
    values = [CLAIM_DOMAIN, PROTOCOL_VERSION, chain_id, court, challenger, evidence]
    return Digest(keccak(encode(kinds, values)))
