"""The contracts with types: reads that name their block, and calls that are ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nesa.chain.abi import ContractCall, interface
from nesa.chain.connection import At, Connection
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import (
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Seconds,
    Timestamp,
    VersionId,
    VersionRoot,
)
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.parameters import QueryParameters, RequestLimits
from nesa.protocol.queries import (
    ORACLE_SHARD,
    Assurance,
    Outcome,
    Privacy,
    Query,
    QueryStatus,
    ShardReport,
    SignedResult,
    report_words,
)
from nesa.protocol.summons import Absence, unpack_absences
from nesa.protocol.versions import ShardFacts

ZERO_ADDRESS: Final = Address("0x" + "00" * 20)
ORACLE_SEATS: Final = (VersionId(ZERO_DIGEST), ORACLE_SHARD)
"""Version and shard under which the vault keeps the oracle seats."""

SEATS_A_READ: Final = 16


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asks for, as in the contract's struct."""

    version_id: VersionId
    assurance: Assurance
    privacy: Privacy
    replicas: int
    max_fee: Amount
    callback_gas: int = 0
    input_digest: Digest = ZERO_DIGEST

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct."""
        head = (self.version_id, int(self.assurance), int(self.privacy), self.replicas)
        return (*head, self.max_fee, self.callback_gas, self.input_digest)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the market needs of a version to price a query; `hashed` says whether its circuits hash
    what they are about."""

    shards: int
    price: Amount
    proof_price: Amount
    royalty_bps: int
    provable: bool
    hashed: bool
    input_edge: EdgeType
    output_edge: EdgeType


@dataclass(frozen=True, slots=True)
class ProofTerms:
    """A shard's verifier, and how proofs show the tensor that enters and the one that leaves."""

    verifier: Address
    input_edge: ShownEdge
    output_edge: ShownEdge


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's record; the zero signer means that it never registered."""

    address: Address
    signer: Address
    encryption_key: bytes
    next_encryption_key: bytes
    key_epoch: Epoch
    endpoint: str

    def encryption_key_at(self, epoch: Epoch) -> bytes:
        """X25519 public key in use in `epoch`."""
        return self.next_encryption_key if epoch >= self.key_epoch else self.encryption_key


@dataclass(frozen=True, slots=True)
class SeatRecord:
    """One slot of a shard's seat list; a vacant slot has the zero operator."""

    operator: Address
    signer: Address
    from_epoch: Epoch
    to_epoch: Epoch

    def is_active(self, epoch: Epoch) -> bool:
        """Whether queries of `epoch` can draw it."""
        return self.signer != ZERO_ADDRESS and self.from_epoch <= epoch < self.to_epoch


@dataclass(frozen=True, slots=True)
class Ledger:
    """An operator's stake, as in the contract's struct."""

    stake: Amount
    locked: Amount
    unbonding: Amount
    withdrawable_at: Timestamp
    holds: int

    @property
    def free(self) -> Amount:
        """What a new seat could lock."""
        return Amount(self.stake - self.locked - self.unbonding)


@dataclass(frozen=True, slots=True)
class Backing:
    """What of an operator's stake is delegated, and what of it is about to go: delegations that
    leave, and stake that seats lock which were left. `creditable` is gone: what may still be
    credited of what slashes took of the operator's own, see `nesa.protocol.slashing`."""

    delegated: Amount
    leaving: Amount
    ending: Amount
    creditable: Amount


@dataclass(frozen=True, slots=True)
class Credit:
    """What the market owes: withdrawable now, and still waiting."""

    ready: Amount
    waiting: Amount


@dataclass(frozen=True, slots=True)
class Shares:
    """A version's uncollected shares of its answered queries."""

    royalty: Amount
    reviewers: Amount
    treasury: Amount


def deployed(address: Address | None, what: str) -> Address:
    """The address of a contract that not every deployment has.

    Raises:
        Unavailable: this one has none of `what`.
    """
    if address is None:
        raise Unavailable(f"this deployment has no {what}")
    return address


