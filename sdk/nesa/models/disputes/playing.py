"""The next move in a game, from all moves so far and the values that one side computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nesa.models.disputes.encoding import (
    decoded_move,
    encoded_accusation,
    encoded_move,
    encoded_position,
)
from nesa.models.disputes.game import (
    Claimed,
    Ended,
    Opened,
    State,
    TensorShown,
    ValuesShown,
    step,
)
from nesa.models.disputes.moves import Convict
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import Charge


@dataclass(frozen=True, slots=True)
class Play:
    """A move with the position that it is made in, as the court takes both."""

    position: bytes
    move: bytes


@dataclass(frozen=True, slots=True)
class Accuse:
    """A conviction with the position that it is made in, as the court takes both."""

    position: bytes
    accusation: bytes


NextMove: TypeAlias = Play | Accuse


def defence(defender: Defender, charge: Charge) -> bytes:
    """The move that opens a defender's game, as the court takes it."""
    state = Opened(charge)
    return encoded_move(state, defender.reply(state))


def defenders_move(defender: Defender, charge: Charge, moves: Sequence[bytes]) -> Play | None:
    """The answer to what was asked last; None when nothing is asked.

    Raises:
        IllegalMove, InvalidOpening: moves that no court would have taken.
    """
    state = _states(charge, moves)[-1]
    match state:
        case ValuesShown() | TensorShown() | Claimed() | Ended():
            return None
        case _:
            move = encoded_move(state, defender.reply(state))
            return Play(encoded_position(charge, state), move)


def challengers_move(
    challenger: Challenger, charge: Charge, moves: Sequence[bytes]
) -> NextMove | None:
    """The next step to the first difference; None when there is none, or nothing was shown.

    `challenger` plays this game only: it keeps what the defender showed.

    Raises:
        IllegalMove, InvalidOpening: moves that no court would have taken.
    """
    *earlier, state = _states(charge, moves)
    for seen in earlier:
        if isinstance(seen, ValuesShown):
            challenger.reply(seen)
    match state:
        case ValuesShown() | TensorShown() | Claimed():
            move = challenger.reply(state)
        case _:
            return None
    if move is None:
        return None
    position = encoded_position(charge, state)
    if isinstance(move, Convict) and isinstance(state, Claimed):
        return Accuse(position, encoded_accusation(state, move))
    return Play(position, encoded_move(state, move))


def _states(charge: Charge, moves: Sequence[bytes]) -> list[State]:
    """Where the game stood at the beginning and after each move."""
    states: list[State] = [Opened(charge)]
    for move in moves:
        states.append(step(states[-1], decoded_move(move)))
    return states
