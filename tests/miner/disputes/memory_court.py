"""A dispute court in memory: takes the calls of the real one and keeps its rules and clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.chain.abi import ContractCall, interface
from nesa.chain.court import Court
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.chain.events import (
    ChainEvent,
    ChallengeEnded,
    ChallengeOpened,
    GameEnded,
    LogKey,
    Moved,
)
from nesa.models.disputes.encoding import ACCUSATION_ABI, decoded_move, encoded_position
from nesa.models.disputes.game import Claimed, Opened, Side, State, step, to_move
from nesa.models.judging import Witness
from nesa.protocol.errors import InvalidInput, Rejected, Unavailable
from nesa.protocol.ids import (
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Digest,
    QueryId,
    Seconds,
    Timestamp,
)
from nesa.protocol.queries import Outcome, Query
from nesa_miner.disputes.courtroom import Courtroom

COURT = Address(to_checksum_address("0x" + "cc" * 20))
CHALLENGER = Address(to_checksum_address("0x" + "c1" * 20))
CLIENT = Address(to_checksum_address("0x" + "c0" * 20))
OWNER = Address(to_checksum_address("0x" + "0a" * 20))
"""Of every signer."""

DEFENCE_WINDOW, MOVE_WINDOW = 60, 20


def signer(number: int) -> Address:
    return Address(to_checksum_address(keccak(text=f"signer {number}")[:20]))


@dataclass
class OpenGame:
    state: State
    deadline: int


@dataclass
class MemoryCourt:
    """`sent` are the calls that were taken, by function; `events` what followed from them.

    A judge is not asked: the court knows the `truth`.
    """

    truth: Witness
    now: int = 1_000
    defence_window: int = DEFENCE_WINDOW
    events: list[ChainEvent] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    challenges: dict[int, Challenge] = field(default_factory=dict)
    games: dict[tuple[int, Address], OpenGame] = field(default_factory=dict)
    results: dict[tuple[int, Address], GameResult] = field(default_factory=dict)
    endings: dict[int, Ending] = field(default_factory=dict)

    def open(self, charge: Any, signers: tuple[Address, ...]) -> Challenge:
        """Somebody challenges an output of these signers."""
        number = len(self.challenges) + 1
        challenge = Challenge(
            number, CHALLENGER, QueryId(7), CLIENT, charge, signers, Amount(1000), Amount(100),
            Amount(50), Timestamp(self.now + self.defence_window), Seconds(MOVE_WINDOW),
        )  # fmt: skip
        self.challenges[number] = challenge
        self._tell(ChallengeOpened, number, CHALLENGER, challenge.query_id, challenge)
        return challenge

    def take(self, sender: Address, call: ContractCall) -> None:
        """Do what a call asks for.

        Raises:
            Rejected: the court would revert.
        """
        name = call.label.removeprefix("DisputeCourt.")
        arity = {"defend": 3, "play": 4, "convict": 4, "expire": 2, "conclude": 3}[name]
        inputs = interface("DisputeCourt").function(name, arity).inputs
        challenge, *rest = decode(inputs, call.data[4:])
        known = self.challenges[challenge[0]]
        handlers: dict[str, Callable[..., None]] = {
            "defend": self._defend,
            "play": self._play,
            "convict": self._convict,
            "expire": self._expire,
            "conclude": self._conclude,
        }
        if known.challenge_id in self.endings:
            raise Rejected("court: challenge is over")
        try:
            handlers[name](sender, known, *rest)
        except InvalidInput as error:
            raise Rejected(f"game: {error}") from error
        self.sent.append(name)

    def _defend(self, sender: Address, challenge: Challenge, who: str, move: bytes) -> None:
        key = (challenge.challenge_id, Address(to_checksum_address(who)))
        self._expect(key[1] in challenge.signers, "not a signer")
        self._expect(sender in (key[1], OWNER), "not the defender")
        self._expect(self.now <= challenge.defence_ends, "defence is over")
        self._expect(key not in self.games and key not in self.results, "defends already")
        self._advance(challenge, key, Opened(challenge.charge), move)

    def _play(
        self, sender: Address, challenge: Challenge, who: str, position: bytes, move: bytes
    ) -> None:
        key, game = self._timely(challenge, who, position)
        is_defenders = to_move(game.state) is Side.DEFENDER
        movers = (key[1], OWNER) if is_defenders else (challenge.challenger,)
        self._expect(sender in movers, "another's turn")
        self._advance(challenge, key, game.state, move)

    def _convict(
        self, sender: Address, challenge: Challenge, who: str, position: bytes, data: bytes
    ) -> None:
        key, game = self._timely(challenge, who, position)
        self._expect(sender == challenge.challenger, "not the challenger")
        assert isinstance(game.state, Claimed)
        (accusation,) = decode([ACCUSATION_ABI], data)
        claim = game.state.claims[accusation[0]]
        place = (game.state.row.leaf.index, claim.element, claim.first, claim.stop)
        self._expect(self.truth.worth(*place) != claim.value, "nothing is wrong")
        self._end(key, GameResult.LOST_BY_FACT)

    def _expire(self, _: Address, challenge: Challenge, who: str) -> None:
        key = (challenge.challenge_id, Address(to_checksum_address(who)))
        self._expect(key in self.games, "no open game")
        self._expect(self.now > self.games[key].deadline, "there is time left")
        is_defenders = to_move(self.games[key].state) is Side.DEFENDER
        self._end(key, GameResult.LOST_BY_TIME if is_defenders else GameResult.WON)

    def _conclude(self, _: Address, challenge: Challenge, *__: Any) -> None:
        number = challenge.challenge_id
        results = [result for key, result in self.results.items() if key[0] == number]
        if GameResult.WON in results:
            ending = Ending.STANDING
        else:
            self._expect(self.now > challenge.defence_ends, "defence may come")
            self._expect(not any(key[0] == number for key in self.games), "a game is open")
            ending = Ending.FALLEN
        self.endings[number] = ending
        self._tell(ChallengeEnded, number, challenge.query_id, ending)

    def _timely(
        self, challenge: Challenge, who: str, position: bytes
    ) -> tuple[tuple[int, Address], OpenGame]:
        key = (challenge.challenge_id, Address(to_checksum_address(who)))
        self._expect(key in self.games, "no open game")
        game = self.games[key]
        self._expect(encoded_position(challenge.charge, game.state) == position, "position")
        self._expect(self.now <= game.deadline, "too late")
        return key, game

    def _advance(
        self, challenge: Challenge, key: tuple[int, Address], state: State, move: bytes
    ) -> None:
        after = step(state, decoded_move(move))
        self.games[key] = OpenGame(after, self.now + challenge.move_window)
        self._tell(Moved, *key, move, Timestamp(self.games[key].deadline))

    def _end(self, key: tuple[int, Address], result: GameResult) -> None:
        del self.games[key]
        self.results[key] = result
        self._tell(GameEnded, *key, result)

    def _tell(self, kind: Any, *values: Any) -> None:
        number = len(self.events)
        name = Digest(keccak(text=f"log {number}"))
        self.events.append(kind(LogKey(BlockNumber(number), 0, name, name), *values))

    @staticmethod
    def _expect(holds: bool, why: str) -> None:
        if not holds:
            raise Rejected(f"court: {why}")


@dataclass
class MemoryRoom:
    """The way of one account into the court; `fails` calls are lost before they are sent."""

    place: MemoryCourt
    account: Address
    fails: int = 0
    collected: list[Address] = field(default_factory=list)

    @property
    def court(self) -> Court:
        """Builds calls."""
        return Court(cast(Any, None), COURT)

    async def send(self, call: ContractCall) -> None:
        """Have a call taken."""
        if self.fails:
            self.fails -= 1
            raise Unavailable("the node does not answer")
        self.place.take(self.account, call)

    async def history(self, _: QueryId) -> Any:
        """An answered query."""
        asked = Query.from_abi((7, CLIENT, *[bytes(32)] * 3, 1, 1, *[0] * 13))
        window = Seconds(self.place.defence_window)
        rules = replace(asked.rules, defence_window=window)
        query = replace(asked, parameters=rules.pack())
        outcome = Outcome(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, CLIENT, Timestamp(0), ())
        return SimpleNamespace(query=query, outcome=outcome)

    async def terms(self, query_id: QueryId) -> Query:
        """Its terms."""
        asked: Query = (await self.history(query_id)).query
        return asked

    async def operator_of(self, account: Address) -> Address:
        """Everybody answers with its own stake."""
        return account

    async def collect(self, account: Address) -> bool:
        """Withdraw."""
        self.collected.append(account)
        return True


def room_of(court: MemoryCourt, account: Address) -> tuple[MemoryRoom, Courtroom]:
    """The same room, and as the product types it."""
    room = MemoryRoom(court, account)
    return room, cast(Courtroom, room)