class BoundContract:
    """A contract at its address. Every read names a block; `call` only builds what is sent."""

    interface_name: ClassVar[str]

    def __init__(self, connection: Connection, address: Address) -> None:
        self._connection = connection
        self.address = address

    def call(self, function: str, *arguments: Any) -> ContractCall:
        """A call of any function, ready for `Sender.send` or `Connection.call`."""
        found = interface(self.interface_name).function(function, len(arguments))
        label = f"{self.interface_name}.{function}"
        return ContractCall(self.address, found.encode(arguments), label)

    async def read(
        self, function: str, *arguments: Any, at: At, gas: int | None = None
    ) -> tuple[Any, ...]:
        """What any view returns at a block; with `gas` it may take no more than that.

        Raises:
            Rejected: it reverts.
            Incompatible: it answers something else than its interface says.
        """
        found = interface(self.interface_name).function(function, len(arguments))
        answer = await self._connection.call(self.call(function, *arguments), at, gas=gas)
        return found.decode(answer)

    async def _one(self, function: str, *arguments: Any, at: At, gas: int | None = None) -> Any:
        (value,) = await self.read(function, *arguments, at=at, gas=gas)
        return value


class Token(BoundContract):
    """NesToken: ERC-20 with permit."""

    interface_name = "NesToken"

    async def balance_of(self, account: Address, at: At) -> Amount:
        """NES units of an account."""
        return Amount(await self._one("balanceOf", account, at=at))

    async def allowance(self, owner: Address, spender: Address, at: At) -> Amount:
        """NES units that `spender` may still take from `owner`."""
        return Amount(await self._one("allowance", owner, spender, at=at))

    async def permit_nonce(self, owner: Address, at: At) -> int:
        """Nonce of the owner's next ERC-2612 permit."""
        return int(await self._one("nonces", owner, at=at))

    async def total_supply(self, at: At) -> Amount:
        """NES units in being."""
        return Amount(await self._one("totalSupply", at=at))

    def approve(self, spender: Address, amount: Amount) -> ContractCall:
        """Allow `spender` to take `amount`."""
        return self.call("approve", spender, amount)

    def transfer(self, receiver: Address, amount: Amount) -> ContractCall:
        """Pay."""
        return self.call("transfer", receiver, amount)


class Parameters(BoundContract):
    """ProtocolParameters."""

    interface_name = "ProtocolParameters"

    async def query_parameters(self, at: At) -> QueryParameters:
        """Rules of a query requested now; its royalty is filled in by the market."""
        return QueryParameters(*await self._one("query_parameters", at=at))

    async def request_limits(self, at: At) -> RequestLimits:
        """Limits of a request made now."""
        return RequestLimits(*await self._one("request_limits", at=at))


