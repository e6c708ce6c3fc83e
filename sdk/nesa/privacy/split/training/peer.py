"""The peer's side of split training: its layers, their steps, and nothing about the data.

What it may be sent is bounded, and so is what it holds: few trainings at once, one of each client,
one batch of each between forward and backward. Pure of network and keys; who asks was found out by
`nesa.privacy.split.training.sealed`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import numpy as np

from nesa.privacy.split.training.layers import (
    Learning,
    dense,
    optimiser,
    packed,
    require_torch,
    require_widths,
)
from nesa.privacy.split.training.wire import (
    MAX_VALUES_BYTES,
    SESSION_BYTES,
    Backward,
    Close,
    Closed,
    Fetch,
    Floats,
    Forward,
    Layers,
    Open,
    Opened,
    Reply,
    Request,
    Values,
    pack_rows,
    unpack_rows,
)
from nesa.protocol.errors import ExhaustedResource, InvalidInput, InvalidMessage
from nesa.protocol.ids import Address

MOST_SESSIONS: Final = 4
"""So many trainings at once."""
IDLE_SECONDS: Final = 600.0
"""After so long without a request a training makes room for others."""


@dataclass(slots=True)
class _Batch:
    """What a step was given and what came of it, with its gradient still to come."""

    step: int
    entered: Any
    left: Any


@dataclass(slots=True)
class _Session:
    name: bytes
    layers: Any
    optimiser: Any
    used_at: float
    batch: _Batch | None = None
    done: int = -1
    answer: Values | None = None
    """The last step that was made, and what was answered to it."""


@dataclass(slots=True)
class TrainingPeer:
    """Trains dense layers of `widths` for whoever holds those around them.

    `clock` counts seconds. Equal seeds and equal requests give equal layers on one machine.

    Raises:
        InvalidInput: widths that are none.
        InvalidConfiguration: torch is not installed.
    """

    widths: tuple[int, ...]
    learning: Learning
    clock: Callable[[], float]
    _sessions: dict[Address, _Session] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        require_torch()
        self.widths = require_widths(self.widths)

    def answer(self, client: Address, request: Request) -> Reply:
        """Do what `client` asks; the same backward step twice is made once.

        Raises:
            InvalidInput: a session, step or tensor that does not fit; nothing changed.
            ExhaustedResource: too many trainings at once.
        """
        match request:
            case Open(seed):
                return self._open(client, seed)
            case Forward():
                return self._forward(self._session(client, request.session), request)
            case Backward():
                return self._backward(self._session(client, request.session), request)
            case Fetch(session, offset):
                layers = packed(self._session(client, session).layers)
                return Layers(layers[offset : offset + MAX_VALUES_BYTES])
            case Close(session):
                return self._close(client, session)
            case _:
                assert_never(request)

    def _open(self, client: Address, seed: int) -> Opened:
        now = self.clock()
        self._sessions.pop(client, None)
        for other, held in list(self._sessions.items()):
            if now - held.used_at > IDLE_SECONDS:
                del self._sessions[other]
        if len(self._sessions) >= MOST_SESSIONS:
            raise ExhaustedResource(f"{MOST_SESSIONS} trainings are under way; try again later")
        name, layers = secrets.token_bytes(SESSION_BYTES), dense(self.widths, seed)
        self._sessions[client] = _Session(name, layers, optimiser(layers, self.learning), now)
        return Opened(name, self.widths)

    def _close(self, client: Address, name: bytes) -> Closed:
        held = self._sessions.get(client)
        if held is not None and held.name == name:
            del self._sessions[client]
        return Closed()

    def _session(self, client: Address, name: bytes) -> _Session:
        held = self._sessions.get(client)
        if held is None or held.name != name:
            raise InvalidInput("there is no such training here, or it was forgotten; begin anew")
        held.used_at = self.clock()
        return held

    def _forward(self, held: _Session, request: Forward) -> Values:
        import torch

        rows = unpack_rows(request.values, request.rows, self.widths[0])
        if request.step <= held.done:
            raise InvalidInput(f"step {request.step} was made already")
        entered = torch.from_numpy(rows).requires_grad_()
        left = held.layers(entered)
        reply = Values(_finite(left.detach()))
        held.batch = _Batch(request.step, entered, left)
        return reply

    def _backward(self, held: _Session, request: Backward) -> Values:
        import torch

        if request.step == held.done and held.answer is not None:
            return held.answer
        batch = held.batch
        if batch is None or batch.step != request.step:
            raise InvalidInput(f"step {request.step} has not gone forward")
        gradient = unpack_rows(request.values, len(batch.left), self.widths[-1])
        held.optimiser.zero_grad()
        # The batch is kept where this fails: autograd would not go through it twice.
        (back, *steps) = torch.autograd.grad(
            batch.left,
            [batch.entered, *held.layers.parameters()],
            torch.from_numpy(gradient),
            retain_graph=True,
        )
        answer = Values(_finite(back))
        for parameter, step in zip(held.layers.parameters(), steps, strict=True):
            parameter.grad = step
        held.optimiser.step()
        held.batch, held.done, held.answer = None, request.step, answer
        return answer


def _finite(values: Any) -> bytes:
    rows: Floats = values.numpy()
    if not np.isfinite(rows).all():
        raise InvalidMessage(
            "the peer's layers no longer give finite numbers; begin anew with smaller steps"
        )
    return pack_rows(rows)
