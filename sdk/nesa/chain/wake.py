"""When to look at the chain again: after a pause, or at once when a node says that a block came.

What a WebSocket says is only ever a reason to look; what is true is read over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType

_RECONNECT_SECONDS = 5.0
_SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}


class Wake:
    """Ends a pause early when there is news. `listen` runs in the daemon's task group."""

    def __init__(self, poll: float, websocket_url: str | None = None) -> None:
        self._poll = poll
        self._websocket_url = websocket_url
        self._news = asyncio.Event()

    def now(self) -> None:
        """End the pause of whoever waits."""
        self._news.set()

    async def wait(self) -> None:
        """Pause for the polling interval, less when there is news."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), self._poll)
        self._news.clear()

    async def listen(self) -> None:
        """Follow the node's new heads for ever; returns at once without a WebSocket URL."""
        if self._websocket_url is None:
            return
        while True:
            with contextlib.suppress(ClientError, OSError, TimeoutError):
                await self._follow(self._websocket_url)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self, url: str) -> None:
        timeout = ClientTimeout(total=None, connect=_RECONNECT_SECONDS)
        async with (
            ClientSession(timeout=timeout) as session,
            session.ws_connect(url, heartbeat=20, max_msg_size=2**20) as socket,
        ):
            await socket.send_json(_SUBSCRIBE)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.now()
