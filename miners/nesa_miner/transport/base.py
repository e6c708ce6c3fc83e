"""What every transport offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address

Handler = Callable[[bytes], Awaitable[None]]
"""Takes one envelope. Raises InvalidInput for what does not check out, ExhaustedResource or
Unavailable for what may be sent again."""


class Transport(Protocol):
    """Sends envelopes to signers and hands arriving ones to the handler it was made with."""

    async def send(self, receiver: Address, envelope: bytes) -> None:
        """Deliver once; the receiver took it when this returns.

        Raises:
            Unavailable: unknown receiver, no answer in time, or too busy; try again later.
            InvalidMessage: the receiver refused it, or it is over the size limit.
        """
        ...

    async def close(self) -> None:
        """Stop taking and sending."""
        ...


__all__ = ["ExhaustedResource", "Handler", "InvalidMessage", "Transport", "Unavailable"]
