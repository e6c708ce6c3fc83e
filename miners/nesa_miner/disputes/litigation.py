"""One side's disputes: keeps what the court says, and does in time what is due.

Nothing that was done is remembered but by the chain. After a kill, or when a reorganisation took a
move back, the same events give the same duties, and the court refuses what comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import structlog

from nesa.chain.dispute_duties import (
    Collect,
    Conclude,
    Defend,
    Duty,
    Expire,
    Reply,
    Standpoint,
    defence_begins,
    duties,
)
from nesa.chain.disputes import Challenge
from nesa.chain.docket import (
    EMPTY,
    Docket,
    FollowedChallenge,
    apply,
    concerns,
    fold,
)
from nesa.chain.events import ChainEvent, ChallengeEnded, ChallengeOpened, GameEnded, Moved
from nesa.models.disputes.game import MOST_MOVES, Side
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.playing import (
    Accuse,
    NextMove,
    Play,
    challengers_move,
    defence,
    defenders_move,
)
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import NesaError, Unavailable
from nesa.protocol.ids import Address, QueryId, Seconds, Timestamp
from nesa.protocol.outcomes import NO_OUTCOME
from nesa_miner.disputes.court_log import CourtLog
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.inputs import Recomputed
from nesa_miner.disputes.observability import DisputeMetrics
from nesa_miner.once import Once
from nesa_miner.retrying import Retries, reason_of

LONGEST_PAUSE: Final = 10.0
COINS_SECONDS: Final = 60.0
WEI: Final = 10**18
"""Of one coin."""

KEPT_SECONDS: Final = 86_400
"""How long a challenge that ended stays in the journal, for a reorganisation to undo its end."""

LONG_AGO: Final = Timestamp(0)

log = structlog.get_logger("nesa_miner")

Recompute = Callable[[QueryId, Charge], Awaitable[Recomputed]]
"""What a shard of a query gives by the definition of its table."""


def longest_end(challenge: Challenge) -> Timestamp:
    """When the last game of a challenge ends at the latest."""
    return Timestamp(challenge.defence_ends + MOST_MOVES * challenge.move_window)


@dataclass(slots=True)
class Litigation:
    """The disputes in which one account defends or challenges.

    `docket` is what the journal holds; `indefensible` are challenges that this side would lose,
    because it computes something else than it said.
    """

    me: Standpoint
    court_log: CourtLog
    room: Courtroom
    recompute: Recompute
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    metrics: DisputeMetrics
    docket: Docket = field(default_factory=lambda: EMPTY)
    indefensible: set[int] = field(default_factory=set)
    _now: Timestamp = LONG_AGO
    _stored: Docket | None = None
    _windows: dict[int, Seconds] = field(default_factory=dict)
    _recomputed: Once[tuple[QueryId, Charge], Recomputed] = field(default_factory=Once)
    _defenders: dict[int, Defender] = field(default_factory=dict)
    _challengers: dict[tuple[int, Address], Challenger] = field(default_factory=dict)
    _retries: Retries[Duty] = field(init=False)

    def __post_init__(self) -> None:
        longest = LONGEST_PAUSE
        self._retries = Retries(
            self.spawn, self.clock, self._put_off, rest=longest, longest=longest
        )

    def store(
        self, undone: Sequence[bytes], events: Sequence[tuple[bytes, ChainEvent]], now: Timestamp
    ) -> None:
        """Keep events by the keys of their logs; inside the transaction of the cursor.

        `reload` takes them up once the transaction is through.
        """
        self.court_log.undo(undone)
        docket = fold(self.court_log.events()) if undone else self.docket
        for key, event in events:
            if isinstance(event, ChallengeOpened | Moved | GameEnded | ChallengeEnded) and concerns(
                docket, event, self.me.takes_part
            ):
                self.court_log.keep(key, event)
                docket = apply(docket, event)
        self._stored = {number: one for number, one in docket.items() if not _is_old(one, now)}
        for number in docket.keys() - self._stored.keys():
            self.court_log.forget(number)

    def reload(self) -> None:
        """Take up what the journal holds."""
        before, stored = self.docket, self._stored
        self.docket = fold(self.court_log.events()) if stored is None else stored
        for number, followed in self.docket.items():
            if self.me.takes_part(followed):
                self._tell(before.get(number), followed)
        mine = [one for one in self.docket.values() if self.me.takes_part(one)]
        is_open = {one.challenge.challenge_id for one in mine if one.ending is None}
        self.metrics.open.set(len(is_open))
        charges = {_charged(self.docket[number].challenge) for number in is_open}
        self._recomputed.forget(lambda charge: charge not in charges)
        self._windows = {key: one for key, one in self._windows.items() if key in is_open}
        self._defenders = {key: one for key, one in self._defenders.items() if key in is_open}
        self._challengers = {
            key: one for key, one in self._challengers.items() if key[0] in is_open
        }

    def advance(self, now: Timestamp) -> None:
        """Start everything that is due at chain time `now`."""
        self._now = now
        due = duties(self.docket, self.me, now)
        self._retries.keep_only(set(due))
        for duty in due:
            if not self._is_hopeless(duty):
                followed = self.docket[duty.challenge_id]
                self._retries.start(duty, partial(self._perform, duty, followed))

    def holds(self, query_id: int) -> bool:
        """Whether somebody's challenge of an output of a query is open; a suit holds none."""
        return any(
            followed.ending is None and followed.challenge.query_id == query_id
            for followed in self.docket.values()
            if followed.challenge.output is not None
        )

    async def watch_coins(self) -> None:
        """Say it, for ever, when the account could not pay for a defence."""
        was_short = False
        while True:
            try:
                missing = await self.room.missing_coins()
            except NesaError:
                missing = 0
            self.metrics.missing_coins.set(missing / WEI)
            if missing and not was_short:
                coins = f"{missing / WEI:.6f}"
                log.warning("no gas for a defence", account=self.me.account, missing=coins)
            was_short = bool(missing)
            await asyncio.sleep(COINS_SECONDS)

    def summary(self) -> list[dict[str, Any]]:
        """The challenges under way in which this side takes part, for people."""
        return [
            {
                "challenge": followed.challenge.challenge_id,
                "query": followed.challenge.query_id,
                "shard": followed.challenge.charge.shard,
                "defence_ends": followed.challenge.defence_ends,
                "given_up": followed.challenge.challenge_id in self.indefensible,
                "games": {signer: len(game.moves) for signer, game in followed.games.items()},
            }
            for followed in self.docket.values()
            if followed.ending is None and self.me.takes_part(followed)
        ]

    def _is_hopeless(self, duty: Duty) -> bool:
        return duty.challenge_id in self.indefensible and isinstance(duty, Defend | Reply)

    def _put_off(self, duty: Duty, seconds: float, error: Exception) -> None:
        place = {"duty": type(duty).__name__, "challenge": duty.challenge_id}
        tell = log.warning if isinstance(error, NesaError) else log.error
        tell("put off", **place, seconds=seconds, **reason_of(error))
        self.metrics.failures.inc()

    async def _perform(self, duty: Duty, followed: FollowedChallenge) -> None:
        challenge, court = followed.challenge, self.room.court
        match duty:
            case Defend(signer=signer):
                await self._defend(challenge, signer)
            case Reply(signer=signer):
                await self._reply(challenge, signer, followed.games[signer].moves)
            case Expire(signer=signer):
                await self.room.send(court.expire(challenge, signer))
                log.info("late side loses", challenge=challenge.challenge_id, signer=signer)
            case Conclude():
                await self._conclude(challenge)
            case Collect():
                await self._collect(challenge)

    async def _defend(self, challenge: Challenge, signer: Address) -> None:
        """Open a signer's game in its turn, unless it computes something else than it signed."""
        defender = await self._defender(challenge)
        if await asyncio.to_thread(lambda: defender.charge) != challenge.charge:
            self._give_up(challenge, "what was signed is not what the table gives")
            return
        if self._now < defence_begins(challenge, signer, await self._window(challenge)):
            return
        move = await asyncio.to_thread(defence, defender, challenge.charge)
        await self.room.send(self.room.court.defend(challenge, signer, move))
        self.metrics.moves.inc()
        place = {"query": challenge.query_id, "signer": signer}
        log.info("defence opened", challenge=challenge.challenge_id, **place)

    async def _window(self, challenge: Challenge) -> Seconds:
        number = challenge.challenge_id
        if number not in self._windows:
            terms = await self.room.terms(challenge.query_id)
            self._windows[number] = Seconds(terms.rules.defence_window)
        return self._windows[number]

    async def _reply(self, challenge: Challenge, signer: Address, moves: Sequence[bytes]) -> None:
        move = await self._next_move(challenge, signer, moves)
        court = self.room.court
        match move:
            case None:
                self._give_up(challenge, "the other side's values are no different from ours")
                return
            case Play(position, data):
                await self.room.send(court.play(challenge, signer, position, data))
            case Accuse(position, accusation):
                await self.room.send(court.convict(challenge, signer, position, accusation))
        self.metrics.moves.inc()
        number = challenge.challenge_id
        log.info(
            "moved", challenge=number, signer=signer, after=len(moves), kind=type(move).__name__
        )

    async def _next_move(
        self, challenge: Challenge, signer: Address, moves: Sequence[bytes]
    ) -> NextMove | None:
        if self.me.side_in(challenge) is Side.DEFENDER:
            defender = await self._defender(challenge)
            return await asyncio.to_thread(defenders_move, defender, challenge.charge, moves)
        key = (challenge.challenge_id, signer)
        if key not in self._challengers:
            ours = await self._ours(challenge)
            self._challengers[key] = Challenger(ours.witness, challenge.charge.shard)
        challenger = self._challengers[key]
        return await asyncio.to_thread(challengers_move, challenger, challenge.charge, moves)

    async def _conclude(self, challenge: Challenge) -> None:
        """End a challenge; the outcome is read anew, for claims may have changed it.

        In a suit there is none.
        """
        query_id = challenge.query_id
        if challenge.output is None:
            ended = (await self.room.terms(query_id), NO_OUTCOME)
        else:
            history = await self.room.history(query_id)
            if history.outcome is None:
                raise Unavailable(f"query {query_id} is not answered on this chain any more")
            ended = (history.query, history.outcome)
        await self.room.send(self.room.court.conclude(challenge, *ended))
        log.info("challenge concluded", challenge=challenge.challenge_id)

    async def _collect(self, challenge: Challenge) -> None:
        """Withdraw what the end of a challenge credited; a defender's share is its operator's."""
        account: Address | None = self.me.account
        mine = next(filter(self.me.answers_for, challenge.signers), None)
        if mine is not None:
            account = await self.room.operator_of(mine)
        if account is not None and await self.room.collect(account):
            log.info("credits withdrawn", challenge=challenge.challenge_id, account=account)

    async def _defender(self, challenge: Challenge) -> Defender:
        number = challenge.challenge_id
        if number not in self._defenders:
            ours = await self._ours(challenge)
            shard = challenge.charge.shard
            self._defenders[number] = Defender(ours.witness, shard, ours.blind)
        return self._defenders[number]

    async def _ours(self, challenge: Challenge) -> Recomputed:
        charged = _charged(challenge)
        return await self._recomputed.get(charged, lambda: self.recompute(*charged))

    def _give_up(self, challenge: Challenge, why: str) -> None:
        """Nothing more is moved in a challenge; somebody should look into it."""
        self.indefensible.add(challenge.challenge_id)
        self.metrics.indefensible.inc()
        place = {"query": challenge.query_id, "shard": challenge.charge.shard}
        log.error("not defensible", challenge=challenge.challenge_id, why=why, **place)

    def _tell(self, before: FollowedChallenge | None, now: FollowedChallenge) -> None:
        """Log and count what is new in a challenge."""
        number, place = now.challenge.challenge_id, now.challenge.dispute
        if before is None:
            self.metrics.challenges.inc()
            log.warning("challenge", challenge=number, **place._asdict())
        if now.ending is not None and (before is None or before.ending is None):
            self.metrics.ended.labels(now.ending.name.lower()).inc()
            log.warning("challenge ended", challenge=number, ending=now.ending.name.lower())


def _charged(challenge: Challenge) -> tuple[QueryId, Charge]:
    return challenge.query_id, challenge.charge


def _is_old(followed: FollowedChallenge, now: Timestamp) -> bool:
    """Whether no reorganisation can undo the end of a challenge any more."""
    return followed.ending is not None and now > followed.decided_at + KEPT_SECONDS
