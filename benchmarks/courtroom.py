"""A dispute court over a market that agrees to everything, for measuring its transactions.

The market is a stand-in to which every outcome is right, since most of the models that are measured
are larger than an input on chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Final, Self

from eth_utils.crypto import keccak

from benchmarks.gas import intrinsic_gas
from nesa.chain.abi import interface
from nesa.models.disputes.traces import Charge
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import (
    ONE_NES,
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
    VersionRoot,
)
from nesa.protocol.outcomes import members_digest, outcome_as_abi
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, ShardOutcome
from nesa.protocol.versions import VERSION_ROOT_DOMAIN, version_id
from scripts.deployment.profiles import PUBLIC
from tests.reports import keys_of, signer_address
from tests.revm import RevmChain, RevmContract

OWNER, CHALLENGER, CLIENT = (Address("0x" + f"{n}{n}" * 20) for n in (1, 2, 3))
SIGNERS: Final = tuple(keys_of([f"signer {n}" for n in range(4)]).values())
METADATA: Final = bytes(32)


@dataclass
class Courtroom:
    """A court whose market agrees to everything, and four operators with stake."""

    chain: RevmChain = field(default_factory=RevmChain)

    def __post_init__(self) -> None:
        profile = PUBLIC
        parameters = (astuple(profile.query), astuple(profile.limits), OWNER, OWNER)
        self.token = self.deploy("token/NesToken", OWNER, 10**17)
        knobs = self.deploy(
            "governance/ProtocolParameters", *parameters, profile.maximum_query_seconds
        )
        router = self.deploy("verification/ProofRouter")
        self.router = router
        registry = self.registry = self.deploy("registry/ModelRegistry", router)
        clocks = (profile.epoch_seconds, profile.unbonding_seconds, OWNER)
        self.vault = self.deploy("staking/StakeVault", self.token, registry, knobs, *clocks)
        market = self.chain.deploy("tests/contracts/harness/StubMarket")
        judges = [self.deploy(f"disputes/{name}Judge") for name in ("Fold", "Element")]
        conviction = self.deploy("disputes/Conviction", *judges)
        # Nobody asks on shares here, so that whatever keeps sessions is not asked either.
        below = (self.token, knobs, registry, router, self.vault, market, market)
        game = self.deploy("disputes/ElementGame")
        self.court = self.deploy("disputes/DisputeCourt", *below, game, conviction)
        self.vault.set_slasher(self.court.address, sender=OWNER)
        self.token.transfer(CHALLENGER, 10**16, sender=OWNER)
        self.token.approve(self.court.address, 2**256 - 1, sender=CHALLENGER)
        for number, key in enumerate(SIGNERS):
            self._join(Address("0x" + f"4{number}" * 20), key)

    def deploy(self, name: str, *arguments: Any) -> RevmContract:
        """A contract below `contracts/`."""
        plain = [a.address if isinstance(a, RevmContract) else a for a in arguments]
        return self.chain.deploy(f"contracts/{name}", *plain, sender=OWNER)

    def _join(self, operator: Address, key: Any) -> None:
        stake = 10 * PUBLIC.limits.seat_stake
        consent = sign_consent(key, self.chain.chain_id, Address(self.vault.address), operator)
        given = (signer_address(key), consent, b"\x01" * 32, "https://example.org")
        self.vault.register_operator(*given, sender=operator)
        self.token.transfer(operator, stake, sender=OWNER)
        self.token.approve(self.vault.address, stake, sender=operator)
        self.vault.deposit(stake, sender=operator)

    def send(self, sender: str, function: str, *arguments: Any) -> tuple[int, int]:
        """A transaction to the court on cold storage; its gas and the bytes of its calldata."""
        self.chain.cool()
        data = interface("DisputeCourt").function(function, len(arguments)).encode(arguments)
        self.chain.send(sender, self.court.address, data)
        _, floor = intrinsic_gas(data)
        gas = max(self.chain.gas_used, floor)
        self.chain.mine()
        return gas, len(data)


@dataclass(frozen=True, slots=True)
class Answer:
    """A query that all four signers answered alike, and the version it was asked of.

    `out_digests` are those of its shards, `version` the fields that the version's id is a hash of.
    """

    room: Courtroom
    in_digest: bytes
    out_digests: Sequence[bytes]
    operators_root: bytes
    shards_digest: bytes

    @classmethod
    def about(cls, room: Courtroom, charge: Charge, shards_digest: bytes) -> Self:
        """One whose disputed shard was answered as the charge says; the others say anything."""
        digests = [keccak(text=f"output {number}") for number in range(charge.shards)]
        digests[charge.shard] = charge.out_digest
        if charge.shard == 0:
            first = charge.in_digest
        else:
            first, digests[charge.shard - 1] = keccak(text="input"), charge.in_digest
        return cls(room, first, digests, charge.operators_root, shards_digest)

    @property
    def version(self) -> tuple[Any, ...]:
        """`IDisputeCourt.Version`."""
        return (OWNER, self.operators_root, self.shards_digest, METADATA)

    @property
    def query(self) -> Query:
        """The query."""
        root = keccak(VERSION_ROOT_DOMAIN + self.operators_root + self.shards_digest + METADATA)
        version = version_id(OWNER, VersionRoot(root))
        return _query(version, self.in_digest, len(self.out_digests))

    @property
    def outcome(self) -> Outcome:
        """What the market would have stored."""
        signers = members_digest([signer_address(key) for key in SIGNERS])
        now = Timestamp(self.room.chain.timestamp)
        settled = tuple(
            ShardOutcome(number, Digest(digest), ZERO_DIGEST, signers, 0b1111)
            for number, digest in enumerate(self.out_digests)
        )
        return Outcome(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, OWNER, now, settled)

    def accusation(self, outcome: Outcome, shard: int) -> tuple[Any, ...]:
        """What a challenge of a shard begins with."""
        members = [signer_address(key) for key in SIGNERS]
        return (self.query.as_abi(), outcome_as_abi(outcome), shard, members, self.version)

    def announce(self, shard: int) -> tuple[int, int]:
        """Reserves a challenge of a shard and lets a block pass; see `Courtroom.send`."""
        court, query = self.room.court, self.query
        evidence = court.challenge_evidence(query.query_id, shard, self.out_digests[shard])
        spent = self.room.send(CHALLENGER, "announce", court.claim_of(CHALLENGER, evidence))
        self.room.chain.mine()
        return spent


def _query(version: VersionId, in_digest: bytes, shards: int) -> Query:
    return Query(
        query_id=QueryId(1),
        requester=CLIENT,
        version_id=version,
        input_digest=Digest(in_digest),
        output_edge=bytes(32),
        assurance=Assurance.AGREED,
        privacy=Privacy.OPEN,
        shards=shards,
        replicas=4,
        base_fee=Amount(4 * shards * ONE_NES),
        proof_fee=Amount(0),
        callback_fee=Amount(0),
        callback_gas=0,
        epoch=Epoch(0),
        seat_counts=0,
        parameters=PUBLIC.query.pack(),
        opened_at=Timestamp(0),
        answer_deadline=Timestamp(0),
        attempt=0,
        seed_block=BlockNumber(0),
    )
