"""Opens challenges: within a budget of bonds, where it pays, and announced a block before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from nesa.chain.committees import drawn_committees
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.court import NO_VIEW, Accused, View
from nesa.chain.disputes import ShownVersion, challenge_evidence, claim_of
from nesa.chain.history import QueryHistory
from nesa.protocol.errors import ExhaustedResource, InvalidInput, Unavailable
from nesa.protocol.ids import ONE_NES, Address, Amount, Digest
from nesa.protocol.outcomes import members_digest
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Outcome, Query
from nesa.protocol.versions import shards_digest
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.docket import Docket
from nesa_miner.registrations import find_registration
from nesa_miner.watchtower.cases import bonds_out, is_worth_it

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Means:
    """What a watchtower spends: `bonds` at once, in NES units, and `gas` on one challenge.

    `wei_per_nes` is what a NES is worth to it; None takes what the protocol asks for gas.
    """

    bonds: Amount
    gas: int
    wei_per_nes: int | None = None


class TooLittleToGain(ExhaustedResource):
    """A challenge costs more gas than it can bring at the moment."""


@dataclass(slots=True)
class Accuser:
    """Opens one challenge at a time, so that the budget holds."""

    room: Courtroom
    means: Means
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _on_the_way: dict[tuple[int, int], Amount] = field(default_factory=dict)

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
        async with self._lock:
            bond = await self._affordable(docket)
            accused = await accused_of(self.room.connection, history, outcome, shard)
            if not await self._is_announced(accused):
                return False
            await self._approve(bond)
            await self.room.send(self.room.court.open_challenge(accused, view))
            self._on_the_way[history.query.query_id, shard] = bond
        log.warning("challenge opened", query=history.query.query_id, shard=shard)
        return True

    async def _affordable(self, docket: Docket) -> Amount:
        """The bond, when it can be paid and may be."""
        limits = await self.room.contracts.parameters.request_limits("latest")
        bond = Amount(limits.seat_stake * limits.challenger_bond_bps // BPS)
        me = self.room.sender.address
        known = {followed.challenge.output for followed in docket.values()}
        self._on_the_way = {key: sum_ for key, sum_ in self._on_the_way.items() if key not in known}
        out = bonds_out(docket, me) + sum(self._on_the_way.values())
        if out + bond > self.means.bonds:
            raise ExhaustedResource(
                f"bonds of {out // ONE_NES} NES are out and another one would pass --max-bonds"
            )
        if await self.room.contracts.token.balance_of(me, "latest") < bond:
            raise ExhaustedResource(f"{me} has less than the bond of {bond / ONE_NES:g} NES")
        price = self.means.wei_per_nes
        head = await self.room.connection.head()
        # The protocol sells 1,000 gas for `callback_price`; at the base fee that makes a price.
        gas_price = head.base_fee
        if price is None:
            price = 1_000 * gas_price * ONE_NES // limits.callback_price
        if not is_worth_it(limits.seat_stake // 2, self.means.gas, gas_price, price, ONE_NES):
            raise TooLittleToGain("the gas of a challenge costs more than a seat's stake brings")
        return bond

    async def _is_announced(self, accused: Accused) -> bool:
        """Whether the evidence was reserved in an earlier block; reserves it when it was not."""
        court, connection = self.room.court, self.room.connection
        query_id = accused.query.query_id
        evidence = challenge_evidence(query_id, accused.shard, accused.out_digest)
        chain_id, me = connection.deployment.chain_id, self.room.sender.address
        claim = claim_of(chain_id, court.address, me, evidence)
        at = await court.announced_at(claim, "latest")
        if at is None:
            await self.room.send(court.announce(claim))
            log.info("challenge announced", query=query_id, shard=accused.shard)
            return False
        return (await connection.head()).number > at

    async def _approve(self, bond: Amount) -> None:
        token, court = self.room.contracts.token, self.room.court.address
        allowed = await token.allowance(self.room.sender.address, court, "latest")
        if allowed < bond:
            await self.room.send(token.approve(court, bond))


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


async def shown_version(connection: Connection, query: Query) -> ShownVersion:
    """What the version of a query is the hash of; errors as `find_registration`."""
    event = await find_registration(connection, query.version_id)
    registry = Contracts(connection).registry
    shards = [
        await registry.shard(query.version_id, number, "latest") for number in range(query.shards)
    ]
    digest = shards_digest(shards)
    return ShownVersion(event.developer, event.operators_root, digest, event.metadata_digest)


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
