"""The HTTP under a connection: one session, whose requests can be cancelled and whose answers are
bounded."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import ClientSession, TCPConnector
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from nesa.chain.web import read_bounded

MAX_ANSWER: Final = 64 * 2**20
"""Bytes of one answer. Logs of many blocks are longest, and can be asked for in smaller spans."""


class TooLong(Exception):
    """The node's answer has more than MAX_ANSWER bytes."""


class CancellableProvider(AsyncHTTPProvider):
    """A provider for one event loop that takes no lock.

    web3's own takes one that all providers of the process share, on another thread, for every
    request; a task that is cancelled while it waits leaves it taken, and from then on no request
    of the process is sent.
    """

    def __init__(self, rpc_url: str, **request: Any) -> None:
        super().__init__(rpc_url, request, exception_retry_configuration=None)
        self._session: ClientSession | None = None

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        if self._session is None:
            # A connection that the node has closed meanwhile would lose the request.
            connector = TCPConnector(force_close=True)
            self._session = ClientSession(connector=connector, raise_for_status=True)
        request = self._session.post(
            str(self.endpoint_uri), data=request_data, **self.get_request_kwargs()
        )
        async with request as response:
            answer = await read_bounded(response.content, MAX_ANSWER)
        if answer is None:
            raise TooLong
        return answer

    async def disconnect(self) -> None:
        """Close the session; the next request opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
