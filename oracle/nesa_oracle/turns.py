"""Whose turn it is: to report, turn by turn in draw order, then anybody; to deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from nesa.chain.committees import Seat
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.queries import Query

SAFETY_SECONDS = 2
"""A report is not sent so late in a turn that it may be mined after it."""

VOLUNTEER_SPREAD = 5
"""Seconds over which oracles spread once anybody may report, so that not all of them pay gas."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A span of chain time in which one account may report; `ends` is not part of it."""

    begins: Timestamp
    ends: Timestamp

    def holds(self, now: Timestamp) -> bool:
        """Whether `now` lies in it."""
        return self.begins <= now < self.ends


def chances(query: Query, oracles: Sequence[Seat], me: Address) -> tuple[Chance, ...]:
    """When `me` may report, in order: its own turns, then the time that is open to anybody."""
    turn = query.rules.oracle_turn
    last = Timestamp(query.answer_deadline + 1)
    own = [place for place, seat in enumerate(oracles) if seat.signer == me]
    spans = [(query.opened_at + place * turn, turn - _safety(turn)) for place in own]
    turns = [
        Chance(Timestamp(begins), Timestamp(min(begins + length, last))) for begins, length in spans
    ]
    opens = query.opened_at + len(oracles) * turn + _delay(query, me)
    return (*turns, Chance(Timestamp(opens), last))


def next_chance(
    query: Query, oracles: Sequence[Seat], me: Address, now: Timestamp
) -> Chance | None:
    """The chance that holds at `now`, else the next one; None after the last."""
    found = (span for span in chances(query, oracles, me) if span.begins < span.ends)
    return next((span for span in found if now < span.ends), None)


def delivery_delay(query: Query, reporter: Address, me: Address) -> int:
    """Seconds that `me` leaves a CHALLENGED answer to others once its windows are over: none to
    whoever reported it, a turn to everybody else."""
    return 0 if me == reporter else query.rules.oracle_turn + _delay(query, me)


def _safety(turn: int) -> int:
    return min(SAFETY_SECONDS, turn // 4)


def _delay(query: Query, me: Address) -> int:
    """The same seconds for the same oracle and query, different ones for others."""
    return keccak(text=f"{me} {query.query_id} {query.attempt}")[0] % VOLUNTEER_SPREAD
