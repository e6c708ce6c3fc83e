"""Every log of the contracts as a frozen dataclass, named and ordered as in the interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from nesa.chain.abi import EventShape, interface
from nesa.chain.connection import data_bytes, quantity
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.protocol.errors import Incompatible, Unavailable
from nesa.protocol.ids import (
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.outcomes import outcome_from_abi
from nesa.protocol.parameters import QueryParameters, RequestLimits
from nesa.protocol.queries import CallbackResult, Outcome, Query
from nesa.protocol.summons import Call


@dataclass(frozen=True, slots=True, order=True)
class LogKey:
    """Names one log for good: another block with the same log gives another key."""

    block_number: BlockNumber
    log_index: int
    block_hash: Digest
    tx_hash: Digest


@dataclass(frozen=True, slots=True)
class QueryRequested:
    """A query with everything that is needed to answer it."""

    log: LogKey
    query_id: QueryId
    requester: Address
    version_id: VersionId
    query: Query
    input: bytes


@dataclass(frozen=True, slots=True)
class AttemptOpened:
    """A query starts over with another draw; its older attempts count no more."""

    log: LogKey
    query_id: QueryId
    query: Query


@dataclass(frozen=True, slots=True)
class QueryFulfilled:
    """A query is answered."""

    log: LogKey
    query_id: QueryId
    requester: Address
    callback: CallbackResult
    output: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class SlotClaimed:
    """A member whom the report left out was paid; `paid` replaces the shard's in the outcome."""

    log: LogKey
    query_id: QueryId
    operator: Address
    shard: int
    amount: Amount
    paid: int


@dataclass(frozen=True, slots=True)
class QueryClosed:
    """Slots that nobody claimed went back."""

    log: LogKey
    query_id: QueryId
    returned_to_requester: Amount


@dataclass(frozen=True, slots=True)
class QueryRefunded:
    """A query that nobody answered was paid back."""

    log: LogKey
    query_id: QueryId
    requester: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class QueryDelivered:
    """A CHALLENGED answer stood, and whoever asked was called with it."""

    log: LogKey
    query_id: QueryId
    requester: Address
    callback: CallbackResult


@dataclass(frozen=True, slots=True)
class QueryHeld:
    """A shard of an answer is in dispute: its query's clock stands."""

    log: LogKey
    query_id: QueryId
    shard: int


@dataclass(frozen=True, slots=True)
class QueryReleased:
    """A shard's answer stood; after the last hold the windows end later, at `closes_at`."""

    log: LogKey
    query_id: QueryId
    shard: int
    closes_at: Timestamp


@dataclass(frozen=True, slots=True)
class QueryOverturned:
    """A shard's answer was wrong; `returned` of the fee went back, and the court owes more."""

    log: LogKey
    query_id: QueryId
    requester: Address
    shard: int
    returned: Amount


@dataclass(frozen=True, slots=True)
class CreditWithdrawn:
    """The market paid an account."""

    log: LogKey
    account: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class SharesCollected:
    """A version's shares were credited to those whom they belong to."""

    log: LogKey
    version_id: VersionId
    developer: Address
    royalty: Amount
    reviewers: Amount
    treasury: Amount


@dataclass(frozen=True, slots=True)
class SeedPinned:
    """A block hash is kept."""

    log: LogKey
    seed_block: BlockNumber
    seed: Digest


@dataclass(frozen=True, slots=True)
class CourtSet:
    """The dispute court was named."""

    log: LogKey
    court: Address


@dataclass(frozen=True, slots=True)
class VersionRegistered:
    """A version of a model is on offer."""

    log: LogKey
    version_id: VersionId
    developer: Address
    root: bytes
    name: str
    location: str
    operators_root: Digest
    metadata_digest: Digest


@dataclass(frozen=True, slots=True)
class CircuitsHashed:
    """A version's circuits were shown to hash what they are about."""

    log: LogKey
    version_id: VersionId
    hashed_answer: bool


@dataclass(frozen=True, slots=True)
class ShardProved:
    """A shard's verifier was shown to work."""

    log: LogKey
    version_id: VersionId
    shard: int
    verifier: Address


