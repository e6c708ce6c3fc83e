"""The whole suite on pyrevm with a real court, and a version whose table is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from eth_keys.datatypes import PrivateKey

from nesa.chain.abi import Interface
from nesa.models.disputes.traces import Charge
from nesa.models.judging import Witness
from nesa.protocol.digests import edges_digest
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST
from nesa.protocol.outcomes import NO_OUTCOME, outcome_as_abi, outcome_from_abi
from nesa.protocol.queries import (
    ORACLE_SHARD,
    Assurance,
    Outcome,
    Privacy,
    Query,
    report_words,
)
from nesa.protocol.statements import Statement
from nesa.protocol.versions import shards_digest
from tests.contracts.disputes.disputed import TABLE, facts_of, honest_witness
from tests.invariants.market_world import (
    DEVELOPER,
    METADATA,
    ORACLES,
    OWNER,
    PERSONS,
    MarketWorld,
    account,
)
from tests.market import CREDIT_WINDOW
from tests.reports import Work, shard_works, signer_address, statement_of
from tests.revm import RevmChain, RevmContract

CHALLENGERS: Final = (account("challenger"), account("other challenger"))
JUDGED: Final = 9
"""Where the world keeps the version of the table."""

JUDGED_MEMBERS: Final = 5


@dataclass
class Answer:
    """A query that was answered, and what its members say that they computed."""

    query: Query
    outcome: Outcome
    works: list[Work]
    truth: Witness
    signed: Witness

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Query and outcome as calldata takes them."""
        return self.query.as_abi(), outcome_as_abi(self.outcome)

    def members(self, shard: int) -> list[str]:
        """Signers drawn, in draw order."""
        return [str(signer_address(key)) for key in self.works[shard].members]


@dataclass
class Sued:
    """A query without an answer, and what one member of its first committee signed of it."""

    query: Query
    statement: Statement
    truth: Witness
    signed: Witness

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Query and outcome as calldata takes them; there is no outcome."""
        return self.query.as_abi(), outcome_as_abi(NO_OUTCOME)

    def members(self, _: int) -> list[str]:
        """Who is sued."""
        return [self.statement.signer]


class CourtWorld(MarketWorld):
    """A market world whose court is the contract, with NES for challengers."""

    def __init__(self, chain: RevmChain) -> None:
        super().__init__(chain)
        self.truth = honest_witness()
        self.root_of_table = self.truth.rows.root
        shards = facts_of(TABLE)
        self.versions[JUDGED] = self._register_shards(self.root_of_table, shards, [])
        for shard in range(len(shards)):
            for number in range(JUDGED_MEMBERS):
                self._add_operator(f"judged {shard} {number}", [(self.versions[JUDGED], shard)])
        for challenger in CHALLENGERS:
            self.token.transfer(challenger, 100_000 * ONE_NES, sender=OWNER)
            self.token.approve(self.court.address, 2**256 - 1, sender=challenger)
        self.chain.mine(seconds=10)

    def _name_court(self) -> None:
        judges = [self._deploy_contract(f"disputes/{name}Judge") for name in ("Fold", "Element")]
        self.court: RevmContract = self._deploy_contract(
            "disputes/DisputeCourt",
            self.token,
            self.parameters,
            self.registry,
            self.router,
            self.vault,
            self.market,
            self._deploy_sessions(),
            self._deploy_contract("disputes/ElementGame"),
            self._deploy_contract("disputes/Conviction", *judges),
        )
        self.vault.set_slasher(self.court.address, sender=OWNER)
        self.market.set_court(self.court.address, sender=OWNER)
        self.court_interface = Interface("DisputeCourt", self.court.abi)

    def _deploy_sessions(self) -> RevmContract:
        below = (self.token, self.parameters, self.registry, self.vault, self.committee)
        return self._deploy_contract("market/SharedSessions", *below, CREDIT_WINDOW)

    def _seat_everybody(self) -> None:
        # Only the table's version is asked here.
        for number in range(ORACLES):
            self._add_operator(f"oracle {number}", [(ZERO_DIGEST, ORACLE_SHARD)])

    def court_events(self, name: str) -> list[dict[str, Any]]:
        """The court's events of that name in the last transaction."""
        shape = next(event for event in self.court_interface.events if event.name == name)
        logs = [log for log in self.chain.logs if log.address == self.court.address]
        mine = [log for log in logs if log.topics[0] == shape.topic]
        return [shape.decode(log.topics[1:], log.data) for log in mine]

    def version(self) -> tuple[Any, ...]:
        """What the version's id is the hash of."""
        return (DEVELOPER, self.root_of_table, shards_digest(facts_of(TABLE)), METADATA)

    def ask_and_answer(self, signed: Witness, left_out: set[int]) -> Answer:
        """A query to which every member says what `signed` holds; the report leaves some out."""
        return self._answer(self._ask(), signed, left_out)

    def ask_and_split(self, lies: set[int], lie: Witness) -> list[Sued]:
        """An open query whose first committee is at odds: those at the places in `lies` hold `lie`.

        One entry a member, in draw order.
        """
        query = self._ask()
        committee = [self.keys[signer] for signer in self.drawn(query, 0, query.replicas)]
        sides = [lie if place in lies else self.truth for place in range(query.replicas)]
        works = [self._first_work(query, committee, side) for side in sides]
        commitments = [work.commitments()[place] for place, work in enumerate(works)]
        statements = [statement_of(work, n, commitments) for n, work in enumerate(works)]
        pairs = zip(statements, sides, strict=True)
        return [Sued(query, statement, self.truth, side) for statement, side in pairs]

    def _first_work(self, query: Query, members: list[PrivateKey], signed: Witness) -> Work:
        digest = edges_digest([signed.digest(value) for value in TABLE.shards[0].outputs])
        place = (self.chain.chain_id, self.market.address, query, self.seed(query))
        return shard_works(*place, [members], [digest], b"")[0]

    def _ask(self) -> Query:
        data = self.truth.encoded(TABLE.shards[0].inputs[0])
        order = (
            self.versions[JUDGED],
            Assurance.AGREED,
            Privacy.OPEN,
            4,
            10_000 * ONE_NES,
            0,
            ZERO_DIGEST,
        )
        self.market.request(order, data, sender=PERSONS[0])
        query = Query.from_abi(self.events("QueryRequested")[0]["query"])
        self.chain.mine(2, 2)
        return query

    def _answer(self, query: Query, signed: Witness, left_out: set[int]) -> Answer:
        ends = [shard.outputs for shard in TABLE.shards]
        digests = [edges_digest([signed.digest(value) for value in values]) for values in ends]
        output = signed.encoded(TABLE.outputs[0])
        drawn = [self.drawn(query, shard, query.replicas) for shard in range(query.shards)]
        committees = [[self.keys[signer] for signer in members] for members in drawn]
        rest = (self.seed(query), committees, digests, output)
        works = shard_works(self.chain.chain_id, self.market.address, query, *rest)
        named = [place for place in range(query.replicas) if place not in left_out]
        oracle = self.drawn(query, ORACLE_SHARD, 1)[0]
        reports = [work.report(named) for work in works]
        self.market.fulfil(query.as_abi(), report_words(reports), output, sender=oracle)
        outcome = outcome_from_abi(self.events("QueryFulfilled")[0]["outcome"])
        return Answer(query, outcome, works, self.truth, signed)


def charge_of(challenge: tuple[Any, ...]) -> Charge:
    """What an announced challenge disputes."""
    return Charge(*challenge[4])
