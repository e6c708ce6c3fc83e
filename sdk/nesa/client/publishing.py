"""Where a client publishes inputs that are too long for the chain.

What is published is what a short request would carry: the input tensor of an open query, only
ciphertext of a sealed one. Members check it against the digest in the request.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from aiohttp import web

from nesa.chain.connection import redacted
from nesa.chain.listening import Listener
from nesa.protocol.contents import content_name
from nesa.protocol.errors import ExhaustedResource, InvalidConfiguration, InvalidInput, Unavailable

MOST_SERVED_BYTES: Final = 64 << 20
MOST_CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 10.0
UPLOAD_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
LOOPBACK: Final = "127.0.0.1"


class Publisher(Protocol):
    """A place that members can read from."""

    async def publish(self, data: bytes) -> tuple[str, ...]:
        """Publish bytes; returns the URLs that they are at."""

    async def close(self) -> None:
        """Stop publishing what ends with the client."""


@dataclass(frozen=True, slots=True)
class FolderPublisher:
    """Writes into a folder that a web server publishes under `url`; nothing is ever removed."""

    folder: Path
    url: str

    async def publish(self, data: bytes) -> tuple[str, ...]:
        """See `Publisher`.

        Raises:
            InvalidConfiguration: the folder cannot be written to.
        """
        name = content_name(data).hex()
        try:
            await asyncio.to_thread(_write, self.folder / name, data)
        except OSError as error:
            raise InvalidConfiguration(
                f"the input cannot be written to {self.folder}: {error.strerror}; make the folder "
                "or some room in it"
            ) from error
        return (_below(self.url, name),)

    async def close(self) -> None:
        """What was written stays."""


@dataclass(frozen=True, slots=True)
class UploadPublisher:
    """Uploads with HTTP PUT to a store that hands out with GET what it was given."""

    url: str

    async def publish(self, data: bytes) -> tuple[str, ...]:
        """See `Publisher`.

        Raises:
            InvalidInput: the store refuses.
            Unavailable: it does not answer.
        """
        url = _below(self.url, content_name(data).hex())
        try:
            async with (
                aiohttp.ClientSession(timeout=UPLOAD_TIMEOUT) as session,
                session.put(url, data=data, allow_redirects=False) as response,
            ):
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            said = f"the store {redacted(self.url)} did not take the input: {type(error).__name__}"
            raise Unavailable(said) from error
        if status not in (200, 201, 204):
            raise InvalidInput(f"the store {redacted(self.url)} refused the input: status {status}")
        return (url,)

    async def close(self) -> None:
        """What was uploaded stays."""


class ContentServer:
    """Serves on an address of this machine until the client is closed.

    `url` is how members reach it, by default the address itself. What exceeds 64 MiB in all pushes
    out what was published first.
    """

    def __init__(self, host: str = LOOPBACK, port: int = 0, url: str | None = None) -> None:
        self._url = url
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        app = web.Application(client_max_size=1024)
        app.router.add_get("/{name}", self._answer)
        advice = "choose another address to serve inputs on"
        self._listener = Listener(app, host, port, advice=advice)
        self._bound: str | None = None
        self._starting = asyncio.Lock()

    async def publish(self, data: bytes) -> tuple[str, ...]:
        """See `Publisher`.

        Raises:
            ExhaustedResource: it is longer than everything that is served may be.
            InvalidConfiguration: somebody else listens there.
        """
        if len(data) > MOST_SERVED_BYTES:
            raise ExhaustedResource(f"an input of {len(data)} bytes is too long to be served")
        async with self._starting:
            if self._bound is None:
                self._bound = await self._listener.open()
        name = content_name(data).hex()
        self._contents[name] = data
        self._contents.move_to_end(name)
        while sum(map(len, self._contents.values())) > MOST_SERVED_BYTES:
            self._contents.popitem(last=False)
        return (_below(self._url or self._bound, name),)

    async def close(self) -> None:
        """Stop listening, and forget."""
        await self._listener.close()
        self._bound = None
        self._contents.clear()

    async def _answer(self, request: web.Request) -> web.Response:
        data = self._contents.get(request.match_info["name"])
        if data is None:
            return web.Response(status=404, text="nothing of this name is served here")
        return web.Response(body=data, content_type="application/octet-stream")


def _below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _write(path: Path, data: bytes) -> None:
    """A file that is whole or not there, and that a web server may read."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
