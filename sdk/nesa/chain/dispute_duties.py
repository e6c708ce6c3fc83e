"""What one side owes in the disputes that it follows: values and rules; no clock, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nesa.chain.disputes import Challenge, Ending
from nesa.chain.docket import Docket, FollowedChallenge, fell_elsewhere
from nesa.models.disputes.game import Side
from nesa.protocol.ids import Address, Seconds, Timestamp


@dataclass(frozen=True, slots=True)
class Defend:
    """Answer for an output that this signer signed."""

    challenge_id: int
    signer: Address


@dataclass(frozen=True, slots=True)
class Reply:
    """Make the next move in the game of `signer`, after `moves` moves."""

    challenge_id: int
    signer: Address
    moves: int


@dataclass(frozen=True, slots=True)
class Expire:
    """End the game of `signer`, whose other side is late."""

    challenge_id: int
    signer: Address


@dataclass(frozen=True, slots=True)
class Conclude:
    """End a challenge that is decided."""

    challenge_id: int


@dataclass(frozen=True, slots=True)
class Collect:
    """Withdraw what a challenge that ended paid."""

    challenge_id: int


Duty: TypeAlias = Defend | Reply | Expire | Conclude | Collect


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Who acts: as a signer of outputs, as a challenger, or where `side` is None as both.

    An operator's owner may defend in the name of its `signers`, whose keys it need not have.
    """

    side: Side | None
    account: Address
    signers: frozenset[Address] = frozenset()

    def answers_for(self, signer: Address) -> bool:
        """Whether the defence of a signer is this one's."""
        is_mine = signer == self.account or signer in self.signers
        return self.side is not Side.CHALLENGER and is_mine

    def side_in(self, challenge: Challenge) -> Side | None:
        """On which side this one is in a challenge, None where it is not its affair."""
        if any(map(self.answers_for, challenge.signers)):
            return Side.DEFENDER
        if self.side is not Side.DEFENDER and self.account == challenge.challenger:
            return Side.CHALLENGER
        return None

    def takes_part(self, followed: FollowedChallenge) -> bool:
        """Whether a challenge is this one's affair."""
        return self.side_in(followed.challenge) is not None


def duties(docket: Docket, me: Standpoint, now: Timestamp) -> tuple[Duty, ...]:
    """Everything that `me` has to do at chain time `now`, what is due first in front."""
    mine = [followed for followed in docket.values() if me.takes_part(followed)]
    mine.sort(key=lambda followed: followed.decided_at)
    return tuple(duty for followed in mine for duty in _of_one(docket, followed, me, now))


def ending_of(docket: Docket, followed: FollowedChallenge, now: Timestamp) -> Ending | None:
    """How the court would conclude a challenge at `now`, None while it would not."""
    if followed.winner is not None:
        return Ending.STANDING
    if fell_elsewhere(docket, followed):
        return Ending.FALLEN_ELSEWHERE
    if now > followed.challenge.defence_ends and not followed.has_open_games:
        return Ending.FALLEN
    return None


def defence_begins(challenge: Challenge, signer: Address, window: Seconds) -> Timestamp:
    """From when on an honest `signer` defends, `window` being the query's defence window.

    One won defence saves an output, so signers take turns: each waits until those before it have
    had the time to win against a challenger that does not play. The challenge's number decides who
    is first. A third of the window may be waited for at most, for who waits may be away afterwards;
    where no turn fits into that, everybody begins at once.
    """
    turn = challenge.move_window + challenge.move_window // 4
    count = len(challenge.signers)
    place = (challenge.signers.index(signer) - challenge.challenge_id) % count
    waited = min(place, window // 3 // turn) * turn
    return Timestamp(challenge.defence_ends - window + waited)


def _of_one(
    docket: Docket, followed: FollowedChallenge, me: Standpoint, now: Timestamp
) -> Iterator[Duty]:
    challenge_id = followed.challenge.challenge_id
    if followed.ending is not None:
        yield Collect(challenge_id)
        return
    ending = ending_of(docket, followed, now)
    if ending is not None:
        if _concludes(followed, ending, me, now):
            yield Conclude(challenge_id)
        return
    side = me.side_in(followed.challenge)
    if now <= followed.challenge.defence_ends:
        mine = filter(me.answers_for, followed.challenge.signers)
        yield from (Defend(challenge_id, one) for one in mine if one not in followed.games)
    for signer, game in followed.games.items():
        if game.to_move is None or (side is Side.DEFENDER and not me.answers_for(signer)):
            continue
        is_late = now > game.deadline
        if game.to_move is side and not is_late:
            yield Reply(challenge_id, signer, len(game.moves))
        elif game.to_move is not side and is_late:
            yield Expire(challenge_id, signer)


def _concludes(followed: FollowedChallenge, ending: Ending, me: Standpoint, now: Timestamp) -> bool:
    """Whether `me` concludes now: at once when it gains by the ending. Whoever else is held until
    then does so when the one that gains has let a move window pass; nobody slashes itself."""
    side = me.side_in(followed.challenge)
    match ending:
        case Ending.STANDING:
            gains = followed.winner is not None and me.answers_for(followed.winner)
        case Ending.FALLEN | Ending.FALLEN_ELSEWHERE:
            gains = side is Side.CHALLENGER
    if gains:
        return True
    is_overdue = now > followed.decided_at + followed.challenge.move_window
    return is_overdue and side is Side.DEFENDER and ending is not Ending.FALLEN
