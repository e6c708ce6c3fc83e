"""Takes a member of a session to court for wrong sums that it signed, and sees the suit through.

Who sues must play: a member that answers wins by time when nobody contradicts it. Nobody else holds
the share, so neither a watchtower nor a miner plays on. All that was done is on chain: another run
with the same evidence goes on where the last one ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.court import Court, Suit
from nesa.chain.dispute_duties import (
    Collect,
    Conclude,
    Defend,
    Duty,
    Expire,
    Reply,
    Standpoint,
    duties,
)
from nesa.chain.disputes import Challenge, Ending, ShownVersion
from nesa.chain.docket import Docket, FollowedChallenge, fold
from nesa.chain.events import ChallengeEnded, ChallengeOpened, GameEnded, Moved, SessionOpened
from nesa.chain.history import challenges_of, find_versions, read_events, topic
from nesa.chain.session_history import find_session, list_of
from nesa.chain.sessions import SharedSessions
from nesa.client.payment import Send, in_nes
from nesa.client.sharing import SharedPublicModel
from nesa.models.disputes.game import Side
from nesa.models.disputes.parties import Challenger
from nesa.models.disputes.playing import Accuse, Play, challengers_move
from nesa.models.judging import Witness
from nesa.privacy.shared.evidence import ShareEvidence, convicting
from nesa.privacy.shared.products import Product
from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidInput,
    Rejected,
    Unavailable,
)
from nesa.protocol.ids import ZERO_DIGEST, Address, Amount, Digest, Timestamp, VersionId
from nesa.protocol.outcomes import NO_OUTCOME, suing_ends
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Query
from nesa.protocol.sessions import is_session, product_terms
from nesa.protocol.statements import Statement
from nesa.protocol.versions import shards_digest

HASH_BLOCKS: Final = 256
"""Blocks whose hash the chain remembers."""

PIN_AFTER: Final = 64
"""Blocks after which a seed is pinned rather than trusted to be there for the suit."""

MOST_REFUSALS: Final = 3
"""Refusals of moves, one after the other, behind which a suit is left to be taken up later."""

WHAT_IT_SHOWS: Final = (
    "puts digits of a share of your query on chain when the member answers, and a short share is "
    "all in one leaf: whoever served in the other group has the input, or a value computed from it"
)
"""What a game about a share that was not discarded tells, behind the words of what shows it."""

_COURT: Final = "DisputeCourt"
_LIFE: Final = (ChallengeOpened, Moved, GameEnded, ChallengeEnded)


@dataclass(frozen=True, slots=True)
class CheckedSuit:
    """Evidence that was found to convict its signer, and what a suit takes.

    `witness` has the right sums of the share. `reveals` says that a game shows digits of a share to
    everybody that, with the other group's share, are a value of the query; who opens a suit has to
    want it.
    `stake` is what the operator can lose, `bond` what the account puts down, in NES units; `until`
    is when suits of the session are taken last.
    `challenge` is the account's own suit of the same evidence, where it is open or over already.
    """

    terms: Query
    suit: Suit
    witness: Witness
    reveals: bool
    operator: Address
    stake: Amount
    bond: Amount
    until: Timestamp
    challenge: Challenge | None

    @property
    def signer(self) -> Address:
        """Who signed the wrong sums."""
        return self.suit.statement.signer


@dataclass(frozen=True, slots=True)
class Sued:
    """The suit is open; the member may answer until `challenge.defence_ends`."""

    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Answered:
    """Both sides have made `moves` moves in the game; the next is due by `deadline`."""

    moves: int
    deadline: Timestamp


@dataclass(frozen=True, slots=True)
class Decided:
    """How a suit ended, and what the account was paid for it then, bonds with rewards."""

    challenge: Challenge
    ending: Ending
    paid: Amount


Progress: TypeAlias = Sued | Answered | Decided
OnProgress: TypeAlias = Callable[[Progress], Awaitable[None]]


async def quiet(_: Progress) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Suing:
    """Suits of an account that `send` sends for, and that the bonds come from."""

    connection: Connection
    account: Address
    send: Send

    @property
    def court(self) -> Court:
        """The court; errors as `Court.of`."""
        return Court.of(self.connection)

    async def check(self, evidence: ShareEvidence, shared: SharedPublicModel) -> CheckedSuit:
        """What a suit of some evidence would be; `shared` is the model that was asked. Nothing is
        paid. A suit of the same evidence that this account has open already is found.

        Raises:
            InvalidInput: the evidence is of another network, session or model, convicts nobody, or
                its time is over.
            Unavailable: the node does not answer, or the deployment has no sessions.
            Incompatible: the deployment has no dispute court.
        """
        opened = await self._session(evidence)
        witness = convicting(evidence, await self._product(evidence, opened, shared))
        said, terms = evidence.statement, opened.query
        number = said.reveal.context.attempt
        limits = await Contracts(self.connection).parameters.request_limits("latest")
        operator = await Contracts(self.connection).vault.operator_of(said.signer, "latest")
        if operator is None:
            raise InvalidInput(f"{said.signer} signs for no operator of this network")
        shown = await self._shown(evidence.version_id)
        product = product_terms(terms, number, evidence.version_id)
        checked = CheckedSuit(
            terms=product,
            suit=Suit(product, shown, said, terms.seed_block),
            witness=witness,
            reveals=not evidence.is_discarded,
            operator=operator,
            stake=limits.seat_stake,
            bond=Amount(limits.seat_stake * limits.challenger_bond_bps // BPS),
            until=suing_ends(terms),
            challenge=await self._own(said, terms),
        )
        if checked.challenge is None:
            await self._require_open(checked)
        return checked

    async def see_through(
        self,
        checked: CheckedSuit,
        on_progress: OnProgress = quiet,
        *,
        reveal_share: bool = False,
    ) -> Decided:
        """Open the suit, unless it is open, and play until it is decided and paid out. It takes the
        defence window, and more where the member answers.

        Raises:
            InvalidInput: the game of a new suit would show a share of the query, and `reveal_share`
                does not say that it may; nothing was sent.
            ExhaustedResource: the account does not hold the bond or coins for gas.
            Rejected: the court refuses; the message says why.
            IntegrityError: the member showed the very sums that were computed here.
            Unavailable: the node does not answer; call it again.
        """
        challenge = checked.challenge
        if challenge is None:  # an open one is seen through: letting it be loses the bond
            if checked.reveals and not reveal_share:
                raise InvalidInput(
                    f"a suit of product {checked.terms.attempt} {WHAT_IT_SHOWS}; sue with "
                    "--reveal-share (reveal_share=True) if they may know, or let it be: what "
                    "is wrong was not paid"
                )
            challenge = await self._open(checked)
        await on_progress(Sued(challenge))
        return await self._play(checked, challenge, on_progress)

    async def _session(self, evidence: ShareEvidence) -> SessionOpened:
        context, connection = evidence.statement.reveal.context, self.connection
        deployment, here = connection.deployment, SharedSessions.of(connection).address
        if (context.chain_id, context.market) != (deployment.chain_id, here):
            raise InvalidInput(
                f"the evidence is of chain {context.chain_id} and contract {context.market}, this "
                f"network is chain {deployment.chain_id} with {here}; give the network that was "
                "asked with --network"
            )
        opened = None
        if is_session(context.query_id):
            opened = await find_session(connection, context.query_id)
        if opened is None:
            raise InvalidInput(f"this network has no session {context.query_id}")
        block = await connection.find_block(opened.query.seed_block)
        if block is None or block.hash != context.seed:
            raise InvalidInput(
                f"the statement is of another history of the chain than the one in which session "
                f"{context.query_id} stands now; nobody can be sued for it"
            )
        return opened

    async def _product(
        self, evidence: ShareEvidence, opened: SessionOpened, shared: SharedPublicModel
    ) -> Product:
        number = evidence.statement.reveal.context.attempt
        listed = await list_of(self.connection, opened.products_id)
        versions = () if listed is None else listed.version_ids
        if number >= len(versions) or versions[number] != evidence.version_id:
            raise InvalidInput(
                f"the session has no product {number} with the version in the evidence"
            )
        registered = {one.version_id: one for one in await find_versions(self.connection)}
        roots, found = shared.model.roots, registered.get(evidence.version_id)
        if found is None or number >= len(roots) or found.operators_root != roots[number]:
            raise InvalidInput(
                f"product {number} of the session is none of {shared.public.name}: give the folder "
                "of the model that was asked"
            )
        return shared.model.plan.products[number]

    async def _shown(self, version_id: VersionId) -> ShownVersion:
        """What a version of one shard is the hash of."""
        events = await find_versions(self.connection)
        event = next(one for one in events if one.version_id == version_id)
        registry = Contracts(self.connection).registry
        digest = shards_digest([await registry.shard(version_id, 0, "latest")])
        head = (event.developer, event.operators_root, digest)
        return ShownVersion(*head, event.metadata_digest)

    async def _own(self, statement: Statement, terms: Query) -> Challenge | None:
        """The suit of a statement that the account opened."""
        said = statement.reveal
        wanted = (self.account, statement.signer, said.in_digest, said.out_digest)
        events = await challenges_of(self.connection, terms.query_id, terms.seed_block)
        for one in (event.challenge for event in events):
            charge = one.charge
            if wanted == (one.challenger, one.accused, charge.in_digest, charge.out_digest):
                return one
        return None

    async def _require_open(self, checked: CheckedSuit) -> None:
        """Returns when the court would take a suit now.

        Raises:
            InvalidInput: it would not.
        """
        head = await self.connection.head()
        session_id, seed_block = checked.terms.query_id, checked.terms.seed_block
        if head.timestamp > checked.until:
            raise InvalidInput(f"the time to sue members of session {session_id} is over")
        sessions = SharedSessions.of(self.connection)
        kept = await sessions.pinned_seed(seed_block, "latest") != ZERO_DIGEST
        if not kept and head.number - seed_block >= HASH_BLOCKS:
            raise InvalidInput(
                f"nobody had the seed of session {session_id} kept (pin_seed) while the chain "
                "remembered it, so that no statement of it can be judged any more"
            )
        if await self.court.is_convicted(session_id, 0, checked.signer, "latest"):
            raise InvalidInput(
                f"{checked.signer} lost its seat's stake for session {session_id} already"
            )
        if not await sessions.verify_terms(checked.terms, "latest"):
            raise InvalidInput("the court would not take a product of this session to be one")

    async def _open(self, checked: CheckedSuit) -> Challenge:
        token, court = Contracts(self.connection).token, self.court
        held = await token.balance_of(self.account, "latest")
        if held < checked.bond:
            raise ExhaustedResource(
                f"the bond is {in_nes(checked.bond)}, and {self.account} holds {in_nes(held)}"
            )
        await self._pin(checked.terms)
        evidence = checked.suit.statement.evidence
        await court.has_announced(self.account, evidence, self.send)
        if await token.allowance(self.account, court.address, "latest") < checked.bond:
            await self.send(token.approve(court.address, checked.bond))
        await self._wait_for_block(evidence)
        await self.send(court.sue(checked.suit))
        challenge = await self._own(checked.suit.statement, checked.terms)
        if challenge is None:
            raise Unavailable("the node does not show the suit that was sent; call it again")
        return challenge

    async def _wait_for_block(self, evidence: Digest) -> None:
        """Wait for the block behind the one that evidence was reserved in."""
        while True:
            if await self.court.has_announced(self.account, evidence, self.send):
                return
            await asyncio.sleep(self.connection.policy.poll)

    async def _pin(self, terms: Query) -> None:
        """Keep the seed beyond what the chain remembers when it may be forgotten soon."""
        sessions, head = SharedSessions.of(self.connection), await self.connection.head()
        if head.number - terms.seed_block < PIN_AFTER:
            return
        if await sessions.pinned_seed(terms.seed_block, "latest") == ZERO_DIGEST:
            await self.send(sessions.pin_seed(terms.seed_block))

    async def _play(
        self, checked: CheckedSuit, challenge: Challenge, on_progress: OnProgress
    ) -> Decided:
        me, told, refusals = Standpoint(Side.CHALLENGER, self.account), 0, 0
        number = challenge.challenge_id
        while True:
            docket = await self._docket(checked.terms)
            followed = docket[number]
            game = followed.games.get(checked.signer)
            if game is not None and len(game.moves) > told:
                told = len(game.moves)
                await on_progress(Answered(told, game.deadline))
            # Who has lost need not wait until the winner concludes.
            ending = Ending.STANDING if followed.winner else followed.ending
            if ending is not None:
                decided = Decided(challenge, ending, await self._collect())
                await on_progress(decided)
                return decided
            now = (await self.connection.head()).timestamp
            mine = [duty for duty in duties(docket, me, now) if duty.challenge_id == number]
            try:
                for duty in mine:
                    await self._perform(duty, followed, checked)
                refusals = 0
            except Rejected:  # somebody else was first, or the chain was reorganised
                refusals += 1
                if refusals > MOST_REFUSALS:
                    raise
            if not mine or refusals:
                await asyncio.sleep(self.connection.policy.poll)

    async def _docket(self, terms: Query) -> Docket:
        """All suits of a session; what fell in one of them has fallen in all."""
        opened = await challenges_of(self.connection, terms.query_id, terms.seed_block)
        numbers = [f"0x{one.challenge_id:064x}" for one in opened]
        topics = [[topic(_COURT, kind.__name__) for kind in _LIFE], numbers]
        return fold(
            await read_events(self.connection, self.court.address, topics, terms.seed_block)
        )

    async def _perform(self, duty: Duty, followed: FollowedChallenge, checked: CheckedSuit) -> None:
        challenge, court = followed.challenge, self.court
        match duty:
            case Reply(signer=signer):
                await self._reply(followed, signer, checked.witness)
            case Expire(signer=signer):
                await self.send(court.expire(challenge, signer))
            case Conclude():
                await self.send(court.conclude(challenge, checked.terms, NO_OUTCOME))
            case Defend() | Collect():  # the other side's, and what follows the end
                return
            case _:
                assert_never(duty)

    async def _reply(self, followed: FollowedChallenge, signer: Address, witness: Witness) -> None:
        challenge, moves = followed.challenge, followed.games[signer].moves
        player = Challenger(witness, challenge.charge.shard)
        move = await asyncio.to_thread(challengers_move, player, challenge.charge, moves)
        match move:
            case Play(position, data):
                call = self.court.play(challenge, signer, position, data)
            case Accuse(position, accusation):
                call = self.court.convict(challenge, signer, position, accusation)
            case None:
                raise IntegrityError("the member shows the very sums that were computed here")
            case _:
                assert_never(move)
        await self.send(call)

    async def _collect(self) -> Amount:
        """Withdraw what court and vault owe to the account."""
        vault, court = Contracts(self.connection).vault, self.court
        credit = await court.credit_of(self.account, "latest")
        reward = await vault.reward_of(self.account, "latest")
        if credit:
            await self.send(court.withdraw(self.account))
        if reward:
            await self.send(vault.withdraw_reward(self.account))
        return Amount(credit + reward)
