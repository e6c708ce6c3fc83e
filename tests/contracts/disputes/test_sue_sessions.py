"""What a member of a session signed of a product: the court takes it as it takes any statement."""

from __future__ import annotations

from dataclasses import dataclass, replace

import boa
import numpy as np
import pytest
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.models.build import TableBuilder
from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.protocol.commitments import ShardContext
from nesa.protocol.digests import edges_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.sessions import product_terms
from nesa.protocol.statements import SHARD_ABI as WORK_ABI
from nesa.protocol.statements import STATEMENT_ABI, Statement
from nesa.protocol.versions import SHARD_ABI, version_id, version_root
from tests.contracts.disputes.disputed import (
    METADATA,
    MODEL,
    PROVABLE,
    Split,
    after_the_defence,
    events,
    facts_of,
    honest_witness,
)
from tests.deployment import REQUEST_LIMITS, deployer
from tests.judging import drawn_inputs, witness_of
from tests.market import World, go_to, pass_blocks, seed_of
from tests.models.disputes.parties import falsified
from tests.reports import Work, signer_address, statement_of
from tests.shared_sessions import Sessions

STAKE = REQUEST_LIMITS.seat_stake
NUMBER = 1
"""The product in dispute: no version of the registry, only a name for its table."""

FALLEN, STANDING = 2, 1


def product() -> Table:
    """One Linear row over digits, as a group computes it."""
    generator = np.random.default_rng(7)
    builder = TableBuilder([EdgeType(DType.UINT8, (3, 12), 0, 255)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-9, 10, (5, 12)))
    biases = Parameter(ParameterKind.BIASES, np.zeros(5, np.int64))
    return builder.table([builder.add(Opcode.LINEAR, [0], (12, 5), [weights, biases])])


@dataclass
class Asked:
    """A session, its members, and what they may say of the product."""

    sessions: Sessions
    terms: Query
    truth: Witness
    version: tuple[str, Digest, bytes, bytes]
    version_id: VersionId

    @property
    def product(self) -> Query:
        """The terms of the product."""
        return product_terms(self.terms, NUMBER, self.version_id)

    def member(self, position: int) -> PrivateKey:
        """Key of the signer at a place of the draw."""
        return self.sessions.drawn(self.terms)[position]

    def statement(
        self, position: int, said: Witness, number: int = NUMBER, contract: str = ""
    ) -> Statement:
        """What a member signs that holds these values, for the sessions or another contract."""
        address = Address(contract or self.sessions.contract.address)
        where = (self.sessions.world.chain_id, address, QueryId(self.terms.query_id))
        context = ShardContext(*where, number, seed_of(self.terms), 0)
        into = boundary(said, said.table.shards[0].inputs)
        out = boundary(said, said.table.shards[0].outputs)
        work = Work(context, (self.member(position),), into, out)
        return statement_of(work, 0, work.commitments())

    def suit(self, court, said: Witness) -> Split:
        """A suit about one member's values."""
        world = self.sessions.world
        return Split(world, court, self.product, (said,), self.version)


def boundary(witness: Witness, numbers) -> Digest:
    return edges_digest([witness.digest(value) for value in numbers])


@pytest.fixture
def truth():
    table = product()
    return witness_of(table, drawn_inputs(table, np.random.default_rng(3)))


@pytest.fixture
def lie(truth):
    true = int(truth.values[truth.table.outputs[0]].reshape(-1)[4])
    return falsified(truth, 0, 4, true + 1, hide=False)


@pytest.fixture
def asked(world: World, court, truth, client):
    contract = deployer("market/SharedSessions").at(court._immutables.SESSIONS)
    shards = facts_of(truth.table)
    digest = keccak(encode([f"{SHARD_ABI}[]"], [[shard.as_abi() for shard in shards]]))
    version = (world.developer, truth.rows.root, digest, METADATA)
    expected = version_id(Address(world.developer), version_root(truth.rows.root, shards, METADATA))
    listed = contract.list_products([world.versions[PROVABLE], expected])
    sessions = Sessions(world, contract, Digest(listed))
    world.lower.token.approve(contract, 2**256 - 1, sender=client)
    return Asked(sessions, sessions.open(client), truth, version, expected)


def sue(asked, court, challenger, position, said):
    """Announces and opens a suit."""
    case = asked.suit(court, said)
    statement = asked.statement(position, said)
    return case.sue(challenger, 0, statement=statement), statement.signer


