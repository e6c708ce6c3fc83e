"""Health, readiness, status and metrics over HTTP; nothing about single queries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from nesa.chain.listening import Listener, listening
from nesa.chain.status import PATH as STATUS_PATH
from nesa_oracle.observability import Metrics

Status = Callable[[], Mapping[str, Any]]
"""What an oracle says of itself, from JSON types only."""

STALE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Health:
    """When the chain was last read, for whoever asks whether this oracle is of use."""

    clock: Callable[[], float] = time.monotonic
    read_at: float | None = None
    is_following: bool = False
    problem: str = field(default="the chain was not read yet")

    def chain_was_read(self, *, is_following: bool) -> None:
        """A read of the chain went well."""
        self.read_at = self.clock()
        self.is_following = is_following
        self.problem = "" if is_following else "not caught up with the chain"

    def failed(self, reason: str) -> None:
        """A read of the chain failed."""
        self.problem = reason

    @property
    def is_ready(self) -> bool:
        """Whether the chain is followed."""
        if self.read_at is None or not self.is_following:
            return False
        return self.clock() - self.read_at < STALE_SECONDS


@asynccontextmanager
async def serving(
    host: str, port: int, health: Health, metrics: Metrics, status: Status
) -> AsyncIterator[None]:
    """Answer on `host`:`port` for the length of the context.

    Raises:
        InvalidConfiguration: somebody else listens there.
    """

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ready(_: web.Request) -> web.Response:
        if health.is_ready:
            return web.Response(text="ready")
        return web.Response(status=503, text=health.problem or "the node does not answer")

    async def series(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def described(_: web.Request) -> web.Response:
        return web.json_response({**status(), "problem": health.problem or None})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", series)
    app.router.add_get(STATUS_PATH, described)
    advice = "change port in the settings"
    async with listening(Listener(app, host, port, advice=advice)):
        yield