@dataclass(frozen=True, slots=True)
class PriceChanged:
    """Later requests pay this."""

    log: LogKey
    version_id: VersionId
    price: Amount
    proof_price: Amount


@dataclass(frozen=True, slots=True)
class AdmissionNamed:
    """A version seats only whom this contract admits."""

    log: LogKey
    version_id: VersionId
    admission: Address


@dataclass(frozen=True, slots=True)
class VersionRetired:
    """No more requests to this version."""

    log: LogKey
    version_id: VersionId


@dataclass(frozen=True, slots=True)
class OperatorRegistered:
    """An operator is known to the vault."""

    log: LogKey
    operator: Address
    signer: Address
    encryption_key: bytes
    endpoint: str


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """An operator moved."""

    log: LogKey
    operator: Address
    endpoint: str


@dataclass(frozen=True, slots=True)
class EncryptionKeyChanged:
    """An operator's X25519 key from an epoch on."""

    log: LogKey
    operator: Address
    encryption_key: bytes
    from_epoch: Epoch


@dataclass(frozen=True, slots=True)
class SignerRotated:
    """Seats that the operator takes later are signed for by another key."""

    log: LogKey
    operator: Address
    signer: Address


@dataclass(frozen=True, slots=True)
class StakeDeposited:
    """Stake came in."""

    log: LogKey
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class UnbondingBegun:
    """Stake began to thaw."""

    log: LogKey
    operator: Address
    amount: Amount
    withdrawable_at: Timestamp


@dataclass(frozen=True, slots=True)
class UnbondingCancelled:
    """Thawing stake is free again."""

    log: LogKey
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class StakeWithdrawn:
    """Stake went out."""

    log: LogKey
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class SeatTaken:
    """An operator sits in a shard from an epoch on."""

    log: LogKey
    version_id: VersionId
    operator: Address
    shard: int
    slot: int
    signer: Address
    from_epoch: Epoch
    circuit_digest: Digest
    verifier_code_hash: Digest


@dataclass(frozen=True, slots=True)
class SeatLeft:
    """A seat is drawn by no query from an epoch on."""

    log: LogKey
    version_id: VersionId
    operator: Address
    shard: int
    slot: int
    to_epoch: Epoch


@dataclass(frozen=True, slots=True)
class SeatReleased:
    """A seat's stake is free and its slot can be taken."""

    log: LogKey
    version_id: VersionId
    operator: Address
    shard: int
    slot: int


@dataclass(frozen=True, slots=True)
class OperatorSlashed:
    """Stake was taken."""

    log: LogKey
    operator: Address
    requested: Amount
    taken: Amount
    beneficiary: Address
    rewarded: Amount
    creditor: Address
    repaid: Amount
    burned: Amount


@dataclass(frozen=True, slots=True)
class OperatorHeld:
    """How many disputes hold an operator."""

    log: LogKey
    operator: Address
    holds: int


@dataclass(frozen=True, slots=True)
class SlasherSet:
    """Who may slash was named."""

    log: LogKey
    slasher: Address


@dataclass(frozen=True, slots=True)
class SummonerSet:
    """Who finds members absent was named."""

    log: LogKey
    summoner: Address


@dataclass(frozen=True, slots=True)
class DelegationPoolSet:
    """Who stakes for delegators was named."""

    log: LogKey
    pool: Address


@dataclass(frozen=True, slots=True)
class StakeUndelegated:
    """Delegated stake left; what comes is a `StakeDeposited`."""

    log: LogKey
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class RewardWithdrawn:
    """The vault paid a slash's reward."""

    log: LogKey
    account: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class ProductsListed:
    """The versions of a model's products have a name for sessions."""

    log: LogKey
    products_id: Digest
    version_ids: tuple[VersionId, ...]


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A client paid a deposit for a query on shares; `query` holds the session's terms."""

    log: LogKey
    session_id: QueryId
    client: Address
    products_id: Digest
    query: Query
    payer: Address
    seats: int


