"""What a miner answers over HTTP: evidence of its work and its seat, long tensors, health, metrics
and status.

Envelopes come in through the transport's route on the same port. Nothing here shows what a sealed
query hides, and every answer is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from nesa.privacy.attested.evidence import SEAT_EVIDENCE_PATH
from nesa.privacy.keys import public_bytes
from nesa.protocol.contents import CONTENT_PATH
from nesa.protocol.errors import InvalidInput
from nesa.protocol.evidence import EVIDENCE_PATH, decode_evidence, encode_evidence
from nesa.protocol.ids import Digest
from nesa_miner.contents import kept_content
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from nesa_miner.seat_evidence import kept_evidence
from nesa_miner.shards import ShardKey

CBOR: Final = "application/cbor"
MOST_HANDED_OUT: Final = 8
"""Long tensors that are made ready at once, so that strangers cost no deadline."""

NAME_BYTES: Final = 32
FAULTS_PATH: Final = "/v1/faults/{query_id}/{attempt}"
LONGEST_WAIT: Final = 10.0
"""Seconds that a request for evidence may wait for it."""

MOST_WAITING: Final = 256
"""Requests that wait at once; one more is answered with what there is."""

log = structlog.get_logger("nesa_miner")


class Routes:
    """Read-only routes over one engine; `cold` are the shards that it cannot use yet, and
    `seat_evidence` the file of the quote that its operator gave it."""

    def __init__(
        self,
        engine: Engine,
        cold: Collection[ShardKey] = (),
        seat_evidence: Path | None = None,
    ) -> None:
        self._engine = engine
        self._cold = cold
        self._seat_evidence = seat_evidence
        self._waiting = 0
        self._handing_out = 0

    def routes(self) -> list[web.RouteDef]:
        """What to add to a server."""
        return [
            web.get(EVIDENCE_PATH, self.evidence),
            web.get(FAULTS_PATH, self.faults),
            web.get(CONTENT_PATH, self.content),
            web.get(SEAT_EVIDENCE_PATH, self.seat_evidence),
            web.get("/v1/status", self.status),
            web.get("/v1/observed", self.observed),
            web.get("/healthz", self.health),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def evidence(self, request: web.Request) -> web.Response:
        """Evidence of a shard; with `?wait=SECONDS` as soon as there is some, or more of it.

        `?size=BYTES` says what the caller has already: only other evidence counts as new.
        """
        try:
            numbers = [int(request.match_info[name]) for name in ("query_id", "attempt", "shard")]
            wait = min(float(request.query.get("wait", "0")), LONGEST_WAIT)
            known = int(request.query.get("size", "-1"))
        except ValueError:
            return web.Response(status=400, text="query, attempt, shard and wait are numbers")
        if not all(0 <= number < 1 << 63 for number in numbers):
            return web.Response(status=400, text="numbers are out of range")
        body = await self._await_evidence(JobKey((numbers[0], numbers[1])), numbers[2], wait, known)
        if body is None:
            return web.Response(status=404, text="no evidence of this shard here")
        return web.Response(body=body, content_type=CBOR)

    async def _await_evidence(
        self, key: JobKey, shard: int, wait: float, known: int
    ) -> bytes | None:
        """Every settlement wakes everybody who waits: only what has changed is read again."""
        journal = self._engine.around.journal
        body, size = None, 0

        def is_new() -> bool:
            nonlocal body, size
            stored = journal.evidence_size(key, shard)
            if stored != size:
                body, size = joined(journal.evidence(key, shard)), stored
            return body is not None and len(body) != known

        if wait > 0 and self._waiting < MOST_WAITING:
            changed = self._engine.evidence_changed
            self._waiting += 1
            try:
                async with asyncio.timeout(wait), changed:
                    await changed.wait_for(is_new)
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        is_new()
        return body

    async def seat_evidence(self, _: web.Request) -> web.Response:
        """The quote of this miner's enclave, for attestors; read anew, as quotes age."""
        found = None
        try:
            if self._seat_evidence is not None:
                found = await asyncio.to_thread(kept_evidence, self._seat_evidence)
        except InvalidInput as error:
            log.warning("no evidence of the seat", why=str(error))
            return web.Response(status=503, text="the evidence of this seat cannot be read")
        if found is None:
            return web.Response(status=404, text="this miner was given no quote of an enclave")
        return web.Response(body=found, content_type="application/json")

    async def faults(self, request: web.Request) -> web.Response:
        """Who was wrong in an attempt, each with the signatures that convict it."""
        try:
            numbers = [int(request.match_info[name]) for name in ("query_id", "attempt")]
        except ValueError:
            return web.Response(status=400, text="query and attempt are numbers")
        if not all(0 <= number < 1 << 63 for number in numbers):
            return web.Response(status=400, text="numbers are out of range")
        found = self._engine.around.journal.faults(JobKey((numbers[0], numbers[1])))
        return web.json_response(
            [{**asdict(fault), "body": f"0x{fault.body.hex()}"} for fault in found]
        )

    async def content(self, request: web.Request) -> web.Response:
        """A long input or answer of a query by what the chain says that it goes by."""
        try:
            query_id = int(request.match_info["query_id"])
            name = bytes.fromhex(request.match_info["name"])
        except ValueError:
            return web.Response(status=400, text="the query is a number, the name hexadecimal")
        if not 0 <= query_id < 1 << 63 or len(name) != NAME_BYTES:
            return web.Response(status=400, text="the number or the name is out of range")
        if self._handing_out >= MOST_HANDED_OUT:
            return web.Response(status=503, text="too many ask at the moment")
        found = kept_content(self._engine.around, query_id, Digest(name))
        if found is None:
            return web.Response(status=404, text="no such content of this query here")
        self._handing_out += 1
        try:
            body = await asyncio.to_thread(found)
        finally:
            self._handing_out -= 1
        return web.Response(body=body, content_type="application/octet-stream")

    async def status(self, _: web.Request) -> web.Response:
        """Head, address and encryption key, the attempts and disputes under way, and summonses of
        the last day."""
        engine = self._engine
        duties = [
            {
                "query": duty.key[0],
                "attempt": duty.key[1],
                "shard": None if duty.place is None else duty.place.shard,
                "settled": duty.is_settled,
            }
            for duty in engine.duties.values()
        ]
        disputes = [] if engine.disputes is None else engine.disputes.summary()
        return web.json_response(
            {
                "signer": engine.around.identity.address,
                "encryption_key": f"0x{public_bytes(engine.around.identity.encryption).hex()}",
                "head": engine.head,
                "duties": duties,
                "disputes": disputes,
                "summonses": None if engine.summonses is None else engine.summonses.summary(),
            }
        )

    async def observed(self, _: web.Request) -> web.Response:
        """How long the members of this miner's committees take, for `nesa model plan`."""
        shards = [
            {
                "file_digest": f"0x{shard.hex()}",
                "peers": [{"signer": peer, "seconds": runs} for peer, runs in peers.items()],
            }
            for shard, peers in self._engine.around.observed.seconds.items()
        ]
        return web.json_response({"shards": shards})

    async def health(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="ok")

    async def ready(self, _: web.Request) -> web.Response:
        """The chain is followed and the shard of every seat can be used."""
        if not self._engine.is_following:
            return web.Response(status=503, text="not caught up with the chain")
        if self._cold:
            names = [f"shard {shard} of 0x{version.hex()}" for version, shard in sorted(self._cold)]
            return web.Response(status=503, text=f"not usable yet: {', '.join(names)}")
        return web.Response(text="ready")

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text format."""
        metrics = self._engine.around.metrics
        metrics.head.set(self._engine.head)
        metrics.duties.set(len(self._engine.duties))
        metrics.show_peers(self._engine.around.observed)
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def joined(pieces: Sequence[bytes]) -> bytes | None:
    """One body of several pieces of evidence, as it is stored when there is only one."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else None
    return encode_evidence(*map(decode_evidence, pieces))
