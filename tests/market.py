"""The whole protocol on titanoboa, with operators that have keys and seats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_abi.abi import decode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.consent import sign_consent
from nesa.protocol.digests import boundary_digest
from nesa.protocol.draw import draw, query_seed
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.outcomes import outcome_as_abi, outcome_from_abi
from nesa.protocol.queries import (
    ORACLE_SHARD,
    QUERY_ABI,
    Assurance,
    Outcome,
    Privacy,
    Query,
    ShardReport,
    report_words,
)
from nesa.protocol.versions import ShardFacts, version_root
from tests.contracts.verifiers import Behaviour, deploy_verifier, true_proof
from tests.deployment import (
    EPOCH_SECONDS,
    REQUEST_LIMITS,
    LowerContracts,
    deploy_lower,
    deployer,
    next_epoch,
    register_version,
    with_circuits,
)
from tests.reports import Work, keys_of, shard_works, signer_address

CREDIT_WINDOW = 120

INPUT_EDGE = EdgeType(DType.INT8, (1, 30), -127, 127)
MIDDLE_EDGE = EdgeType(DType.INT8, (1, 16), -127, 127)
OUTPUT_EDGE = EdgeType(DType.INT16, (1, 2), -3000, 3000)

TENSORS = {
    1: (bytes(range(30)), bytes.fromhex("d4fe2c01")),
    2: (bytes(range(30)), bytes(range(40, 56)), bytes.fromhex("d4fe2c01")),
}
"""Canonical bytes of every boundary, by the number of shards."""


def edges(shards: int) -> tuple[EdgeType, ...]:
    """Types of every boundary of a version with so many shards."""
    return (INPUT_EDGE, *[MIDDLE_EDGE] * (shards - 1), OUTPUT_EDGE)


def facts(shards: int) -> tuple[ShardFacts, ...]:
    """Shards without circuits."""
    pairs = zip(edges(shards), edges(shards)[1:], strict=False)
    return tuple(
        ShardFacts((into,), (out,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST) for into, out in pairs
    )


@dataclass
class World:
    """Contracts, operators and the keys of their signers."""

    lower: LowerContracts
    committee: VyperContract
    pricing: VyperContract
    market: VyperContract
    treasury: str
    reviewer_pool: str
    developer: str
    deployer: str
    setter: str
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    versions: dict[int, bytes] = field(default_factory=dict)
    proved: dict[int, bytes] = field(default_factory=dict)

    @property
    def chain_id(self) -> int:
        """Chain id of titanoboa's chain."""
        return int(boa.env.evm.patch.chain_id)

    # --- Setting up ---

    def operator(self, name: str, places: Sequence[tuple[bytes, int]]) -> str:
        """A new operator with a seat at every place; returns its owner."""
        owner = boa.env.generate_address(name)
        key = keys_of([name])[name]
        stake = REQUEST_LIMITS.seat_stake * len(places)
        self.give(owner, stake)
        vault = self.lower.vault
        self.lower.token.approve(vault, stake, sender=owner)
        endpoint = f"https://{name}.example"
        consent = sign_consent(key, self.chain_id, Address(vault.address), Address(owner))
        encryption = keccak(text=name)
        vault.register_operator(signer_address(key), consent, encryption, endpoint, sender=owner)
        vault.deposit(stake, sender=owner)
        for version_id, shard in places:
            digests = (ZERO_DIGEST, ZERO_DIGEST)
            if shard != ORACLE_SHARD:
                digests = self.lower.registry.facts(version_id, shard)
            vault.take_seat(version_id, shard, *digests, sender=owner)
        self.keys[signer_address(key)] = key
        self.owners[signer_address(key)] = owner
        return owner

    def give(self, account: str, amount: int) -> None:
        """NES out of the genesis supply."""
        self.lower.token.transfer(account, amount, sender=self.deployer)

    def client(self, name: str = "client", amount: int = 10_000 * ONE_NES) -> str:
        """An account with NES that the market may pull."""
        account = boa.env.generate_address(name)
        self.give(account, amount)
        self.lower.token.approve(self.market, 2**256 - 1, sender=account)
        return account

    def copy(self) -> World:
        """The same contracts; operators that are added later are known to the copy alone."""
        return replace(
            self,
            keys=dict(self.keys),
            owners=dict(self.owners),
            versions=dict(self.versions),
            proved=dict(self.proved),
        )

    def over(self, token: VyperContract) -> World:
        """The same world with a market of its own, which is paid in another token."""
        below = (self.lower.parameters, self.lower.vault, self.committee, self.pricing)
        market = deployer("market/QueryMarket").deploy(token, *below, CREDIT_WINDOW)
        return replace(self, market=market)

    # --- Asking ---

    def order(self, shards: int = 1, **changes: Any) -> tuple[Any, ...]:
        """An order for an agreed open query, changed by field."""
        values: dict[str, Any] = {
            "version_id": self.versions.get(shards, b""),
            "assurance": Assurance.AGREED,
            "privacy": Privacy.OPEN,
            "replicas": 4,
            "max_fee": 1_000 * ONE_NES,
            "callback_gas": 0,
            "input_digest": ZERO_DIGEST,
        }
        if changes.get("assurance") is Assurance.PROVED:
            values |= {"version_id": self.proved.get(shards, b""), "replicas": 1}
        return tuple((values | changes).values())

    def request(self, client: str, shards: int = 1, input: bytes = b"", **changes: Any) -> Query:
        """Asks, and waits until the seed block is known."""
        data = input or TENSORS[shards][0]
        self.market.request(self.order(shards, **changes), data, sender=client)
        query = self.requested()
        pass_blocks(2)
        return query

    def requested(self) -> Query:
        """Terms in the last event that announced some."""
        for event in reversed(self.market.get_logs()):
            if type(event).__name__ in ("QueryRequested", "AttemptOpened"):
                return as_query(event.query)
        raise AssertionError("nothing was asked")

    def requested_through(self, contract: VyperContract) -> Query:
        """Terms of the query that `contract` asked in its last transaction; waits as `request`."""
        address = bytes.fromhex(self.market.address[2:])
        entries = contract._computation.get_raw_log_entries()
        data = [data for _, emitter, _, data in entries if emitter == address][-1]
        pass_blocks(2)
        return as_query(decode([QUERY_ABI, "bytes"], data)[0])

    # --- Answering ---

    def drawn(self, query: Query, shard: int, wanted: int) -> list[PrivateKey]:
        """Keys of the first active seats in draw order."""
        seed = self.draw_seed(query)
        version_id = ZERO_DIGEST if shard == ORACLE_SHARD else query.version_id
        slots = query.seat_count(shard)
        seats = [self.lower.vault.seats(version_id, shard, [slot])[0] for slot in range(slots)]
        active = [seat.from_epoch <= query.epoch < seat.to_epoch for seat in seats]
        order = draw(seed, shard, slots, wanted, active.__getitem__)
        return [self.keys[seats[slot].signer] for slot in order]

    def draw_seed(self, query: Query) -> Digest:
        """Seed of the query's draws."""
        market = Address(self.market.address)
        return query_seed(
            self.chain_id, market, QueryId(query.query_id), query.attempt, seed_of(query)
        )

    def oracle(self, query: Query, turn: int = 0) -> str:
        """Signer of the oracle whose turn it is."""
        return signer_address(self.drawn(query, ORACLE_SHARD, turn + 1)[turn])

    def works(
        self, query: Query, tensors: Sequence[bytes] = (), payload: bytes | None = None
    ) -> list[Work]:
        """What honest committees did; a sealed payload takes the place of the last tensor."""
        data = tensors or TENSORS[query.shards]
        pairs = list(zip(edges(query.shards), data, strict=True))[1:]
        digests = [boundary_digest([edge], [tensor]) for edge, tensor in pairs]
        wanted = query.replicas
        committees = [self.drawn(query, shard, wanted) for shard in range(query.shards)]
        return shard_works(
            self.chain_id,
            self.market.address,
            query,
            seed_of(query),
            committees,
            digests,
            data[-1] if payload is None else payload,
        )

    def reports(self, query: Query, **chosen: Any) -> list[ShardReport]:
        """Honest reports of all shards."""
        return [work.report(**chosen) for work in self.works(query)]

    def fulfil(
        self,
        query: Query,
        reports: Sequence[ShardReport] | None = None,
        output: bytes | None = None,
        sender: str | None = None,
        **options: Any,
    ) -> Outcome:
        """Reports honestly but for what is given; returns the announced outcome."""
        sent = self.reports(query) if reports is None else reports
        answer = TENSORS[query.shards][-1] if output is None else output
        self.market.fulfil(
            query.as_abi(),
            report_words(sent),
            answer,
            sender=sender or self.oracle(query),
            **options,
        )
        return self.fulfilled()

    def proofs(self, query: Query, tensors: Sequence[bytes] = ()) -> list[bytes]:
        """What the stand-in verifiers accept."""
        data = tensors or TENSORS[query.shards]
        boundary = edges(query.shards)
        return [true_proof(boundary[i : i + 2], data[i : i + 2]) for i in range(query.shards)]

    def fulfil_proved(
        self,
        query: Query,
        reports: Sequence[ShardReport] | None = None,
        tensors: Sequence[bytes] = (),
        proofs: Sequence[bytes] | None = None,
        sender: str | None = None,
    ) -> Outcome:
        """Reports with proofs, honestly but for what is given."""
        sent = self.reports(query) if reports is None else reports
        data = list(tensors or TENSORS[query.shards])
        self.market.fulfil_proved(
            query.as_abi(),
            report_words(sent),
            data[-1],
            data[:-1],
            self.proofs(query) if proofs is None else list(proofs),
            sender=sender or self.oracle(query),
        )
        return self.fulfilled()

    def fulfilled(self) -> Outcome:
        """Outcome in the last QueryFulfilled event."""
        return as_outcome(self.event("QueryFulfilled").outcome)

    def event(self, name: str) -> Any:
        """The last event of that name in the market's last transaction."""
        found = [e for e in self.market.get_logs() if type(e).__name__ == name]
        assert found, f"no {name}"
        return found[-1]

    # --- Disputes ---

    def court(self) -> str:
        """An account that stands for the dispute court."""
        account = boa.env.generate_address("court")
        self.market.set_court(account, sender=self.deployer)
        return account

    def payees(self, query: Query, outcome: Outcome, shard: int) -> list[int]:
        """What the market books a shard's paid members under, in draw order."""
        owners = [self.owners[signer_address(key)] for key in self.drawn(query, shard, 8)]
        numbers = [self.lower.vault.operator_number(owner) << 160 for owner in owners]
        return [n for place, n in enumerate(numbers) if outcome.shards[shard].paid >> place & 1]

    def hold(self, query: Query, outcome: Outcome, shard: int = 0) -> None:
        """The court holds a shard."""
        held = (query.as_abi(), outcome_as_abi(outcome), shard)
        self.market.hold(*held, self.payees(query, outcome, shard), sender=self.market.court())

    def release(self, query: Query, outcome: Outcome, shard: int = 0) -> None:
        """The court finds that a shard's answer stood."""
        held = (query.as_abi(), outcome_as_abi(outcome), shard)
        self.market.release(*held, self.payees(query, outcome, shard), sender=self.market.court())

    def overturn(self, query: Query, outcome: Outcome, shard: int = 0) -> int:
        """The court finds that a shard's answer was wrong; returns what the fee still lacks."""
        held = (query.as_abi(), outcome_as_abi(outcome), shard)
        return int(self.market.overturn(*held, sender=self.market.court()))

    # --- Money ---

    def waiting(self, account: str) -> int:
        """What an account earned and cannot take yet."""
        return int(self.market.credit_of(account)[1])

    def collect(self, shards: int, developer: str | None = None) -> None:
        """Credits the shares of the version with so many shards."""
        root = version_root(bytes([shards]) * 32, facts(shards), b"\x02" * 32)
        self.market.collect(developer or self.developer, root)

    def matured(self, account: str) -> int:
        """What an account can take."""
        return int(self.market.credit_of(account)[0])

    def assert_solvent(self, donations: int = 0) -> None:
        """The market has exactly what it owes."""
        owed = self.market.total_owed()
        assert self.lower.token.balanceOf(self.market) == owed + donations


