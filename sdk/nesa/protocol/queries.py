"""A query as the market keeps it: its terms, its reports and its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import reduce
from operator import or_
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.protocol.ids import (
    PROTOCOL_VERSION,
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.versions import MAX_SHARDS

TERMS_DOMAIN: Final = keccak(text="nesa.terms.v1")
OUTCOME_DOMAIN: Final = keccak(text="nesa.outcome.v1")

MAX_REPLICAS: Final = 8
MAX_INPUT_BYTES: Final = 4096
MAX_OUTPUT_BYTES: Final = 1024
SEAT_COUNT_BITS: Final = 24
PAID_BITS: Final = 8
ORACLE_SHARD: Final = MAX_SHARDS
"""Index that stands for the oracle seats wherever a shard index is asked for."""


class Assurance(IntEnum):
    """How an answer is backed; values are those of the contract's flag."""

    AGREED = 1
    CHALLENGED = 2
    PROVED = 4


class Privacy(IntEnum):
    """What the network may see; values are those of the contract's flag."""

    OPEN = 1
    SEALED = 2
    SPLIT = 4
    EQUIVARIANT = 8
    SHARED = 16


class QueryStatus(IntEnum):
    """Where a query stands on chain; values are those of the contract's flag, 0 is unknown."""

    UNKNOWN = 0
    OPEN = 1
    FULFILLED = 2
    FINAL = 4
    OVERTURNED = 8
    REFUNDED = 16


class CallbackResult(IntEnum):
    """How the delivery to a contract ended; values are those of the contract's flag."""

    SKIPPED = 1
    SUCCEEDED = 2
    REVERTED = 4


def count_of(packed: int, shard: int) -> int:
    """One of the counts of seats that are packed in 24 bits each, the oracles' at index 8."""
    return packed >> SEAT_COUNT_BITS * shard & (1 << SEAT_COUNT_BITS) - 1


@dataclass(frozen=True, slots=True)
class Query:
    """Terms of a query; the market stores only their hash, so they travel in events and calldata.

    `seat_counts` packs 24 bits a shard, oracle seats at index 8. `opened_at`, `answer_deadline`,
    `attempt` and `seed_block` change when a new attempt is opened, nothing else ever does.
    """

    query_id: QueryId
    requester: Address
    version_id: VersionId
    input_digest: Digest
    output_edge: bytes
    assurance: Assurance
    privacy: Privacy
    shards: int
    replicas: int
    base_fee: Amount
    proof_fee: Amount
    callback_fee: Amount
    callback_gas: int
    epoch: Epoch
    seat_counts: int
    parameters: int
    opened_at: Timestamp
    answer_deadline: Timestamp
    attempt: int
    seed_block: BlockNumber

    @property
    def fee(self) -> Amount:
        """Everything that is earmarked for the query."""
        return Amount(self.base_fee + self.proof_fee + self.callback_fee)

    @property
    def rules(self) -> QueryParameters:
        """The parameters, unpacked."""
        return QueryParameters.unpack(self.parameters)

    def seat_count(self, shard: int) -> int:
        """Slots that the draw of `shard` runs over (`ORACLE_SHARD` for oracles)."""
        return count_of(self.seat_counts, shard)

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct `Query`."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def from_abi(cls, values: tuple[Any, ...]) -> Query:
        """The query in a decoded event or call."""
        query = cls(*values)
        return replace(query, assurance=Assurance(query.assurance), privacy=Privacy(query.privacy))


QUERY_ABI: Final = (
    "(uint256,address,bytes32,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256,uint256,"
    "uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)"
)


def encode_query(query: Query) -> bytes:
    """Canonical bytes of `query`: its ABI encoding."""
    return encode([QUERY_ABI], [query.as_abi()])


def decode_query(data: bytes) -> Query:
    """The query that `encode_query` took."""
    (values,) = decode([QUERY_ABI], data)
    return Query.from_abi(
        tuple(to_checksum_address(value) if isinstance(value, str) else value for value in values)
    )


def terms_hash(chain_id: int, market: Address, query: Query) -> Digest:
    """What the market stores of an open query (before truncation into its state word)."""
    return Digest(
        keccak(
            encode(
                ["bytes32", "uint256", "uint256", "address", QUERY_ABI],
                [TERMS_DOMAIN, PROTOCOL_VERSION, chain_id, market, query.as_abi()],
            )
        )
    )


@dataclass(frozen=True, slots=True)
class SignedResult:
    """One member's attestation as it travels to the chain; `r`, `vs` after EIP-2098."""

    position: int
    salt: bytes
    r: bytes
    vs: bytes

    def as_abi(self) -> tuple[int, bytes, bytes, bytes]:
        """Fields in the order of the contract's struct `SignedResult`."""
        return (self.position, self.salt, self.r, self.vs)


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What a shard's committee agreed on; commitments in the order of slots, zero for absent.

    `spares` are the slots that spares fill: the i-th one that of the i-th spare in draw order.
    """

    round: int
    out_digest: Digest
    commitments: tuple[Digest, ...]
    results: tuple[SignedResult, ...]
    spares: tuple[int, ...] = ()

    def words(self) -> list[bytes]:
        """The shard's part of a report, see `report_words`."""
        paid = reduce(or_, (1 << result.position for result in self.results), 0)
        opened = {self._slot(result.position) for result in self.results}
        unpaid = [c for position, c in enumerate(self.commitments) if position not in opened]
        head = (self.round << PAID_BITS | paid).to_bytes(32, "big")
        results = [word for result in self.results for word in (result.salt, result.r, result.vs)]
        return [head, self.out_digest, *unpaid, *results]

    def _slot(self, position: int) -> int:
        """Where in the set the commitment of a member stands."""
        size = len(self.commitments)
        if position < size:
            return position
        # Behind a single prover stand spares, whose positions lie beyond the set of one.
        return self.spares[position - size] if self.spares else size - 1


def report_words(shards: Iterable[ShardReport]) -> list[bytes]:
    """What `QueryMarket.fulfil` takes.

    For each shard: round << 8 | paid with a bit for each paid position, the digest of the output,
    the commitments of the unpaid, and salt, r, vs of the paid, whose salts open the rest.
    """
    return [word for shard in shards for word in shard.words()]


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What remains of a shard's report: `paid` has bit i for the member drawn at position i."""

    round: int
    out_digest: Digest
    set_digest: Digest
    members_digest: Digest
    paid: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the market stores (as a hash) once a query is fulfilled.

    `reporter` sent the report: a signer of the oracle's, or anybody after the oracles' turns.
    """

    terms_hash: Digest
    seed: Digest
    output_hash: Digest
    reporter: Address
    fulfilled_at: Timestamp
    shards: tuple[ShardOutcome, ...]
