"""A version whose table is real, queries that its members answered rightly or wrongly, and both
sides of a dispute as they talk to the court."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import boa
import numpy as np
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.court import NO_VIEW, View
from nesa.models.disputes.encoding import encoded_accusation, encoded_move, encoded_position
from nesa.models.disputes.game import Claimed, Ended, Opened, Side, State, step, to_move
from nesa.models.disputes.moves import Convict, Move
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import Charge
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.privacy.sealing import blind, seal_answer, seal_input, sealed_digest
from nesa.protocol.commitments import ShardContext
from nesa.protocol.digests import edges_digest
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Address, Digest, QueryId, VersionId
from nesa.protocol.outcomes import NO_OUTCOME, outcome_as_abi
from nesa.protocol.queries import Outcome, Privacy, Query, report_words
from nesa.protocol.statements import Statement
from nesa.protocol.versions import SHARD_ABI, ShardFacts
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier
from tests.deployment import deployer, next_epoch, register_version, with_circuits
from tests.judging import drawn_inputs, witness_of
from tests.market import CREDIT_WINDOW, World, build_world, go_to, pass_blocks, seed_of
from tests.models.disputes.parties import falsified
from tests.models.tables import small_network
from tests.reports import Work, shard_works, signer_address, statement_of

MODEL, PROVABLE = 9, 10
"""Where the world keeps the versions of a table in two shards, and of the same in one with a
stand-in for a circuit that proves anything."""

TABLE: Table = replace(small_network(), cuts=(4,))
TABLES: dict[int, Table] = {MODEL: TABLE, PROVABLE: small_network()}
METADATA = b"\x02" * 32

CONTENT_KEY = bytes(range(32))
"""Of sealed queries."""


def facts_of(table: Table) -> tuple[ShardFacts, ...]:
    """What is registered of a table, but for circuits."""
    return tuple(
        ShardFacts(
            table.types_of(shard.inputs),
            table.types_of(shard.outputs),
            ZERO_DIGEST,
            ZERO_DIGEST,
            ZERO_DIGEST,
        )
        for shard in table.shards
    )


def honest_witness(seed: int = 4, model: int = MODEL) -> Witness:
    """All values that the table makes of an input."""
    table = TABLES[model]
    return witness_of(table, drawn_inputs(table, np.random.default_rng(seed)))


def lying_witness(witness: Witness, shard: int = 0) -> Witness:
    """The same with the last value of a shard wrong, and what follows from it."""
    return _bent(witness, witness.table.shards[shard].end - 1, hide=False)


def false_trace(witness: Witness, shard: int = 0) -> Witness:
    """The same with the first value of a shard wrong, and nothing else."""
    return _bent(witness, witness.table.shards[shard].first, hide=True)


def _bent(witness: Witness, index: int, *, hide: bool) -> Witness:
    edge = witness.table.rows[index].output_type
    true = int(witness.values[witness.table.output_of(index)].reshape(-1)[0])
    return falsified(witness, index, 0, true + (1 if true < edge.high else -1), hide=hide)


def build_disputed_world() -> World:
    """A world with the table's version among its versions."""
    world = build_world(shards=(1, 2))
    registry, root = world.lower.registry, honest_witness().rows.root
    world.versions[MODEL] = register_version(
        registry, world.developer, facts_of(TABLE), operators_root=root
    )
    world.versions[PROVABLE] = _provable_version(world)
    for shard in range(len(TABLE.shards)):
        for number in range(6):
            places = [(world.versions[model], shard) for model in TABLES if not shard or model == 9]
            world.operator(f"judged-{shard}-{number}", places)
    next_epoch()
    pass_blocks(1, 0)
    return world


def _provable_version(world: World) -> bytes:
    verifier = deploy_verifier(Behaviour.CHECKS)
    return register_version(
        world.lower.registry,
        world.developer,
        with_circuits(facts_of(TABLES[PROVABLE]), code_hash(verifier)),
        (verifier,),
        operators_root=honest_witness(model=PROVABLE).rows.root,
    )


def deploy_sessions(world: World) -> VyperContract:
    """Sessions of queries on shares over the world's seats."""
    lower = world.lower
    below = (lower.token, lower.parameters, lower.registry, lower.vault, world.committee)
    return deployer("market/SharedSessions").deploy(*below, CREDIT_WINDOW)


