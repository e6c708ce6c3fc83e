"""HTTP in front of a miner's sessions: bounded in size and time, few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from nesa.chain.listening import status_of
from nesa.chain.web import read_bounded
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, SESSIONS_PATH
from nesa.protocol.errors import NesaError
from nesa_miner.transport.http import CONTENT_TYPE, MOST_REASON_BYTES

BODY_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 60.0
"""The first request of a product may have to load it."""

MOST_HELD: Final = 32
"""Envelopes that are read or worked on at once: they take up to as many times their limit."""

Answer = Callable[[bytes], Awaitable[bytes]]
"""See `SessionService.answer`."""


@dataclass(slots=True)
class SessionsEndpoint:
    """The handler of `POST /v1/sessions`, to be added to a server's routes."""

    answer: Answer
    _held: int = 0

    def routes(self) -> list[web.RouteDef]:
        """What to add to an application."""
        return [web.post(SESSIONS_PATH, self.receive)]

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one envelope: 200 with the reply, 400 refused, 403 not paid or not the payer,
        413 too long, 503 try again later."""
        if (request.content_length or 0) > MAX_ENVELOPE_BYTES:
            return web.Response(status=413, text="the envelope is over the size limit")
        if self._held >= MOST_HELD:
            return web.Response(status=503, text="too many envelopes at once")
        self._held += 1
        try:
            return await self._take(request)
        finally:
            self._held -= 1

    async def _take(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                data = await read_bounded(request.content, MAX_ENVELOPE_BYTES)
            if data is None:
                return web.Response(status=413, text="the envelope is over the size limit")
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await self.answer(data)
        except TimeoutError:
            return web.Response(status=503, text="it took too long")
        except NesaError as error:
            return web.Response(status=status_of(error), text=str(error)[:MOST_REASON_BYTES])
        return web.Response(body=body, content_type=CONTENT_TYPE)
