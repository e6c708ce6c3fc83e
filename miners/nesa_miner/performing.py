"""What is performed: every action as a task of its duty, and what becomes of it when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from nesa.protocol.errors import InvalidInput, NesaError
from nesa_miner.computing import Computations
from nesa_miner.drawing import Draws
from nesa_miner.duties import Action, Compute, Duty, Expire, Fetch, HandOver, Prove, ReadDraw
from nesa_miner.fetching import Fetches
from nesa_miner.log_format import origin_of
from nesa_miner.observability import Metrics
from nesa_miner.roster import Roster
from nesa_miner.work import is_sealed

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Performer:
    """Performs actions; `advance` starts what is due after each of them."""

    roster: Roster
    draws: Draws
    fetches: Fetches
    computations: Computations
    metrics: Metrics
    advance: Callable[[], None]

    def start(self, duty: Duty, action: Action) -> None:
        """Begin an action that is not under way; it comes back with its result."""
        if isinstance(action, Expire):
            self.roster.end(duty, "the answer deadline passed")
            return
        self.roster.update(replace(duty, busy=duty.busy | {action}))
        self.roster.tasks.spawn(duty.key, self._guarded(duty, action))

    async def _guarded(self, duty: Duty, action: Action) -> None:
        """Perform an action: bad input ends the duty, anything else is tried again later.

        That goes for mistakes in this program too: one query may not end the work for all others.
        """
        try:
            await self._perform(duty, action)
        except InvalidInput as error:
            self._refuse(duty, action, error)
        except NesaError as error:
            self._put_off(duty, error)
        except Exception as error:
            log.error("failed", query=duty.key[0], attempt=duty.key[1], **origin_of(error))
            self._put_off(duty, error)
        finally:
            if (current := self.roster.current(duty)) is not None:
                self.roster.update(replace(current, busy=current.busy - {action}))
        self.advance()

    async def _perform(self, duty: Duty, action: Action) -> None:
        match action:
            case ReadDraw():
                await self.draws.read(duty)
            case Fetch(in_digest):
                await self.fetches.fetch(duty, in_digest)
            case Compute(in_digest):
                await self.computations.compute(duty, in_digest)
            case HandOver(in_digest):
                self.computations.hand_over(duty, in_digest)
            case Prove(in_digest):
                await self.computations.prove(duty, in_digest)

    def _refuse(self, duty: Duty, action: Action, error: InvalidInput) -> None:
        current = self.roster.current(duty)
        if current is None:
            return
        log.warning("refused", query=duty.key[0], attempt=duty.key[1], reason=_said(duty, error))
        self.metrics.refused.inc()
        if current.may_get_another_input and isinstance(action, Compute | Prove):
            refused = replace(current.computation(action.in_digest), is_refused=True)
            self.roster.update(current.having(refused))
        else:
            self.roster.end(duty, "refused")

    def _put_off(self, duty: Duty, error: Exception) -> None:
        if self.roster.current(duty) is not None:
            log.warning(
                "put off", query=duty.key[0], attempt=duty.key[1], reason=_said(duty, error)
            )
            self.roster.put_off(duty)


def _said(duty: Duty, error: Exception) -> str:
    """An error's words; of a sealed query only its kind, for words may hold values."""
    return type(error).__name__ if is_sealed(duty.query) else str(error)