def build_court(world: World) -> VyperContract:
    """A court over the world that nobody has named yet."""
    fold, element = (deployer(f"disputes/{name}Judge").deploy() for name in ("Fold", "Element"))
    conviction = deployer("disputes/Conviction").deploy(fold, element)
    lower = world.lower
    return deployer("disputes/DisputeCourt").deploy(
        lower.token,
        lower.parameters,
        lower.registry,
        lower.router,
        lower.vault,
        world.market,
        deploy_sessions(world),
        deployer("disputes/ElementGame").deploy(),
        conviction,
    )


def deploy_court(world: World) -> VyperContract:
    """A court over the world, named everywhere."""
    court = build_court(world)
    world.lower.vault.set_slasher(court, sender=world.setter)
    world.market.set_court(court, sender=world.deployer)
    return court


@dataclass
class Answered:
    """A query whose answer stands in the market, and what its members computed."""

    world: World
    court: VyperContract
    query: Query
    outcome: Outcome
    works: list[Work]
    signed: Witness
    content_key: bytes | None = None
    challenges: list[Any] = field(default_factory=list)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Query and outcome as the contracts take them."""
        return self.query.as_abi(), outcome_as_abi(self.outcome)

    @property
    def version(self) -> tuple[Any, ...]:
        """What the version's id is the hash of."""
        registry = self.world.lower.registry
        shards = [registry.shard(self.query.version_id, k) for k in range(self.query.shards)]
        digest = keccak(encode([f"{SHARD_ABI}[]"], [[tuple(shard) for shard in shards]]))
        return (self.world.developer, self.signed.rows.root, digest, METADATA)

    def view(self, shard: int) -> View:
        """What a challenger shows of a shard's input."""
        if self.content_key is None:
            return NO_VIEW
        numbers = self.signed.table.shards[shard].inputs
        plain = edges_digest([self.signed.digest(value) for value in numbers])
        return View(plain, blind(self.content_key, shard))

    def members(self, shard: int) -> list[str]:
        """Signers drawn, in draw order."""
        return [str(signer_address(key)) for key in self.works[shard].members]

    def signers(self, shard: int) -> list[str]:
        """Those of them whose work was paid."""
        paid = self.outcome.shards[shard].paid
        return [one for place, one in enumerate(self.members(shard)) if paid >> place & 1]

    def operator(self, signer: str) -> str:
        """Whom a signer works for."""
        return self.world.owners[signer]

    def announce(self, challenger: str, shard: int = 0) -> None:
        """Announces a challenge and lets a block pass."""
        court = self.court
        out_digest = self.outcome.shards[shard].out_digest
        evidence = court.challenge_evidence(self.query.query_id, shard, out_digest)
        court.announce(court.claim_of(challenger, evidence), sender=challenger)
        pass_blocks(1)

    def challenge(self, challenger: str, shard: int = 0) -> Case:
        """Announces and opens a challenge."""
        self.announce(challenger, shard)
        self.court.open_challenge(
            *self.arguments,
            shard,
            self.members(shard),
            self.version,
            self.view(shard).as_abi(),
            sender=challenger,
        )
        (event,) = events(self.court, "ChallengeOpened")
        return Case(self, tuple(event.challenge), challenger, shard)