@dataclass(frozen=True, slots=True)
class VoucherRedeemed:
    """`amount` of a session's deposit was spent for an operator."""

    log: LogKey
    session_id: QueryId
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """What was left of a deposit is its client's."""

    log: LogKey
    session_id: QueryId
    returned: Amount


@dataclass(frozen=True, slots=True)
class MemberSummoned:
    """A silent member of a committee is called to answer on chain."""

    log: LogKey
    query_id: QueryId
    operator: Address
    summoner: Address
    call: Call


@dataclass(frozen=True, slots=True)
class SummonsAnswered:
    """A summoned member is there; `commitment` is zero when it had none to make."""

    log: LogKey
    query_id: QueryId
    operator: Address
    attempt: int
    shard: int
    position: int
    commitment: Digest


@dataclass(frozen=True, slots=True)
class MemberAbsent:
    """A summoned member did not answer: the next spare may fill its slot."""

    log: LogKey
    query_id: QueryId
    operator: Address
    attempt: int
    shard: int
    position: int
    slot: int
    misses: int


@dataclass(frozen=True, slots=True)
class SeatJailed:
    """A seat with too many misses ended."""

    log: LogKey
    version_id: VersionId
    operator: Address


@dataclass(frozen=True, slots=True)
class QueryParametersChanged:
    """Rules of later queries."""

    log: LogKey
    parameters: QueryParameters


@dataclass(frozen=True, slots=True)
class RequestLimitsChanged:
    """Limits of later requests."""

    log: LogKey
    limits: RequestLimits


@dataclass(frozen=True, slots=True)
class TreasuryChanged:
    """Who is credited the treasury's shares."""

    log: LogKey
    treasury: Address


@dataclass(frozen=True, slots=True)
class ReviewerPoolChanged:
    """Who is credited the reviewers' shares."""

    log: LogKey
    reviewer_pool: Address


@dataclass(frozen=True, slots=True)
class OwnershipTransferStarted:
    """Governance is offered to somebody."""

    log: LogKey
    previous_owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True)
class OwnershipTransferred:
    """Somebody else governs."""

    log: LogKey
    previous_owner: Address
    new_owner: Address


@dataclass(frozen=True, slots=True)
class EvidenceAnnounced:
    """Somebody reserved evidence by its hash."""

    log: LogKey
    challenger: Address
    claim: Digest


@dataclass(frozen=True, slots=True)
class EquivocationShown:
    """A member that signed two outputs of one input lost stake."""

    log: LogKey
    operator: Address
    challenger: Address
    query_id: QueryId
    shard: int
    taken: Amount


@dataclass(frozen=True, slots=True)
class ChallengeOpened:
    """Somebody says that the output of a shard is wrong."""

    log: LogKey
    challenge_id: int
    challenger: Address
    query_id: QueryId
    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Moved:
    """A move in the game of the signer `defender`; the other side has until `deadline`."""

    log: LogKey
    challenge_id: int
    defender: Address
    move: bytes
    deadline: Timestamp


@dataclass(frozen=True, slots=True)
class GameEnded:
    """The game of one signer is over."""

    log: LogKey
    challenge_id: int
    defender: Address
    result: GameResult


@dataclass(frozen=True, slots=True)
class SignerConvicted:
    """A signer lost a seat's stake."""

    log: LogKey
    challenge_id: int
    signer: Address
    operator: Address
    taken: Amount


@dataclass(frozen=True, slots=True)
class ChallengeEnded:
    """A challenge is decided and settled."""

    log: LogKey
    challenge_id: int
    query_id: QueryId
    ending: Ending


@dataclass(frozen=True, slots=True)
class BondWithdrawn:
    """The court paid an account."""

    log: LogKey
    account: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class WorkRewarded:
    """A final query made new NES."""

    log: LogKey
    query_id: QueryId
    period: int
    treasury_fee: Amount
    amount: Amount


@dataclass(frozen=True, slots=True)
class EmissionWithdrawn:
    """New NES went to an account, and a part of it to an operator's delegators."""

    log: LogKey
    account: Address
    amount: Amount
    delegators_part: Amount