def build_world(seats: int = 6, oracles: int = 3, shards: Sequence[int] = (1, 2)) -> World:
    """Deploys everything, seats operators and goes to the epoch in which they are active."""
    names = ["deployer", "treasury", "reviewer_pool", "slasher_setter", "developer"]
    who = {name: boa.env.generate_address(name) for name in names}
    lower = deploy_lower(
        who["deployer"],
        who["deployer"],
        who["treasury"],
        who["reviewer_pool"],
        who["slasher_setter"],
    )
    committee = deployer("market/Committee").deploy(lower.vault, lower.registry, lower.router)
    pricing = deployer("market/Pricing").deploy(lower.parameters, lower.registry, lower.vault)
    with boa.env.prank(who["deployer"]):
        market = deployer("market/QueryMarket").deploy(
            lower.token,
            lower.parameters,
            lower.vault,
            committee,
            pricing,
            CREDIT_WINDOW,
        )
    world = World(
        lower,
        committee,
        pricing,
        market,
        who["treasury"],
        who["reviewer_pool"],
        who["developer"],
        who["deployer"],
        who["slasher_setter"],
    )
    for count in shards:
        world.versions[count] = register_version(
            lower.registry, world.developer, facts(count), operators_root=bytes([count]) * 32
        )
        world.proved[count] = provable_version(world, count)
    _seat_operators(world, seats, oracles)
    next_epoch()
    pass_blocks(1, 0)
    return world