class Vault(BoundContract):
    """StakeVault: operators, stake, seats."""

    interface_name = "StakeVault"

    async def epoch(self, at: At) -> Epoch:
        """The epoch at a block."""
        return Epoch(await self._one("epoch", at=at))

    async def epoch_seconds(self, at: At) -> Seconds:
        """Length of an epoch."""
        return Seconds(await self._one("epoch_seconds", at=at))

    async def unbonding_seconds(self, at: At) -> Seconds:
        """How long stake thaws."""
        return Seconds(await self._one("unbonding_seconds", at=at))

    async def operator(self, operator: Address, at: At) -> Operator:
        """An operator's record."""
        return Operator(operator, *await self._one("operators", operator, at=at))

    async def absences(self, work: Digest, at: At) -> tuple[Absence, ...]:
        """Slots of a committee that spares fill, see `nesa.protocol.summons.work_id`."""
        return unpack_absences(await self._one("absences", work, at=at))

    async def operator_of(self, signer: Address, at: At) -> Address | None:
        """The operator that a signer belongs to."""
        found = Address(await self._one("operator_of", signer, at=at))
        return None if found == ZERO_ADDRESS else found

    async def ledger(self, operator: Address, at: At) -> Ledger:
        """An operator's stake."""
        return Ledger(*await self._one("ledger", operator, at=at))

    async def backing(self, operator: Address, at: At) -> Backing:
        """What others staked for an operator."""
        return Backing(*await self._one("backing", operator, at=at))

    async def reward_of(self, account: Address, at: At) -> Amount:
        """NES units that an account can withdraw of slashes' rewards."""
        return Amount(await self._one("rewards", account, at=at))

    async def seat_counts(self, version_id: VersionId, shards: int, at: At) -> int:
        """Slots of each shard in 24 bits, oracle slots at index 8."""
        return int(await self._one("seat_counts", version_id, shards, at=at))

    async def active_counts(self, version_id: VersionId, shards: int, at: At) -> int:
        """Active seats of each shard in 24 bits, oracle seats at index 8."""
        return int(await self._one("active_counts", version_id, shards, at=at))

    async def seats(
        self, version_id: VersionId, shard: int, slots: Sequence[int], at: At
    ) -> tuple[SeatRecord, ...]:
        """Seats in the order of `slots`, read sixteen at a time."""
        found: list[SeatRecord] = []
        for start in range(0, len(slots), SEATS_A_READ):
            some = list(slots[start : start + SEATS_A_READ])
            answer = await self._one("seats", version_id, shard, some, at=at)
            found += [SeatRecord(*seat) for seat in answer]
        return tuple(found)

    async def seat_of(self, version_id: VersionId, operator: Address, at: At) -> tuple[int, int]:
        """Shard and slot where an operator sits.

        Raises:
            Rejected: it does not sit in this version.
        """
        shard, slot = await self.read("seat_of", version_id, operator, at=at)
        return int(shard), int(slot)

    def register_operator(
        self, signer: Address, consent: tuple[bytes, bytes], encryption_key: bytes, endpoint: str
    ) -> ContractCall:
        """Make the sender an operator; `consent` is the signer's, see `nesa.protocol.consent`."""
        return self.call("register_operator", signer, consent, encryption_key, endpoint)

    def rotate_signer(self, signer: Address, consent: tuple[bytes, bytes]) -> ContractCall:
        """Change the signer of seats that the sender takes later."""
        return self.call("rotate_signer", signer, consent)

    def set_encryption_key(self, encryption_key: bytes) -> ContractCall:
        """Change the sender's encryption key from the epoch after the next one on."""
        return self.call("set_encryption_key", encryption_key)

    def set_endpoint(self, endpoint: str) -> ContractCall:
        """Move the sending operator."""
        return self.call("set_endpoint", endpoint)

    def deposit(self, amount: Amount) -> ContractCall:
        """Add stake to the sending operator."""
        return self.call("deposit", amount)

    def withdraw_reward(self, account: Address) -> ContractCall:
        """Pay an account what slashes rewarded it with, or repaid it."""
        return self.call("withdraw_reward", account)

    def take_seat(
        self,
        version_id: VersionId,
        shard: int,
        circuit_digest: bytes = ZERO_DIGEST,
        verifier_code_hash: bytes = ZERO_DIGEST,
    ) -> ContractCall:
        """Seat the sending operator; both digests as it rebuilt them itself."""
        return self.call("take_seat", version_id, shard, circuit_digest, verifier_code_hash)

    def leave_seat(self, version_id: VersionId, shard: int, slot: int) -> ContractCall:
        """End the sending operator's seat."""
        return self.call("leave_seat", version_id, shard, slot)

    def evict(self, version_id: VersionId, shard: int, slot: int) -> ContractCall:
        """End a seat that its operator's stake does not cover any more."""
        return self.call("evict", version_id, shard, slot)


