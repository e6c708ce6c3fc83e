"""Envelopes over HTTP: one POST each, bounded in size, time and number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

from nesa.chain.listening import Listener
from nesa.chain.web import read_bounded
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, MESSAGES_PATH
from nesa.protocol.errors import ExhaustedResource, InvalidInput, InvalidMessage, Unavailable
from nesa.protocol.ids import Address
from nesa_miner.transport.base import Handler

MOST_REASON_BYTES: Final = 512
CONTENT_TYPE: Final = "application/cbor"
EndpointOf = Callable[[Address], str | None]
"""The base URL that a signer has on chain, if any."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for one exchange; envelopes under way to one peer and waiting to be; envelopes under
    way from one and all addresses, and their bytes; connections that others may hold open here.
    """

    timeout: float = 5.0
    to_peer: int = 8
    waiting: int = 128
    from_peer: int = 16
    from_all: int = 64
    bytes_from_peer: int = 16 << 20
    bytes_from_all: int = 64 << 20
    connections: int = 512


def messages_url(endpoint: str) -> str:
    """Where a member with this endpoint takes envelopes."""
    return endpoint.rstrip("/") + MESSAGES_PATH


@dataclass(slots=True)
class HttpTransport:
    """Sends envelopes to the endpoints of signers. Use it inside one event loop; close it."""

    endpoint_of: EndpointOf
    limits: Limits = Limits()
    _session: aiohttp.ClientSession | None = None

    async def send(self, receiver: Address, envelope: bytes) -> None:
        """Deliver `envelope` once.

        Raises:
            Unavailable: unknown receiver, no proper answer in time, or too busy.
            InvalidMessage: the receiver refused it, or it is over the size limit.
        """
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise InvalidMessage(f"{len(envelope)} bytes are over the limit of an envelope")
        endpoint = self.endpoint_of(receiver)
        if endpoint is None:
            raise Unavailable(f"{receiver} has no endpoint")
        await self._post(receiver, messages_url(endpoint), envelope)

    async def _post(self, receiver: Address, url: str, envelope: bytes) -> None:
        headers = {"Content-Type": CONTENT_TYPE}
        try:
            async with self._open().post(
                url, data=envelope, headers=headers, allow_redirects=False
            ) as response:
                reason = await response.content.read(MOST_REASON_BYTES)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{receiver} does not answer: {type(error).__name__}") from error
        if status in (400, 413):
            raise InvalidMessage(f"{receiver} refused: {reason.decode(errors='replace')}")
        if status != 204:
            raise Unavailable(f"{receiver} answered with status {status}")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self.limits.timeout)
            # Peers share no limit: those who do not answer would take it all.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self.limits.to_peer),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


@dataclass(slots=True)
class MessagesEndpoint:
    """The handler of `POST /v1/messages`, to be added to a server's routes."""

    handler: Handler
    limits: Limits = Limits()
    _busy: dict[str, list[int]] = field(default_factory=dict)
    """Sizes of the envelopes that are under way, by address."""

    def routes(self) -> list[web.RouteDef]:
        """What to add to an application."""
        return [web.post(MESSAGES_PATH, self.receive)]

    async def receive(self, request: web.Request) -> web.Response:
        """Take one envelope: 204 taken, 400 refused, 413 too long, 429 or 503 try again later."""
        peer = request.remote or ""
        size = MAX_ENVELOPE_BYTES if request.content_length is None else request.content_length
        if size > MAX_ENVELOPE_BYTES:
            return web.Response(status=413, text="the envelope is over the size limit")
        limits, of_peer = self.limits, self._busy.get(peer, [])
        of_all = [held for sizes in self._busy.values() for held in sizes]
        if not _has_room(of_peer, size, limits.from_peer, limits.bytes_from_peer):
            return web.Response(status=429, text="too many envelopes at once")
        if not _has_room(of_all, size, limits.from_all, limits.bytes_from_all):
            return web.Response(status=503, text="too many envelopes at once")
        of_peer = self._busy.setdefault(peer, of_peer)
        of_peer.append(size)
        try:
            async with asyncio.timeout(self.limits.timeout):
                return await self._take(request)
        except TimeoutError:
            return web.Response(status=408, text="the envelope took too long")
        finally:
            of_peer.remove(size)
            if not of_peer:
                self._busy.pop(peer, None)

    async def _take(self, request: web.Request) -> web.Response:
        data = await read_bounded(request.content, MAX_ENVELOPE_BYTES)
        if data is None:
            return web.Response(status=413, text="the envelope is over the size limit")
        try:
            await self.handler(data)
        except InvalidInput as error:
            return web.Response(status=400, text=str(error)[:MOST_REASON_BYTES])
        except (ExhaustedResource, Unavailable):
            return web.Response(status=503, text="try again later")
        return web.Response(status=204)


def _has_room(sizes: Sequence[int], size: int, most: int, most_bytes: int) -> bool:
    """Whether one more envelope fits; one that says no size counts as the longest that there is."""
    return len(sizes) < most and sum(sizes) + size <= most_bytes


@dataclass(slots=True)
class HttpServer:
    """A server for one member. It binds to this machine alone unless told otherwise."""

    routes: list[web.RouteDef]
    host: str = "127.0.0.1"
    port: int = 0
    limits: Limits = Limits()
    _listener: Listener | None = None

    async def start(self) -> str:
        """Listen; returns the base URL.

        Raises:
            InvalidConfiguration: the address cannot be bound.
        """
        application = web.Application(client_max_size=MAX_ENVELOPE_BYTES)
        application.add_routes(self.routes)
        most, advice = self.limits.connections, "change host and port in the settings"
        self._listener = Listener(application, self.host, self.port, most, advice)
        return await self._listener.open()

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.close()
