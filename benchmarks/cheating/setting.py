"""What is simulated: an economy, its lists of seats, and who sits there for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

import numpy as np

from nesa.protocol.draw import draw, query_seed
from nesa.protocol.economics.economy import Economy
from nesa.protocol.fees import FeeSplit, base_fee, split_fee
from nesa.protocol.ids import (
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.queries import ORACLE_SHARD, Assurance, Privacy, Query
from nesa.protocol.risk import corrupt_seats
from nesa.protocol.slashing import REWARD

CHAIN_ID: Final = 1
MARKET: Final = Address("0x" + "11" * 20)
CLIENT: Final = Address("0x" + "22" * 20)
VERSION: Final = VersionId(bytes(32))
NOTHING: Final = Amount(0)


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules that the simulation can take away, to see what each of them is good for.

    `commitments_hide`: nobody sees a result before it has committed to its own. `anybody_reports`:
    after the oracles' turns. `challenges_are_single`: one that is lost does not clear the answer
    of others. `agreement_is_paid`: nothing else is. `rewarded`: the part of a slash that is not
    burned.
    """

    commitments_hide: bool = True
    agreement_is_paid: bool = True
    anybody_reports: bool = True
    challenges_are_single: bool = True
    rewarded: Fraction = REWARD


@dataclass(frozen=True)
class Setting:
    """One world to play in; the coalition holds `corrupt` of all seats, `bribed` of the oracles'.

    `audited` is the part of all queries that watchers run again. `prize` is what somebody outside
    pays the coalition for a wrong answer.
    """

    economy: Economy
    corrupt: Fraction = Fraction(1, 3)
    bribed: Fraction = Fraction(0)
    audited: Fraction = Fraction(1, 20)
    prize: Amount = NOTHING
    assurance: Assurance = Assurance.AGREED
    rules: Rules = field(default_factory=Rules)
    shards: int = 1
    replicas: int = 4
    seats: int = 60
    oracles: int = 12
    royalty_bps: int = 0
    queries: int = 5_000
    seed: int = 1

    @cached_property
    def split(self) -> FeeSplit:
        """Who gets what of a query's fee."""
        return split_fee(self.query)

    @cached_property
    def query(self) -> Query:
        """The terms that all queries share; only what the split reads of them matters."""
        rules = self.economy.query
        word = rules.pack() | self.royalty_bps << 32
        price = self.economy.environment.price
        return Query(
            query_id=QueryId(0),
            requester=CLIENT,
            version_id=VERSION,
            input_digest=ZERO_DIGEST,
            output_edge=bytes(32),
            assurance=self.assurance,
            privacy=Privacy.OPEN,
            shards=self.shards,
            replicas=self.replicas,
            base_fee=base_fee(price, self.shards, self.replicas),
            proof_fee=Amount(0),
            callback_fee=Amount(0),
            callback_gas=0,
            epoch=Epoch(0),
            seat_counts=0,
            parameters=word,
            opened_at=Timestamp(0),
            answer_deadline=Timestamp(rules.answer_window),
            attempt=0,
            seed_block=BlockNumber(0),
        )

    @cached_property
    def corrupt_seats(self) -> int:
        """Slots of the coalition: the first ones of every list, for a draw knows no order."""
        return corrupt_seats(self.seats, self.corrupt)

    @cached_property
    def bribed_oracles(self) -> int:
        """Slots of oracles that act for the coalition."""
        return corrupt_seats(self.oracles, self.bribed)

    @cached_property
    def is_audited(self) -> Sequence[Sequence[bool]]:
        """By query and shard. A greater part contains what a smaller one does."""
        chances = np.random.default_rng(self.seed).random((self.queries, self.shards))
        audited: list[list[bool]] = (chances < float(self.audited)).tolist()
        return audited

    def committee(
        self, number: int, attempt: int, shard: int, gone: frozenset[int] = frozenset()
    ) -> tuple[int, ...]:
        """Slots of the members that one attempt of a query draws for a shard."""
        return _drawn(self.seed, number, attempt, shard, self.seats, self.replicas, gone)

    def oracle_turns(self, number: int, attempt: int) -> tuple[int, ...]:
        """Slots of the oracles in the order of their turns."""
        turns = self.economy.query.oracle_turns
        return _drawn(self.seed, number, attempt, ORACLE_SHARD, self.oracles, turns, frozenset())


@lru_cache(maxsize=1_000_000)
def _drawn(
    seed: int,
    number: int,
    attempt: int,
    shard: int,
    slots: int,
    wanted: int,
    gone: frozenset[int],
) -> tuple[int, ...]:
    block_hash = seed.to_bytes(16, "big") + number.to_bytes(16, "big")
    drawn = query_seed(CHAIN_ID, MARKET, QueryId(number), attempt, block_hash)
    return draw(drawn, shard, slots, wanted, lambda slot: slot not in gone)


class Work(Enum):
    """What the coalition's members do."""

    HONEST = "run, and sign what comes out"
    COPY = "do not run, and sign what others found if that can be seen"
    LIE = "sign another answer whenever they are a quorum, else the right one"
    LIE_ALWAYS = "sign another answer also when they are too few"
    STALL = "sign nothing when the others are no quorum, else the right answer"
    LIE_OR_STALL = "as LIE, and sign nothing when the others are no quorum"


class Challenging(Enum):
    """What the coalition challenges."""

    NOTHING = "nothing"
    RIGHT_ANSWERS = "right answers, and vanish"
    TO_CLEAR = "its own wrong answers, and lose"
    TO_COLLECT = "its own wrong answers, and win before a watcher does"


@dataclass(frozen=True, slots=True)
class Conduct:
    """How the coalition acts, and which parts besides its seats are its own."""

    work: Work = Work.HONEST
    challenging: Challenging = Challenging.NOTHING
    owns_client: bool = False
    owns_version: bool = False
    withholds_reports: bool = False
    defends_lies: bool = False
    retries: bool = False


HONEST: Final = Conduct()
