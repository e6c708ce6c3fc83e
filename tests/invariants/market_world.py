"""The whole suite on pyrevm: contracts, and operators with keys and seats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.chain.abi import Interface
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.protocol.consent import sign_consent
from nesa.protocol.draw import draw, query_seed
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.queries import ORACLE_SHARD, Query
from nesa.protocol.versions import ShardFacts, version_root
from tests.contracts.verifiers import Behaviour, true_proof
from tests.deployment import (
    EPOCH_SECONDS,
    GENESIS_SUPPLY,
    MAXIMUM_QUERY_SECONDS,
    QUERY_PARAMETERS,
    REQUEST_LIMITS,
    UNBONDING_SECONDS,
    with_circuits,
)
from tests.market import CREDIT_WINDOW, TENSORS, edges, facts
from tests.reports import keys_of, signer_address
from tests.revm import RevmChain, RevmContract

MEMBERS, ORACLES = 8, 4
"""Operators of each shard, and oracles."""

METADATA: Final = b"\x02" * 32


def account(name: str) -> str:
    """An account without a key."""
    return str(to_checksum_address(keccak(text=name)[-20:]))


OWNER, DEVELOPER, COURT = account("owner"), account("developer"), account("court")
TREASURIES = (account("treasury"), account("new treasury"))
REVIEWERS, BENEFICIARY = account("reviewer pool"), account("beneficiary")
STRANGER, CLINIC = account("stranger"), account("clinic")
PERSONS = (account("client"), account("other client"))


class MarketWorld:
    """Everything deployed and bound, all seats active."""

    def __init__(self, chain: RevmChain) -> None:
        self.chain = chain
        self._deploy()
        self.versions = {count: self._register(count) for count in (1, 2)}
        self.proved = {count: self._register_provable(count) for count in (1, 2)}
        self.keys: dict[str, PrivateKey] = {}
        self.owners: dict[str, str] = {}
        self.places: dict[str, list[tuple[bytes, int]]] = {}
        self._seat_everybody()
        self._add_clients()
        self.chain.mine(seconds=EPOCH_SECONDS)

    def _deploy(self) -> None:
        deploy = self._deploy_contract
        self.token = deploy("token/NesToken", OWNER, GENESIS_SUPPLY)
        self.parameters = deploy(
            "governance/ProtocolParameters",
            astuple(QUERY_PARAMETERS),
            astuple(REQUEST_LIMITS),
            TREASURIES[0],
            REVIEWERS,
            MAXIMUM_QUERY_SECONDS,
        )
        self.router = deploy("verification/ProofRouter")
        self.registry = deploy("registry/ModelRegistry", self.router)
        clocks = (EPOCH_SECONDS, UNBONDING_SECONDS, OWNER)
        self.vault = deploy(
            "staking/StakeVault", self.token, self.registry, self.parameters, *clocks
        )
        self.committee = deploy("market/Committee", self.vault, self.registry, self.router)
        sold = (self.parameters, self.registry, self.vault)
        self.pricing = deploy("market/Pricing", *sold)
        below = (self.token, self.parameters, self.vault, self.committee, self.pricing)
        self.market = deploy("market/QueryMarket", *below, CREDIT_WINDOW)
        self._name_court()
        self.interface = Interface("QueryMarket", self.market.abi)

    def _name_court(self) -> None:
        self.vault.set_slasher(COURT, sender=OWNER)
        self.market.set_court(COURT, sender=OWNER)

    def _deploy_contract(self, name: str, *arguments: Any) -> RevmContract:
        plain = [a.address if isinstance(a, RevmContract) else a for a in arguments]
        return self.chain.deploy(f"contracts/{name}", *plain, sender=OWNER)

    # Versions

    def root(self, shards: int) -> bytes:
        """Root of the version with so many shards, the one without circuits."""
        return version_root(bytes([shards]) * 32, facts(shards), METADATA)

    def proved_root(self, shards: int) -> bytes:
        """Root of the provable version with so many shards."""
        return version_root(bytes([100 + shards]) * 32, self._circuits(shards), METADATA)

    def _register(self, shards: int) -> bytes:
        return self._register_shards(bytes([shards]) * 32, facts(shards), [])

    def _register_shards(
        self, operators: bytes, shards: Sequence[ShardFacts], verifiers: list[str]
    ) -> bytes:
        given = [shard.as_abi() for shard in shards]
        terms = (ONE_NES, 5 * ONE_NES, 1_000, ZERO_ADDRESS)
        version_id: bytes = self.registry.register(
            "", "", operators, METADATA, given, verifiers, *terms, sender=DEVELOPER
        )
        return version_id

    def _circuits(self, shards: int) -> tuple[ShardFacts, ...]:
        code_hash = self.chain.evm.basic(self.verifier.address).code_hash
        return with_circuits(facts(shards), bytes(code_hash or b""))

    def _register_provable(self, shards: int) -> bytes:
        harness = "tests/contracts/harness/StubVerifier"
        self.verifier = self.chain.deploy(harness, int(Behaviour.CHECKS))
        verifiers = [str(self.verifier.address)] * shards
        operators = bytes([100 + shards]) * 32
        version_id = self._register_shards(operators, self._circuits(shards), verifiers)
        for shard, proof in enumerate(self.proofs(shards)):
            into, out = TENSORS[shards][shard : shard + 2]
            self.registry.prove_corner(version_id, shard, into, out, proof)
        return version_id

    def proofs(self, shards: int) -> list[bytes]:
        """Proofs that the verifiers accept of the tensors that every committee computes."""
        types, tensors = edges(shards), TENSORS[shards]
        return [true_proof(types[i : i + 2], tensors[i : i + 2]) for i in range(shards)]

    # Accounts

    def _seat_everybody(self) -> None:
        catalogue = (self.versions, self.proved)
        for shard in (0, 1):
            places = [(v[k], shard) for v in catalogue for k in v if shard < k]
            for number in range(MEMBERS):
                self._add_operator(f"member {shard} {number}", places)
        for number in range(ORACLES):
            self._add_operator(f"oracle {number}", [(ZERO_DIGEST, ORACLE_SHARD)])

    def _add_operator(self, name: str, places: list[tuple[bytes, int]]) -> None:
        owner, key = account(name), keys_of([name])[name]
        stake = REQUEST_LIMITS.seat_stake * (len(places) + 2)
        self.token.transfer(owner, stake, sender=OWNER)
        self.token.approve(self.vault.address, 2**256 - 1, sender=owner)
        vault = Address(self.vault.address)
        consent = sign_consent(key, self.chain.chain_id, vault, Address(owner))
        given = (signer_address(key), consent, b"\x01" * 32, name)
        self.vault.register_operator(*given, sender=owner)
        self.vault.deposit(stake, sender=owner)
        self.keys[signer_address(key)], self.owners[signer_address(key)] = key, owner
        self.places[owner] = places
        for place in places:
            self.take_seat(owner, *place)

    def take_seat(self, owner: str, version_id: bytes, shard: int) -> None:
        """Seats an operator with the digests that the registry knows."""
        digests = (ZERO_DIGEST, ZERO_DIGEST)
        if shard != ORACLE_SHARD:
            digests = self.registry.facts(version_id, shard)
        self.vault.take_seat(version_id, shard, *digests, sender=owner)

    def _add_clients(self) -> None:
        market, token = self.market.address, self.token.address
        self.register = self.chain.deploy(
            "contracts/examples/TriageRegister", market, token, self.versions[2], sender=CLINIC
        )
        hostile = "tests/contracts/harness/HostileConsumer"
        self.hostile = self.chain.deploy(hostile, market, token)
        clients = (*PERSONS, self.register.address, self.hostile.address)
        for client in clients:
            self.token.transfer(client, 100_000 * ONE_NES, sender=OWNER)
        for person in PERSONS:
            self.token.approve(market, 2**256 - 1, sender=person)

    @property
    def holders(self) -> list[str]:
        """Everybody who can ever have NES or a credit."""
        contracts = (self.market, self.vault, self.register, self.hostile)
        known = (OWNER, DEVELOPER, *TREASURIES, REVIEWERS, BENEFICIARY, STRANGER, *PERSONS)
        return [*known, *[c.address for c in contracts], *self.places]

    # Queries

    def events(self, name: str) -> list[dict[str, Any]]:
        """The market's events of that name in the last transaction."""
        shape = next(event for event in self.interface.events if event.name == name)
        logs = [log for log in self.chain.logs if log.address == self.market.address]
        mine = [log for log in logs if log.topics[0] == shape.topic]
        return [shape.decode(log.topics[1:], log.data) for log in mine]

    def seed(self, query: Query) -> Digest:
        """Hash of the query's seed block."""
        return Digest(self.chain.block_hash(query.seed_block))

    def drawn(self, query: Query, shard: int, wanted: int) -> list[str]:
        """Signers of the first active seats in draw order, fewer when there are too few."""
        market, version_id = Address(self.market.address), query.version_id
        if shard == ORACLE_SHARD:
            version_id = ZERO_DIGEST  # type: ignore[assignment]
        seed = query_seed(
            self.chain.chain_id, market, QueryId(query.query_id), query.attempt, self.seed(query)
        )
        slots = query.seat_count(shard)
        seats = [seat for s in range(0, slots, 16) for seat in self._seats(version_id, shard, s)]
        active = self._activity(query.epoch, seats)
        order = draw(seed, shard, slots, wanted, active)
        return [str(to_checksum_address(seats[slot][1])) for slot in order]

    def _seats(self, version_id: bytes, shard: int, first: int) -> list[Any]:
        slots = list(range(first, first + 16))
        return list(self.vault.seats(version_id, shard, slots))

    @staticmethod
    def _activity(epoch: int, seats: list[Any]) -> Callable[[int], bool]:
        def is_active(slot: int) -> bool:
            operator, _, from_epoch, to_epoch = seats[slot]
            return int(operator, 16) != 0 and from_epoch <= epoch < to_epoch

        return is_active