@dataclass
class Split:
    """An open query whose first shard's committee is at odds: who holds what, in draw order."""

    world: World
    court: VyperContract
    query: Query
    sides: tuple[Witness, ...]
    version: tuple[Any, ...]
    content_key: bytes | None = None

    @property
    def view(self) -> View:
        """What a challenger shows of the first shard's input."""
        if self.content_key is None:
            return NO_VIEW
        truth = self.sides[0]
        plain = edges_digest([truth.digest(value) for value in truth.table.shards[0].inputs])
        return View(plain, blind(self.content_key, 0))

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Query and outcome as the contracts take them; there is no outcome."""
        return self.query.as_abi(), outcome_as_abi(NO_OUTCOME)

    def member(self, position: int) -> str:
        """The signer drawn at a position."""
        return str(signer_address(self.works[position].members[position]))

    def operator(self, position: int) -> str:
        """Whom the member at a position works for."""
        return self.world.owners[self.member(position)]

    def stake(self, position: int) -> int:
        """What the member at a position answers with."""
        return int(self.world.lower.vault.ledger(self.operator(position)).stake)

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """What the member at each position said, as if all of the committee had said it."""
        members = tuple(self.world.drawn(self.query, 0, self.query.replicas))
        given = (self.world, self.query, members, self.content_key)
        return tuple(_first_work(*given, side) for side in self.sides)

    @cached_property
    def commitments(self) -> tuple[Digest, ...]:
        """The set that everybody locked."""
        return tuple(work.commitments()[place] for place, work in enumerate(self.works))

    def statement(self, position: int) -> Statement:
        """What the member at a position opened and signed."""
        return statement_of(self.works[position], position, self.commitments)

    def announce(self, challenger: str, statement: Statement) -> None:
        """Announces a suit and lets a block pass."""
        claim = self.court.claim_of(challenger, statement.evidence)
        self.court.announce(claim, sender=challenger)
        pass_blocks(1)

    def sue(self, challenger: str, position: int, **changes: Any) -> Case:
        """Announces and opens a suit against the member at a position."""
        statement = changes.pop("statement", None) or self.statement(position)
        self.announce(challenger, statement)
        return self.open(challenger, statement, **changes)

    def open(self, challenger: str, statement: Statement, **changes: Any) -> Case:
        """Opens a suit that was announced; `changes` replace its query, version or seed block."""
        given: dict[str, Any] = {"query": self.query, "version": self.version}
        given |= {"seed": self.query.seed_block, **changes}
        said = (statement.shard_as_abi(), statement.as_abi())
        head = (given["query"].as_abi(), given["version"])
        tail = (self.view.as_abi(), given["seed"])
        self.court.sue(*head, *said, *tail, sender=challenger)
        (event,) = events(self.court, "ChallengeOpened")
        return Case(self, tuple(event.challenge), challenger, 0)


def split(
    world: World,
    court: VyperContract,
    query: Query,
    sides: Sequence[Witness],
    content_key: bytes | None = None,
) -> Split:
    """What a committee leaves whose members hold `sides`, in draw order."""
    truth = sides[0]
    registry = world.lower.registry
    shards = [registry.shard(query.version_id, k) for k in range(query.shards)]
    digest = keccak(encode([f"{SHARD_ABI}[]"], [[tuple(shard) for shard in shards]]))
    version = (world.developer, truth.rows.root, digest, METADATA)
    return Split(world, court, query, tuple(sides), version, content_key)


def _first_work(
    world: World,
    query: Query,
    members: tuple[PrivateKey, ...],
    content_key: bytes | None,
    signed: Witness,
) -> Work:
    plain = edges_digest([signed.digest(value) for value in signed.table.shards[0].outputs])
    out_digest = plain if content_key is None else sealed_digest(content_key, 1, plain)
    where = (world.chain_id, Address(world.market.address), QueryId(query.query_id))
    context = ShardContext(*where, query.attempt, seed_of(query), 0)
    return Work(context, members, query.input_digest, Digest(out_digest))


@dataclass
class Case:
    """An open challenge, as announced."""

    answered: Answered | Split
    challenge: tuple[Any, ...]
    challenger: str
    shard: int
    games: dict[str, Match] = field(default_factory=dict)

    @property
    def court(self) -> VyperContract:
        """The court."""
        return self.answered.court

    @property
    def number(self) -> int:
        """Its number."""
        return int(self.challenge[0])

    @property
    def charge(self) -> Charge:
        """What is disputed."""
        return Charge(*self.challenge[4])

    @property
    def bond(self) -> int:
        """What the challenger deposited."""
        return int(self.challenge[7])

    @property
    def penalty(self) -> int:
        """What a defence that runs out of time costs."""
        return int(self.challenge[8])

    @property
    def defence_ends(self) -> int:
        """The last second in which somebody may defend."""
        return int(self.challenge[9])

    def defend(self, signer: str, witness: Witness, sender: str | None = None) -> Match:
        """A signer commits to its values."""
        key = self.answered.content_key
        hidden = None if key is None else blind(key, self.shard + 1)
        match = Match(self, signer, Defender(witness, self.shard, hidden), Opened(self.charge))
        match.defend(sender)
        self.games[signer] = match
        return match

    def conclude(self, sender: str | None = None) -> int:
        """Ends the challenge; the ending as the contract's flag."""
        caller = sender or boa.env.generate_address("outsider")
        return int(self.court.conclude(self.challenge, *self.answered.arguments, sender=caller))


