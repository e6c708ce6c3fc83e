"""Summonses: members that are called to answer on chain, and spares that fill absent slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import ShardContext
from nesa.protocol.ids import (
    ZERO_DIGEST,
    Address,
    Amount,
    Digest,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.queries import MAX_REPLICAS
from nesa.protocol.signatures import sign_digest, signing_domain, typed_hash

ABSENCE_DOMAIN: Final = keccak(text="nesa.absence.v1")

MAX_ABSENCES: Final = 7
"""Entries that one word holds: a committee has a member at least, and `MAX_REPLICAS` places."""

MAX_MISSES: Final = 8
"""Misses of a seat that are remembered."""

_ENTRY_BITS: Final = 36
_SLOT_BITS: Final = 4

CALL_ABI: Final = (
    "(uint256,uint256,uint256,uint256,uint256,uint256,bytes32,address,address,address,uint256)"
)


@dataclass(frozen=True, slots=True)
class SummonsRules:
    """What a deployment fixes for good; times in seconds, the bond in NES units.

    A member may be summoned `patience` after it got its slot and answers within `answer_window`.
    Misses are counted by periods of the chain's clock: `jail_misses` periods with a miss among the
    last `jail_periods` end a seat.
    """

    patience: int
    answer_window: int
    bond: Amount
    period: int
    jail_misses: int
    jail_periods: int


@dataclass(frozen=True, slots=True)
class Absence:
    """A slot that a spare may fill, and since when."""

    slot: int
    since: Timestamp


def unpack_absences(word: int) -> tuple[Absence, ...]:
    """What `StakeVault.absences` holds of a committee: the i-th entry is that of the i-th spare."""
    entries = [word >> _ENTRY_BITS * i & (1 << _ENTRY_BITS) - 1 for i in range(MAX_ABSENCES)]
    return tuple(
        Absence((entry & (1 << _SLOT_BITS) - 1) - 1, Timestamp(entry >> _SLOT_BITS))
        for entry in entries
        if entry
    )


def pack_absences(absences: Sequence[Absence]) -> int:
    """The word of `absences`, the first one in the lowest bits."""
    entries = (one.since << _SLOT_BITS | one.slot + 1 for one in absences)
    return sum(entry << _ENTRY_BITS * i for i, entry in enumerate(entries))


def slot_of(position: int, replicas: int, absent: Sequence[int]) -> int | None:
    """Where in the set the commitment of the member at `position` of the draw stands.

    `absent` are the slots that were found absent, in that order; None for a spare without one.
    """
    if position < replicas:
        return position
    spare = position - replicas
    return absent[spare] if spare < len(absent) else None


def occupants(replicas: int, absent: Sequence[int]) -> tuple[int, ...]:
    """Position in the draw of whoever fills each slot: the last spare that got it, or its member.

    A draw has `MAX_REPLICAS` places at most.
    """
    found = list(range(replicas))
    for spare, slot in enumerate(absent[: MAX_REPLICAS - replicas]):
        found[slot] = replicas + spare
    return tuple(found)


def work_id(market: Address, query_id: QueryId, attempt: int, shard: int) -> Digest:
    """Under what the vault keeps the absences of one committee."""
    types = ["bytes32", "address", "uint256", "uint256", "uint256"]
    return Digest(keccak(encode(types, [ABSENCE_DOMAIN, market, query_id, attempt, shard])))


@dataclass(frozen=True, slots=True)
class Call:
    """One summons as it is announced, in the order of the contract's struct `Call`.

    `position` is the member's place in the draw, `slot` the place in the set that it fills.
    """

    query_id: QueryId
    attempt: int
    shard: int
    replicas: int
    position: int
    slot: int
    version_id: VersionId
    operator: Address
    signer: Address
    summoner: Address
    deadline: Timestamp

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct."""
        return astuple(self)

    def is_about(self, context: ShardContext) -> bool:
        """Whether it calls a member of this committee."""
        named = (self.query_id, self.attempt, self.shard)
        return named == (context.query_id, context.attempt, context.shard)


def call_hash(call: Call) -> Digest:
    """What the contract keeps of an open summons."""
    return Digest(keccak(encode([CALL_ABI], [call.as_abi()])))


_ANSWER_TYPES: Final = {
    "SummonsAnswer": [
        {"name": "summons", "type": "bytes32"},
        {"name": "commitment", "type": "bytes32"},
    ]
}


def answer_hash(
    chain_id: int, summons: Address, call: Call, commitment: Digest = ZERO_DIGEST
) -> Digest:
    """The 32 bytes that a summoned member signs, an EIP-712 message under the contract's domain.

    `commitment` is its own for the round that runs, zero when it has none to make.
    """
    values = {"summons": call_hash(call), "commitment": commitment}
    domain = signing_domain(chain_id, summons)
    return typed_hash(encode_typed_data(domain, _ANSWER_TYPES, values))


def sign_answer(
    signer: PrivateKey,
    chain_id: int,
    summons: Address,
    call: Call,
    commitment: Digest = ZERO_DIGEST,
) -> tuple[bytes, bytes]:
    """The answer as the contract takes it: `r` and `vs` after EIP-2098."""
    return sign_digest(signer, answer_hash(chain_id, summons, call, commitment))