class Registry(BoundContract):
    """ModelRegistry: versions of models."""

    interface_name = "ModelRegistry"

    async def offer(self, version_id: VersionId, at: At) -> Offer:
        """What a version is offered for.

        Raises:
            Rejected: it is unknown or retired.
        """
        values = await self._one("offer", version_id, at=at)
        return Offer(*values[:-2], *(EdgeType.unpack(edge) for edge in values[-2:]))

    async def developer_of(self, version_id: VersionId, at: At) -> Address:
        """Who registered a version, zero for an unknown one."""
        return Address(await self._one("developer_of", version_id, at=at))

    async def admission_of(self, version_id: VersionId, at: At) -> Address | None:
        """The contract that says who may sit in a version, None where everybody may."""
        found = Address(await self._one("admission_of", version_id, at=at))
        return None if found == ZERO_ADDRESS else found

    async def admits(
        self,
        version_id: VersionId,
        operator: Address,
        signer: Address,
        at: At,
        gas: int | None = None,
    ) -> bool:
        """Whether an operator may sit in a version with that signer; with `gas`, by a contract that
        takes no more than that to say so."""
        return bool(await self._one("admits", version_id, operator, signer, at=at, gas=gas))

    async def shard(self, version_id: VersionId, index: int, at: At) -> ShardFacts:
        """One shard as registered."""
        inputs, outputs, *digests = await self._one("shard", version_id, index, at=at)
        input_edges = tuple(EdgeType.unpack(edge) for edge in inputs)
        output_edges = tuple(EdgeType.unpack(edge) for edge in outputs)
        return ShardFacts(input_edges, output_edges, *digests)

    async def shard_count(self, version_id: VersionId, at: At) -> int:
        """Shards of a version, zero for an unknown one."""
        return int(await self._one("shard_count", version_id, at=at))

    async def proof_terms(self, version_id: VersionId, index: int, at: At) -> ProofTerms:
        """What the proof router is asked about a shard.

        Raises:
            Rejected: the shard cannot be proved.
        """
        verifier, given, computed = await self.read("proof_terms", version_id, index, at=at)
        return ProofTerms(verifier, ShownEdge.unpack(given), ShownEdge.unpack(computed))

    async def verifier(self, version_id: VersionId, index: int, at: At) -> Address | None:
        """The verifier of a shard, None without a circuit."""
        found = Address(await self._one("verifier", version_id, index, at=at))
        return None if found == ZERO_ADDRESS else found


class Router(BoundContract):
    """ProofRouter: what the chain says of a proof."""

    interface_name = "ProofRouter"

    async def accepts(
        self, terms: ProofTerms, given: bytes, computed: bytes, proof: bytes, at: At
    ) -> bool:
        """Whether the shard's verifier takes `proof` for these canonical bytes or digests.

        Raises:
            Rejected: the bytes do not fit the edges.
        """
        edges = (terms.input_edge.pack(), terms.output_edge.pack())
        values = (terms.verifier, *edges, given, computed, proof)
        return bool(await self._one("try_verify", *values, at=at))


class CommitteeContract(BoundContract):
    """Committee: the chain's own view of draws and reports."""

    interface_name = "Committee"

    async def members(
        self, query: Query, seed_hash: Digest, shard: int, wanted: int, at: At
    ) -> tuple[SeatRecord, ...]:
        """Seats drawn for a shard; `seed_hash` is the hash of the query's seed block."""
        market = self._connection.deployment.market
        arguments = (market, query.as_abi(), seed_hash, shard, wanted)
        return tuple(SeatRecord(*seat) for seat in await self._one("members", *arguments, at=at))