@dataclass(frozen=True, slots=True)
class ShareAnnounced:
    """Which part of the treasury's fees is minted on top, from a period on."""

    log: LogKey
    share_bps: int
    from_period: int


@dataclass(frozen=True, slots=True)
class GasDeposited:
    """Coin waits for whoever reports a query; `amount` and `total` in wei."""

    log: LogKey
    query_id: QueryId
    depositor: Address
    amount: int
    total: int


@dataclass(frozen=True, slots=True)
class ReportPaid:
    """A reporter was credited this much wei."""

    log: LogKey
    query_id: QueryId
    reporter: Address
    amount: int


@dataclass(frozen=True, slots=True)
class DepositReclaimed:
    """A depositor was credited its own wei again."""

    log: LogKey
    query_id: QueryId
    depositor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class CoinWithdrawn:
    """The escrow sent an account wei."""

    log: LogKey
    account: Address
    amount: int


@dataclass(frozen=True, slots=True)
class CommissionAnnounced:
    """An operator takes delegations, and keeps so many basis points from `changes_at` on."""

    log: LogKey
    operator: Address
    bps: int
    changes_at: Timestamp


@dataclass(frozen=True, slots=True)
class Delegated:
    """Somebody delegated stake to an operator."""

    log: LogKey
    operator: Address
    delegator: Address
    amount: Amount
    shares: int


@dataclass(frozen=True, slots=True)
class ExitBegun:
    """Shares of an operator's pool leave."""

    log: LogKey
    operator: Address
    delegator: Address
    shares: int
    amount: Amount
    ready_at: Timestamp


@dataclass(frozen=True, slots=True)
class ExitCancelled:
    """Leaving shares stay."""

    log: LogKey
    operator: Address
    delegator: Address
    shares: int


@dataclass(frozen=True, slots=True)
class DelegationWithdrawn:
    """A delegator was paid."""

    log: LogKey
    operator: Address
    delegator: Address
    shares: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class RewardsAdded:
    """Somebody staked NES for all delegators of an operator."""

    log: LogKey
    operator: Address
    amount: Amount


@dataclass(frozen=True, slots=True)
class OperatorAttested:
    """An attestor stated that an enclave holds keys of an operator, until a second."""

    log: LogKey
    operator: Address
    signer: Address
    encryption_key: bytes
    evidence: Digest
    until: Timestamp


@dataclass(frozen=True, slots=True)
class AttestationRevoked:
    """A statement was taken back."""

    log: LogKey
    operator: Address
    signer: Address
    encryption_key: bytes


MarketEvent = (
    QueryRequested
    | AttemptOpened
    | QueryFulfilled
    | SlotClaimed
    | QueryClosed
    | QueryRefunded
    | QueryDelivered
    | QueryHeld
    | QueryReleased
    | QueryOverturned
    | CreditWithdrawn
    | SharesCollected
    | SeedPinned
    | CourtSet
)

RegistryEvent = (
    VersionRegistered
    | CircuitsHashed
    | ShardProved
    | PriceChanged
    | AdmissionNamed
    | VersionRetired
)

VaultEvent = (
    OperatorRegistered
    | EndpointChanged
    | EncryptionKeyChanged
    | SignerRotated
    | StakeDeposited
    | UnbondingBegun
    | UnbondingCancelled
    | StakeWithdrawn
    | SeatTaken
    | SeatLeft
    | SeatReleased
    | OperatorSlashed
    | OperatorHeld
    | SlasherSet
    | SummonerSet
    | DelegationPoolSet
    | StakeUndelegated
    | RewardWithdrawn
)

ParametersEvent = (
    QueryParametersChanged
    | RequestLimitsChanged
    | TreasuryChanged
    | ReviewerPoolChanged
    | OwnershipTransferStarted
    | OwnershipTransferred
)

EmitterEvent = (
    WorkRewarded
    | EmissionWithdrawn
    | ShareAnnounced
    | OwnershipTransferStarted
    | OwnershipTransferred
)

