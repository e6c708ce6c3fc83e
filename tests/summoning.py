"""Summonses on the protocol that `tests.market` deploys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import boa
from boa.contracts.vyper.vyper_contract import VyperContract

from nesa.protocol.ids import ZERO_DIGEST, Address, Digest
from nesa.protocol.queries import Outcome, Query, ShardReport
from nesa.protocol.summons import (
    Absence,
    Call,
    occupants,
    sign_answer,
    slot_of,
    unpack_absences,
    work_id,
)
from tests.deployment import SUMMONS_RULES, deployer
from tests.market import World, go_to
from tests.reports import Work, signer_address


def deploy_summons(world: World, **changes: Any) -> VyperContract:
    """The contract for summonses above a world's market, by other rules where they are given."""
    rules = replace(SUMMONS_RULES, **changes)
    below = (world.lower.token, world.market, world.committee, world.lower.vault)
    return deployer("market/Summons").deploy(*below, astuple(rules))


@dataclass(frozen=True, slots=True)
class Summoning:
    """A world whose vault knows the contract for summonses."""

    world: World
    contract: VyperContract

    def may_summon(self, query: Query) -> None:
        """Goes to the first second in which members may be summoned."""
        go_to(query.opened_at + SUMMONS_RULES.patience)

    def summon(self, query: Query, position: int, sender: str, shard: int = 0) -> Call:
        """Summons a member; `sender` has NES."""
        self.world.lower.token.approve(self.contract, SUMMONS_RULES.bond, sender=sender)
        called = self.contract.summon(query.as_abi(), shard, position, sender=sender)
        return Call(*called)

    def answer(self, call: Call, commitment: bytes = ZERO_DIGEST, sender: str = "") -> None:
        """Brings the member's answer; anybody may."""
        key = self.world.keys[call.signer]
        address = Address(self.contract.address)
        given = sign_answer(key, self.world.chain_id, address, call, Digest(commitment))
        options = {"sender": sender} if sender else {}
        self.contract.answer(call.as_abi(), commitment, *given, **options)

    def declare_absent(self, call: Call) -> None:
        """Lets the time to answer pass, and says so."""
        go_to(call.deadline + 1)
        self.contract.declare_absent(call.as_abi())

    def find_absent(self, query: Query, position: int, sender: str, shard: int = 0) -> Call:
        """A member that is summoned and does not answer."""
        call = self.summon(query, position, sender, shard)
        self.declare_absent(call)
        return call

    def absences(self, query: Query, shard: int = 0) -> tuple[Absence, ...]:
        """Slots that spares may fill."""
        market = Address(self.world.market.address)
        key = work_id(market, query.query_id, query.attempt, shard)
        return unpack_absences(self.world.lower.vault.absences(key))

    def absent_slots(self, query: Query, shard: int = 0) -> tuple[int, ...]:
        """The slots alone."""
        return tuple(absence.slot for absence in self.absences(query, shard))

    def work(self, query: Query, shard: int = 0) -> Work:
        """What the committee did with its spares in the slots of the absent."""
        honest = self.world.works(query)[shard]
        filled = occupants(query.replicas, self.absent_slots(query, shard))
        drawn = self.world.drawn(query, shard, max(filled) + 1)
        return replace(honest, members=tuple(drawn[position] for position in filled))

    def report(self, query: Query, silent: Sequence[int] = (), shard: int = 0) -> ShardReport:
        """The report of that work; whoever fills the slots in `silent` said nothing."""
        slots = self.absent_slots(query, shard)
        filled = occupants(query.replicas, slots)
        work = self.work(query, shard)
        commitments = work.commitments(silent)
        results = [
            work.result(slot, commitments, slot=position)
            for slot, position in enumerate(filled)
            if slot not in silent
        ]
        ordered = tuple(sorted(results, key=lambda result: result.position))
        assert all(slot_of(r.position, query.replicas, slots) is not None for r in ordered)
        plain = work.report(absent=silent)
        return replace(plain, results=ordered, spares=slots)

    def fulfil(self, query: Query, sender: str, *reports: ShardReport) -> Outcome:
        """Anybody reports, after the oracles' turns."""
        rules = query.rules
        go_to(max(boa.env.timestamp, query.opened_at + rules.oracle_turn * rules.oracle_turns))
        return self.world.fulfil(query, reports, sender=sender)

    def owner(self, query: Query, position: int, shard: int = 0) -> str:
        """The operator drawn at a position."""
        key = self.world.drawn(query, shard, position + 1)[position]
        return self.world.owners[signer_address(key)]