def provable_version(world: World, count: int) -> bytes:
    """A version whose every shard has a stand-in verifier and was shown to be provable."""
    verifier = deploy_verifier(Behaviour.CHECKS)
    code_hash = keccak(boa.env.get_code(verifier.address))
    version_id = register_version(
        world.lower.registry,
        world.developer,
        with_circuits(facts(count), code_hash),
        tuple(verifier for _ in range(count)),
        operators_root=bytes([100 + count]) * 32,
    )
    boundary = edges(count)
    tensors = [bytes(edge.nbytes) for edge in boundary]
    for shard in range(count):
        proof = true_proof(boundary[shard : shard + 2], tensors[shard : shard + 2])
        into, out = tensors[shard], tensors[shard + 1]
        world.lower.registry.prove_corner(version_id, shard, into, out, proof)
    return version_id


def _seat_operators(world: World, seats: int, oracles: int) -> None:
    for shard in range(max(world.versions)):
        for number in range(seats):
            places = [
                (version_id, shard)
                for versions in (world.versions, world.proved)
                for count, version_id in versions.items()
                if shard < count
            ]
            world.operator(f"member-{shard}-{number}", places)
    for number in range(oracles):
        world.operator(f"oracle-{number}", [(ZERO_DIGEST, ORACLE_SHARD)])


