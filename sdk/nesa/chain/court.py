"""DisputeCourt with types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import ZERO_ADDRESS, BoundContract
from nesa.chain.disputes import Challenge, ShownVersion, claim_of, equivocation_as_abi
from nesa.chain.sender import Receipt
from nesa.protocol.errors import Incompatible
from nesa.protocol.faults import Equivocation
from nesa.protocol.ids import ZERO_DIGEST, Address, Amount, BlockNumber, Digest, QueryId, Timestamp
from nesa.protocol.outcomes import NO_OUTCOME, outcome_as_abi
from nesa.protocol.queries import Outcome, Query
from nesa.protocol.statements import Statement


@dataclass(frozen=True, slots=True)
class View:
    """How a sealed query's blinded digest of a shard's input comes about."""

    in_digest: Digest
    blind: bytes

    def as_abi(self) -> tuple[bytes, bytes]:
        """`IDisputeCourt.View`."""
        return (self.in_digest, self.blind)


NO_VIEW: Final = View(ZERO_DIGEST, ZERO_DIGEST)
"""What is shown of an open query, where there is nothing to see through."""


@dataclass(frozen=True, slots=True)
class Accused:
    """The output of a shard, and who worked on it: `members` drawn, in draw order."""

    query: Query
    outcome: Outcome
    shard: int
    members: tuple[Address, ...]
    version: ShownVersion

    @property
    def out_digest(self) -> Digest:
        """The digest that is said to be wrong."""
        return self.outcome.shards[self.shard].out_digest

    def as_abi(self) -> tuple[Any, ...]:
        """The arguments that every way to open a challenge begins with."""
        head = (self.query.as_abi(), outcome_as_abi(self.outcome), self.shard)
        return (*head, list(self.members), self.version.as_abi())


@dataclass(frozen=True, slots=True)
class Suit:
    """What one member signed in a query without an answer.

    `query` has the terms of now, `seed_block` is that of the attempt that the statement is of.
    """

    query: Query
    version: ShownVersion
    statement: Statement
    seed_block: BlockNumber
    view: View = NO_VIEW

    def as_abi(self) -> tuple[Any, ...]:
        """The arguments that open a suit."""
        said = self.statement
        head = (self.query.as_abi(), self.version.as_abi())
        tail = (self.view.as_abi(), self.seed_block)
        return (*head, said.shard_as_abi(), said.as_abi(), *tail)


@dataclass(frozen=True, slots=True)
class StandingGame:
    """Where a game stands; `position` is None once it has ended, else the first 26 bytes of its
    hash."""

    position: bytes | None
    deadline: Timestamp
    is_defenders: bool


@dataclass(frozen=True, slots=True)
class StandingChallenge:
    """How a challenge stands; `winner` is the first signer that won a game."""

    open_games: int
    winner: Address | None
    is_over: bool


class Court(BoundContract):
    """DisputeCourt: evidence and the element game."""

    interface_name = "DisputeCourt"

    @classmethod
    def of(cls, connection: Connection) -> Court:
        """The court of the connection's deployment.

        Raises:
            Incompatible: the deployment has none.
        """
        address = connection.deployment.court
        if address is None:
            raise Incompatible("this deployment has no dispute court")
        return cls(connection, address)

    async def has_announced(
        self,
        account: Address,
        evidence: Digest,
        send: Callable[[ContractCall], Awaitable[Receipt]],
    ) -> bool:
        """Whether an account reserved evidence in an earlier block; `send` reserves it when not.

        Raises:
            Rejected, Unavailable: as `send`.
        """
        connection = self._connection
        claim = claim_of(connection.deployment.chain_id, self.address, account, evidence)
        at = await self.announced_at(claim, "latest")
        if at is None:
            await send(self.announce(claim))
            return False
        return (await connection.head()).number > at

    async def announced_at(self, claim: Digest, at: At) -> BlockNumber | None:
        """The block in which a claim was announced."""
        return BlockNumber(await self._one("announced_at", claim, at=at)) or None

    async def is_convicted(self, query_id: QueryId, shard: int, signer: Address, at: At) -> bool:
        """Whether a signer lost a seat's stake for a shard of a query."""
        return bool(await self._one("is_convicted", query_id, shard, signer, at=at))

    async def has_fallen(self, query_id: QueryId, shard: int, at: At) -> bool:
        """Whether nobody could defend the output of a shard."""
        return bool(await self._one("has_fallen", query_id, shard, at=at))

    async def standing(self, challenge_id: int, at: At) -> StandingChallenge:
        """How a challenge stands."""
        open_games, winner, is_over = await self.read("standing", challenge_id, at=at)
        return StandingChallenge(open_games, None if winner == ZERO_ADDRESS else winner, is_over)

    async def game(self, challenge_id: int, signer: Address, at: At) -> StandingGame | None:
        """Where a signer's game stands; None when the signer never defended."""
        position, deadline, is_defenders = await self.read("game", challenge_id, signer, at=at)
        if not deadline:
            return None
        return StandingGame(position if any(position) else None, deadline, is_defenders)

    async def credit_of(self, account: Address, at: At) -> Amount:
        """NES units that an account can withdraw."""
        return Amount(await self._one("credit_of", account, at=at))

    def announce(self, claim: Digest) -> ContractCall:
        """Reserve evidence."""
        return self.call("announce", claim)

    def open_challenge(self, accused: Accused, view: View = NO_VIEW) -> ContractCall:
        """Challenge a shard's output; takes the bond from the sender's allowance."""
        return self.call("open_challenge", *accused.as_abi(), view.as_abi())

    def show_fault(
        self, accused: Accused, given: bytes, computed: bytes, proof: bytes
    ) -> ContractCall:
        """Challenge by a proof of another output, without a bond."""
        return self.call("show_fault", *accused.as_abi(), given, computed, proof)

    def show_equivocation(self, fault: Equivocation) -> ContractCall:
        """Show two outputs of one member."""
        return self.call("show_equivocation", *equivocation_as_abi(fault))

    def sue(self, suit: Suit) -> ContractCall:
        """Challenge what a member signed; takes the bond from the sender's allowance."""
        return self.call("sue", *suit.as_abi())

    def defend(self, challenge: Challenge, signer: Address, move: bytes) -> ContractCall:
        """Open a signer's game with its first move."""
        return self.call("defend", challenge.as_abi(), signer, move)

    def play(
        self, challenge: Challenge, signer: Address, position: bytes, move: bytes
    ) -> ContractCall:
        """Make a move in a signer's game."""
        return self.call("play", challenge.as_abi(), signer, position, move)

    def convict(
        self, challenge: Challenge, signer: Address, position: bytes, accusation: bytes
    ) -> ContractCall:
        """Show that a claim is wrong."""
        return self.call("convict", challenge.as_abi(), signer, position, accusation)

    def expire(self, challenge: Challenge, signer: Address) -> ContractCall:
        """End a game whose side to move is late."""
        return self.call("expire", challenge.as_abi(), signer)

    def conclude(
        self, challenge: Challenge, query: Query, outcome: Outcome = NO_OUTCOME
    ) -> ContractCall:
        """End a challenge that is decided; in a suit there is no outcome."""
        tail = (query.as_abi(), outcome_as_abi(outcome))
        return self.call("conclude", challenge.as_abi(), *tail)

    def withdraw(self, account: Address) -> ContractCall:
        """Pay an account what challenges credited to it."""
        return self.call("withdraw", account)