CourtEvent = (
    EvidenceAnnounced
    | EquivocationShown
    | ChallengeOpened
    | Moved
    | GameEnded
    | SignerConvicted
    | ChallengeEnded
    | BondWithdrawn
)

EscrowEvent = GasDeposited | ReportPaid | DepositReclaimed | CoinWithdrawn

DelegationEvent = (
    CommissionAnnounced | Delegated | ExitBegun | ExitCancelled | DelegationWithdrawn | RewardsAdded
)

SessionEvent = ProductsListed | SessionOpened | VoucherRedeemed | SessionClosed

SummonsEvent = MemberSummoned | SummonsAnswered | MemberAbsent | SeatJailed

AttestationEvent = OperatorAttested | AttestationRevoked

ChainEvent = (
    MarketEvent
    | RegistryEvent
    | VaultEvent
    | ParametersEvent
    | CourtEvent
    | EmitterEvent
    | EscrowEvent
    | DelegationEvent
    | SummonsEvent
    | SessionEvent
    | AttestationEvent
)

CONTRACT_EVENTS: Final[Mapping[str, Any]] = {
    "QueryMarket": MarketEvent,
    "ModelRegistry": RegistryEvent,
    "StakeVault": VaultEvent,
    "ProtocolParameters": ParametersEvent,
    "RewardEmitter": EmitterEvent,
    "DisputeCourt": CourtEvent,
    "GasEscrow": EscrowEvent,
    "DelegationPool": DelegationEvent,
    "Summons": SummonsEvent,
    "SharedSessions": SessionEvent,
    "SeatAttestations": AttestationEvent,
}
"""Which events each contract emits, by the name of its interface."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log as the node gives it."""

    key: LogKey
    address: Address
    topics: tuple[bytes, ...]
    data: bytes


def raw_log(found: Any) -> RawLog:
    """One element of an answer to `eth_getLogs`.

    Raises:
        Unavailable: it is none.
    """
    if not isinstance(found, dict) or not isinstance(found.get("topics"), list):
        raise Unavailable("the node answered garbage where a log was expected")
    key = LogKey(
        BlockNumber(quantity(found.get("blockNumber"))),
        quantity(found.get("logIndex")),
        Digest(data_bytes(found.get("blockHash"))),
        Digest(data_bytes(found.get("transactionHash"))),
    )
    topics = tuple(data_bytes(topic) for topic in found["topics"])
    return RawLog(key, Address(str(found.get("address"))), topics, data_bytes(found.get("data")))


def decode_event(log: RawLog) -> ChainEvent | None:
    """The event in `log`; None for events that no contract of this release knows.

    Raises:
        Incompatible: the log has a known name and unknown contents.
    """
    found = _decoders().get(log.topics[0]) if log.topics else None
    if found is None:
        return None
    shape, kind = found
    values = shape.decode(log.topics[1:], log.data)
    try:
        converted = {name: _convert(name, value) for name, value in values.items()}
        event: ChainEvent = kind(log=log.key, **converted)
    except (TypeError, ValueError) as error:
        raise Incompatible(f"a {shape.name} log does not fit this release") from error
    return event


_CONVERTERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "query": Query.from_abi,
    "outcome": outcome_from_abi,
    "callback": CallbackResult,
    "parameters": lambda values: QueryParameters(*values),
    "limits": lambda values: RequestLimits(*values),
    "challenge": Challenge.from_abi,
    "call": lambda values: Call(*values),
    "version_ids": tuple,
    "result": GameResult,
    "ending": Ending,
}


def _convert(name: str, value: Any) -> Any:
    converter = _CONVERTERS.get(name)
    return value if converter is None else converter(value)


@cache
def _decoders() -> Mapping[bytes, tuple[EventShape, Callable[..., ChainEvent]]]:
    decoders: dict[bytes, tuple[EventShape, Callable[..., ChainEvent]]] = {}
    for contract, union in CONTRACT_EVENTS.items():
        kinds = {kind.__name__: kind for kind in union.__args__}
        for shape in interface(contract).events:
            if shape.name in kinds:
                decoders[shape.topic] = (shape, kinds[shape.name])
    return decoders