class Market(BoundContract):
    """QueryMarket: queries from request to close."""

    interface_name = "QueryMarket"

    async def status_of(self, query_id: QueryId, at: At) -> QueryStatus:
        """Where a query stands."""
        return QueryStatus(await self._one("status_of", query_id, at=at))

    async def closes_at(self, query_id: QueryId, at: At) -> Timestamp:
        """Until when slots can be claimed; zero before the answer."""
        return Timestamp(await self._one("closes_at", query_id, at=at))

    async def verify_terms(self, query: Query, at: At) -> bool:
        """Whether these are the terms of a query without an answer, open or refunded."""
        return bool(await self._one("verify_terms", query.as_abi(), at=at))

    async def credit_of(self, account: Address, at: At) -> Credit:
        """What the market owes to an account."""
        ready, waiting = await self.read("credit_of", account, at=at)
        return Credit(Amount(ready), Amount(waiting))

    async def shares_of(self, version_id: VersionId, at: At) -> Shares:
        """What a version's answered queries earned and nobody collected yet."""
        return Shares(*await self.read("shares_of", version_id, at=at))

    async def quote(self, order: Order, at: At) -> Amount:
        """What an order costs.

        Raises:
            Rejected: the market would refuse it.
        """
        return Amount(await self._one("quote", order.as_abi(), at=at))

    async def pinned_seed(self, seed_block: BlockNumber, at: At) -> Digest | None:
        """A pinned block hash."""
        found = Digest(await self._one("pinned_seed", seed_block, at=at))
        return None if found == ZERO_DIGEST else found

    async def last_query_id(self, at: At) -> QueryId:
        """Number of the newest query, zero before the first."""
        return QueryId(await self._one("last_query_id", at=at))

    def request(self, order: Order, data: bytes) -> ContractCall:
        """Ask and pay by allowance."""
        return self.call("request", order.as_abi(), data)

    def request_with_permit(
        self, order: Order, data: bytes, deadline: Timestamp, signature: tuple[int, bytes, bytes]
    ) -> ContractCall:
        """Ask and pay by a permit for `order.max_fee`; `signature` is (v, r, s)."""
        return self.call("request_with_permit", order.as_abi(), data, deadline, *signature)

    def retry(self, query: Query) -> ContractCall:
        """Open another attempt."""
        return self.call("retry", query.as_abi())

    def fulfil(self, query: Query, reports: Sequence[ShardReport], output: bytes) -> ContractCall:
        """Bring an answer."""
        return self.call("fulfil", query.as_abi(), report_words(reports), output)

    def fulfil_proved(
        self,
        query: Query,
        reports: Sequence[ShardReport],
        output: bytes,
        tensors: Sequence[bytes],
        proofs: Sequence[bytes],
    ) -> ContractCall:
        """Bring an answer with a proof of every shard; send it with explicit gas."""
        head = (query.as_abi(), report_words(reports), output)
        return self.call("fulfil_proved", *head, list(tensors), list(proofs))

    def claim_slot(
        self,
        query: Query,
        outcome: Outcome,
        shard: int,
        commitments: Sequence[bytes],
        result: SignedResult,
    ) -> ContractCall:
        """Pay a member whom the report left out."""
        head = (query.as_abi(), outcome_as_abi(outcome), shard)
        return self.call("claim_slot", *head, list(commitments), result.as_abi())

    def refund(self, query: Query) -> ContractCall:
        """Pay back an unanswered query."""
        return self.call("refund", query.as_abi())

    def close(self, query: Query, outcome: Outcome) -> ContractCall:
        """Return unclaimed slots."""
        return self.call("close", query.as_abi(), outcome_as_abi(outcome))

    def deliver(self, query: Query, outcome: Outcome, output: bytes) -> ContractCall:
        """Call whoever asked a CHALLENGED query with the answer that stood."""
        return self.call("deliver", query.as_abi(), outcome_as_abi(outcome), output)

    def pin_seed(self, seed_block: BlockNumber) -> ContractCall:
        """Keep a block hash."""
        return self.call("pin_seed", seed_block)

    def collect(self, developer: Address, root: VersionRoot) -> ContractCall:
        """Credit the shares of a version's answered queries."""
        return self.call("collect", developer, root)

    def withdraw(self, account: Address) -> ContractCall:
        """Pay an account what it may take."""
        return self.call("withdraw", account)


class Contracts:
    """All contracts of a connection's deployment."""

    def __init__(self, connection: Connection) -> None:
        deployment = connection.deployment
        self.deployment = deployment
        self.token = Token(connection, deployment.token)
        self.parameters = Parameters(connection, deployment.parameters)
        self.vault = Vault(connection, deployment.vault)
        self.registry = Registry(connection, deployment.registry)
        self.router = Router(connection, deployment.router)
        self.committee = CommitteeContract(connection, deployment.committee)
        self.market = Market(connection, deployment.market)