# --- Time ---


def block_hash(number: int) -> Digest:
    """Hash of a block on this chain: made from its number."""
    return Digest(keccak(text=f"block {number}"))


def pass_blocks(blocks: int, seconds: int | None = None) -> None:
    """Lets blocks of one second pass, or `seconds` in all."""
    patch = boa.env.evm.patch
    patch.timestamp += blocks if seconds is None else seconds
    patch.block_number += blocks
    number = patch.block_number
    patch.prev_hashes = [block_hash(n) for n in range(number - 1, max(-1, number - 257), -1)]


def seed_of(query: Query) -> Digest:
    """Hash of the query's seed block."""
    return block_hash(query.seed_block)


def go_to(timestamp: int) -> None:
    """Goes to a moment, one block later."""
    pass_blocks(1, timestamp - boa.env.timestamp)


# --- Values ---


def as_query(values: Any) -> Query:
    """The query in a decoded event."""
    return Query.from_abi(tuple(values))


def as_outcome(values: Any) -> Outcome:
    """The outcome in a decoded event."""
    *head, shards = tuple(values)
    return outcome_from_abi((*head, [tuple(shard) for shard in shards]))


def changed(query: Query, **fields: Any) -> Query:
    """The same terms but for some."""
    return replace(query, **fields)


__all__ = ["EPOCH_SECONDS", "World", "build_world", "pass_blocks"]