def stake_of(asked, signer):
    world = asked.sessions.world
    return int(world.lower.vault.ledger(world.owners[signer]).stake)


def test_wrong_sums_of_a_share_are_convicted_at_their_element(asked, court, challenger, truth, lie):
    case, signer = sue(asked, court, challenger, 0, lie)
    before = stake_of(asked, signer)
    match = case.defend(signer, lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert stake_of(asked, signer) == before - STAKE


def test_right_sums_are_defended(asked, court, challenger, truth):
    case, signer = sue(asked, court, challenger, 1, truth)
    before = stake_of(asked, signer)
    match = case.defend(signer, truth)
    match.to_the_end(Challenger(truth, 0))
    match.expire()
    assert case.conclude() == STANDING
    assert stake_of(asked, signer) == before


def test_a_closed_session_is_sued_all_the_same(asked, court, challenger, lie):
    sessions, terms = asked.sessions, asked.terms
    sessions.contract.pin_seed(terms.seed_block)
    sessions.end(terms)
    go_to(boa.env.timestamp + 1)
    statement = asked.statement(0, lie)
    sessions.contract.close_session(terms.as_abi())
    case = asked.suit(court, lie).sue(challenger, 0, statement=statement)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_two_sums_of_one_share_are_equivocation(asked, court, challenger, truth, lie):
    said = [asked.statement(0, witness) for witness in (truth, lie)]
    before = stake_of(asked, said[0].signer)
    given = (said[0].shard_as_abi(), said[0].as_abi(), said[1].as_abi())
    evidence = keccak(encode([WORK_ABI, STATEMENT_ABI, STATEMENT_ABI], list(given)))
    court.announce(court.claim_of(challenger, evidence), sender=challenger)
    pass_blocks(1)
    taken = court.show_equivocation(*given, sender=challenger)
    assert (taken, stake_of(asked, said[0].signer)) == (STAKE, before - STAKE)


def test_other_products_and_sessions_are_refused(asked, court, challenger, lie):
    case, statement = asked.suit(court, lie), asked.statement(0, lie)
    case.announce(challenger, statement)
    for other in (
        replace(asked.product, attempt=0),
        replace(asked.product, version_id=VersionId(ZERO_DIGEST)),
        replace(asked.product, query_id=QueryId(asked.terms.query_id + 1)),
    ):
        with boa.reverts():
            case.open(challenger, statement, query=other)
    assert not events(court, "ChallengeOpened")


def test_what_was_signed_of_one_product_is_no_word_about_another(asked, court, challenger, lie):
    """Who worked on the first product rightly could not defend the same digests of this one."""
    statement = asked.statement(0, lie, number=0)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: of another product"):
        case.open(challenger, statement)


def test_a_market_number_is_not_looked_up_among_sessions(asked, court, challenger, lie):
    statement = asked.statement(0, lie)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    other = replace(asked.product, query_id=QueryId(1))
    with boa.reverts("court: of another query"):
        case.open(challenger, statement, query=other)


def test_signers_are_those_of_the_sessions_contract(asked, court, challenger, lie):
    """The same words under the market's domain are nobody's."""
    statement = asked.statement(0, lie, contract=asked.sessions.world.market.address)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts():
        case.open(challenger, statement)
    assert statement.signer == signer_address(asked.member(0))


def test_a_version_of_several_shards_is_no_product(world, court, challenger, client):
    """Who lists one has honest members sign its first shard, and no defence fits the one shard that
    the terms of a session have."""
    contract = deployer("market/SharedSessions").at(court._immutables.SESSIONS)
    honest = honest_witness()
    shards = facts_of(honest.table)
    assert len(shards) == 2
    digest = keccak(encode([f"{SHARD_ABI}[]"], [[shard.as_abi() for shard in shards]]))
    version = (world.developer, honest.rows.root, digest, METADATA)
    listed = contract.list_products([world.versions[PROVABLE], world.versions[MODEL]])
    sessions = Sessions(world, contract, Digest(listed))
    world.lower.token.approve(contract, 2**256 - 1, sender=client)
    asked = Asked(sessions, sessions.open(client), honest, version, world.versions[MODEL])

    statement, case = asked.statement(0, honest), asked.suit(court, honest)
    case.announce(challenger, statement)
    with boa.reverts("court: not an unanswered query"):
        case.open(challenger, statement)
