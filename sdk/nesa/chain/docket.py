"""Challenges as the court's events tell them: a fold, so that it can be made again at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from nesa.chain.disputes import Challenge, Dispute, Ending, GameResult
from nesa.chain.events import ChainEvent, ChallengeEnded, ChallengeOpened, GameEnded, Moved
from nesa.models.disputes.game import Side
from nesa.protocol.ids import Address, Timestamp


@dataclass(frozen=True, slots=True)
class FollowedGame:
    """The game of one signer: its moves as the court announced them, and when the next is due."""

    moves: tuple[bytes, ...]
    deadline: Timestamp
    result: GameResult | None = None

    @property
    def to_move(self) -> Side | None:
        """Whose turn it is, None once the game has ended; the defender moves first."""
        if self.result is not None:
            return None
        return Side.CHALLENGER if len(self.moves) % 2 else Side.DEFENDER


@dataclass(frozen=True, slots=True)
class FollowedChallenge:
    """A challenge with its games by signer, and how it ended."""

    challenge: Challenge
    games: Mapping[Address, FollowedGame] = field(default_factory=dict)
    ending: Ending | None = None

    @property
    def winner(self) -> Address | None:
        """A signer that won its game: the output stands."""
        won = (signer for signer, game in self.games.items() if game.result is GameResult.WON)
        return next(won, None)

    @property
    def has_open_games(self) -> bool:
        """Whether somebody is still to move."""
        return any(game.result is None for game in self.games.values())

    @property
    def decided_at(self) -> Timestamp:
        """When all clocks that were announced so far have run out."""
        ends = (self.challenge.defence_ends, *(game.deadline for game in self.games.values()))
        return max(ends)


Docket: TypeAlias = Mapping[int, FollowedChallenge]
"""Challenges by their number."""

EMPTY: Final[Docket] = {}


def fold(events: Iterable[ChainEvent]) -> Docket:
    """The docket after events in chain order."""
    docket = EMPTY
    for event in events:
        docket = apply(docket, event)
    return docket


def apply(docket: Docket, event: ChainEvent) -> Docket:
    """The docket after one more event; those of challenges that it does not know change nothing."""
    match event:
        case ChallengeOpened(challenge=challenge):
            return {**docket, challenge.challenge_id: FollowedChallenge(challenge)}
        case Moved() | GameEnded() | ChallengeEnded() if event.challenge_id in docket:
            followed = _after(docket[event.challenge_id], event)
            return {**docket, event.challenge_id: followed}
        case _:
            return docket


def concerns(
    docket: Docket, event: ChainEvent, takes_part: Callable[[FollowedChallenge], bool]
) -> bool:
    """Whether a side has to keep an event.

    Every challenge counts until its end, since an output that fell in one of them has fallen in
    all; games count only in those in which the side `takes_part`.
    """
    match event:
        case ChallengeOpened() | ChallengeEnded():
            return True
        case Moved() | GameEnded():
            followed = docket.get(event.challenge_id)
            return followed is not None and takes_part(followed)
        case _:
            return False


def fell_elsewhere(docket: Docket, followed: FollowedChallenge) -> bool:
    """Whether what is challenged fell in another challenge."""
    return any(
        other.ending is Ending.FALLEN and other.challenge.dispute == followed.challenge.dispute
        for other in docket.values()
        if other is not followed
    )


def is_brought(docket: Docket, dispute: Dispute, me: Address) -> bool:
    """Whether `me` has challenged something, or it has fallen already."""
    return any(
        followed.challenge.challenger == me or followed.ending is Ending.FALLEN
        for followed in docket.values()
        if followed.challenge.dispute == dispute
    )


def bonds_of(docket: Docket, me: Address) -> int:
    """NES units in bonds of what `me` has challenged and is not over."""
    open_ = (one.challenge for one in docket.values() if one.ending is None)
    return sum(challenge.bond for challenge in open_ if challenge.challenger == me)


def _after(
    followed: FollowedChallenge, event: Moved | GameEnded | ChallengeEnded
) -> FollowedChallenge:
    match event:
        case ChallengeEnded(ending=ending):
            return replace(followed, ending=ending)
        case Moved(defender=signer, move=move, deadline=deadline):
            before = followed.games.get(signer)
            moves = (move,) if before is None else (*before.moves, move)
            game = FollowedGame(moves, deadline)
        case GameEnded(defender=signer, result=result):
            game = replace(followed.games[signer], result=result)
    return replace(followed, games={**followed.games, signer: game})