@dataclass
class Match:
    """One game: both sides take turns through the court."""

    case: Case
    signer: str
    defender: Defender
    state: State
    moves: int = 0

    @property
    def position(self) -> bytes:
        """What whoever moves has to bring along."""
        return encoded_position(self.case.charge, self.state)

    def defend(self, sender: str | None = None) -> None:
        """The first move."""
        assert isinstance(self.state, Opened)
        move = self.defender.reply(self.state)
        data = encoded_move(self.state, move)
        self.case.court.defend(self.case.challenge, self.signer, data, sender=sender or self.signer)
        self._note(move)

    def play(self, move: Move, sender: str) -> None:
        """Any move by anybody."""
        court, challenge = self.case.court, self.case.challenge
        if isinstance(move, Convict):
            assert isinstance(self.state, Claimed)
            data = encoded_accusation(self.state, move)
            court.convict(challenge, self.signer, self.position, data, sender=sender)
        else:
            data = encoded_move(self.state, move)
            court.play(challenge, self.signer, self.position, data, sender=sender)
        self._note(move)

    def to_the_end(self, challenger: Challenger) -> State:
        """Both play until one has no move left or the game is over."""
        while (side := to_move(self.state)) is not None:
            if side is Side.DEFENDER:
                self.play(self.defender.reply(self.state), self.signer)  # type: ignore[arg-type]
                continue
            move = challenger.reply(self.state)  # type: ignore[arg-type]
            if move is None:
                break
            self.play(move, self.case.challenger)
        return self.state

    def expire(self, sender: str | None = None) -> None:
        """Lets the time of whoever is to move pass, and says so."""
        _, deadline, _ = self.case.court.game(self.case.number, self.signer)
        pass_blocks(1, deadline + 1 - boa.env.timestamp)
        caller = sender or boa.env.generate_address("outsider")
        self.case.court.expire(self.case.challenge, self.signer, sender=caller)

    def _note(self, move: Move) -> None:
        self.state = step(self.state, move)
        self.moves += 1
        if isinstance(self.state, Ended):
            return
        pass_blocks(1)


def ask(
    world: World,
    client: str,
    witness: Witness,
    model: int = MODEL,
    content_key: bytes | None = None,
) -> Query:
    """Pays for an answer of the table to the witness's input, sealed when there is a key."""
    data = witness.encoded(witness.table.shards[0].inputs[0])
    version_id, sealed = world.versions[model], {}
    if content_key is not None:
        plain = edges_digest([witness.digest(witness.table.shards[0].inputs[0])])
        hidden = sealed_digest(content_key, 0, plain)
        sealed = {"privacy": Privacy.SEALED, "input_digest": hidden}
        data = seal_input(content_key, VersionId(version_id), data)
    order = world.order(2, version_id=version_id, **sealed)
    world.market.request(order, data, sender=client)
    query = world.requested()
    pass_blocks(2)
    return query


def answer(
    world: World,
    court: VyperContract,
    query: Query,
    signed: Witness,
    paid: Mapping[int, tuple[int, ...]] | None = None,
    content_key: bytes | None = None,
) -> Answered:
    """What the members of `query` signed is what `signed` holds; `paid` are those whom the report
    names, everybody where it does not say."""
    ends = [shard.outputs for shard in signed.table.shards]
    digests = [edges_digest([signed.digest(value) for value in values]) for values in ends]
    output = signed.encoded(signed.table.outputs[0])
    if content_key is not None:
        digests = [sealed_digest(content_key, k + 1, plain) for k, plain in enumerate(digests)]
        output = seal_answer(content_key, query.version_id, query.input_digest, output)
    committees = [world.drawn(query, shard, query.replicas) for shard in range(query.shards)]
    where = (world.chain_id, world.market.address)
    works = shard_works(*where, query, seed_of(query), committees, digests, output)
    chosen = paid or {}
    reports = [work.report(chosen.get(shard)) for shard, work in enumerate(works)]
    oracle = world.oracle(query)
    world.market.fulfil(query.as_abi(), report_words(reports), output, sender=oracle)
    return Answered(world, court, query, world.fulfilled(), works, signed, content_key)


def stakes(answered: Answered, shard: int = 0) -> dict[str, int]:
    """What each signer of a shard has staked."""
    ledger = answered.world.lower.vault.ledger
    return {one: ledger(answered.operator(one)).stake for one in answered.signers(shard)}


def after_the_defence(case: Case) -> None:
    """Lets the defence window pass."""
    go_to(case.defence_ends + 1)


def events(contract: VyperContract, name: str) -> list[Any]:
    """Events of that name in the contract's last transaction."""
    return [log for log in contract.get_logs() if type(log).__name__ == name]


def rich(world: World, name: str, court: VyperContract, amount: int = 10_000 * ONE_NES) -> str:
    """An account with NES that the court may pull."""
    account = boa.env.generate_address(name)
    world.give(account, amount)
    world.lower.token.approve(court, 2**256 - 1, sender=account)
    return str(account)
