"""Opens challenges: within a budget of bonds, where it pays, and announced a block before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from nesa.chain.committees import drawn_committees
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.court import NO_VIEW, Accused, View
from nesa.chain.disputes import Dispute, challenge_evidence
from nesa.chain.docket import Docket
from nesa.chain.history import QueryHistory, challenges_by
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import InvalidInput, Rejected, Unavailable
from nesa.protocol.ids import Address, Amount, Digest, QueryId
from nesa.protocol.outcomes import members_digest
from nesa.protocol.queries import Outcome, Query
from nesa.protocol.slashing import credited
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.gains import require_gain
from nesa_miner.registrations import shown_version
from nesa_miner.watchtower.proving import FaultProof, FaultProver

Output: TypeAlias = tuple[QueryId, int]
"""The output of a shard of a query."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Means:
    """What a watchtower spends: `bonds` at once, in NES units, and `gas` on one challenge.

    `wei_per_nes` is what a NES is worth to it; None takes what the protocol asks for gas.
    """

    bonds: Amount
    gas: int
    wei_per_nes: int | None = None


@dataclass(slots=True)
class Accuser:
    """Opens one challenge at a time, so that the budget holds.

    By a fault proof, which needs no bond, where `prover` can make one, else by a bond.
    """

    room: Courtroom
    means: Means
    prover: FaultProver | None = None
    bonds: Bonds = field(init=False)
    _proofs: dict[Output, FaultProof] = field(default_factory=dict)
    _unprovable: set[Output] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bonds = Bonds(self.room, self.means.bonds, "--max-bonds")

    async def accuse(
        self, history: QueryHistory, shard: int, docket: Docket, view: View = NO_VIEW
    ) -> bool:
        """Announce a challenge, or when that was done in an earlier block, open it.

        `view` is what a sealed query needs of the shard's input.

        Returns whether it is open now; otherwise call again.

        Raises:
            ExhaustedResource: the budget, the account or the gain does not allow it now.
            Rejected: the court refuses.
            Unavailable: the node does not answer.
        """
        outcome = history.outcome
        if outcome is None:
            raise Unavailable(f"query {history.query.query_id} is not answered any more")
        accused = await accused_of(self.room.connection, history, outcome, shard)
        limits = await self.room.contracts.parameters.request_limits("latest")
        reward = credited(limits.seat_stake)
        await require_gain(self.room, reward, self.means.gas, self.means.wei_per_nes)
        proof = await self._proof(accused, history.requested.input, docket)
        async with self.bonds.lock:
            bond = Amount(0)
            if proof is None:
                bond = await self.bonds.payable(limits, docket)
            output = (history.query.query_id, shard)
            evidence = challenge_evidence(*output, accused.out_digest)
            if not await self.room.has_announced(evidence):
                return False
            if not await self._is_open(accused):
                await self._open(accused, view, bond, proof)
        self._proofs.pop(output, None)
        return True

    async def _open(
        self, accused: Accused, view: View, bond: Amount, proof: FaultProof | None
    ) -> None:
        output = (accused.query.query_id, accused.shard)
        court = self.room.court
        if proof is None:
            await self.bonds.approve(bond, court.address)
            await self.room.send(court.open_challenge(accused, view), again=False)
            self.bonds.paid(Dispute(*output, None), bond)
        else:
            call = court.show_fault(accused, proof.given, proof.computed, proof.proof)
            try:
                await self.room.send(call, again=False)
            except Rejected:
                # Shown before by somebody else, or the circuit errs: a bond opens it as well.
                self._unprovable.add(output)
                raise
        by = "bond" if proof is None else "fault proof"
        log.warning("challenge opened", query=output[0], shard=output[1], by=by)

    async def _proof(self, accused: Accused, sent: bytes, docket: Docket) -> FaultProof | None:
        """The proof to open with, made once; the court takes one for an output."""
        output = (accused.query.query_id, accused.shard)
        was_shown = any(
            one.challenge.output == output and not one.challenge.bond for one in docket.values()
        )
        if self.prover is None or was_shown or output in self._unprovable:
            return None
        if output not in self._proofs:
            proof = await self.prover.prove(accused.query, sent, charge_of(accused))
            if proof is None:
                return None
            self._proofs[output] = proof
        return self._proofs[output]

    async def _is_open(self, accused: Accused) -> bool:
        """Whether this account challenged the output already, as a transaction from before a kill
        may have done that no event has told of yet: the court would take a second bond."""
        connection, me = self.room.connection, self.room.sender.address
        opened = await challenges_by(connection, self.room.court.address, me, accused.query)
        return any(one.challenge.charge.shard == accused.shard for one in opened)


def charge_of(accused: Accused) -> Charge:
    """What the court will say that the output is accused of."""
    query, shards = accused.query, accused.outcome.shards
    given = query.input_digest if accused.shard == 0 else shards[accused.shard - 1].out_digest
    place = (accused.version.operators_root, accused.shard, query.shards)
    return Charge(*place, given, accused.out_digest)


async def accused_of(
    connection: Connection, history: QueryHistory, outcome: Outcome, shard: int
) -> Accused:
    """What the court is shown of an output.

    Raises:
        InvalidInput: the chain's seats are not those that were drawn.
        Unavailable: the node does not answer.
    """
    query = history.query
    members = await _members(connection, query, outcome, shard)
    return Accused(query, outcome, shard, members, await shown_version(connection, query))


async def _members(
    connection: Connection, query: Query, outcome: Outcome, shard: int
) -> tuple[Address, ...]:
    deployment = connection.deployment
    vault = Contracts(connection).vault
    head = (vault, deployment.chain_id, deployment.market, query, outcome.seed)
    drawn = await drawn_committees(*head, "latest")
    signers = tuple(seat.signer for seat in drawn.shards[shard])
    members = named_by(outcome.shards[shard].members_digest, signers)
    if members is None:
        raise InvalidInput(f"other members worked on shard {shard} of query {query.query_id}")
    return members


def named_by(digest: Digest, drawn: tuple[Address, ...]) -> tuple[Address, ...] | None:
    """Those of the `drawn`, in draw order, whom a digest of members names.

    Behind a prover stand spares, and the market draws no further than it has to.
    """
    heads = (drawn[:count] for count in range(len(drawn), 0, -1))
    return next((head for head in heads if members_digest(head) == digest), None)
