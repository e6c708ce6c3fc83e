"""One bad member costs nobody but itself, and what goes wrong is said by its own name."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import ClientSession, web

from nesa.chain.anvil import free_port
from nesa.protocol.errors import Unavailable
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa_oracle.checks import Case
from nesa_oracle.evidence import (
    MOST_BODIES,
    MOST_CONNECTIONS,
    Found,
    Gathering,
    GatherPolicy,
    HttpEvidence,
    Request,
    evidence_session,
)
from nesa_oracle.observability import Metrics
from nesa_oracle.report import Report, agreed_report
from tests.oracle.cases import case_of, works_of
from tests.oracle.network import evidence_of

POLICY = GatherPolicy(grace=0.05, limit=30.0, wait=0.05, pause=0.001)


@dataclass(slots=True)
class Members:
    """Honest members, but for the one that answers at `http://a0` as the test says."""

    case: Case
    asked: int = 0
    longest: int = 0
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def fetch(self, request: Request, wait: float) -> bytes | None:
        if request.endpoint == "http://a0":
            self.asked += 1
            return await self.bad(request)
        await asyncio.sleep(0.2)
        return encode_evidence(self.honest(request.shard))

    async def bad(self, request: Request) -> bytes | None:
        raise AssertionError

    def honest(self, shard: int, absent: tuple[int, ...] = ()) -> ShardEvidence:
        work = works_of(self.case)[shard]
        return evidence_of(work, work.report(absent=absent))


class Failing(Members):
    async def bad(self, request: Request) -> bytes | None:
        raise ValueError("nobody thought of this")


class Endless(Members):
    """Always has something else to show, all of it signed by a quorum."""

    async def bad(self, request: Request) -> bytes | None:
        evidence = self.honest(0, absent=(3,))
        padding = bytes(next(self.numbers) + 1000)
        shown = ShardEvidence(
            evidence.round,
            evidence.in_digest,
            evidence.out_digest,
            evidence.commitments,
            evidence.results,
            tensors_out=(padding,),
        )
        return encode_evidence(shown)


class Twice(Members):
    """Shows its one result as two pieces of evidence."""

    async def bad(self, request: Request) -> bytes | None:
        return encode_evidence(self.honest(0), self.honest(0))


class Late(Members):
    """Shows evidence of another round's work first, then its own, of the same length."""

    async def fetch(self, request: Request, wait: float) -> bytes | None:
        own = encode_evidence(self.honest(request.shard))
        if request.shard == 1:
            return own
        if request.endpoint != "http://a0" or request.known == len(own):
            return None
        self.asked += 1
        work = works_of(self.case, round_=1)[0]
        foreign = evidence_of(work, replace(work.report(), round=0))
        return encode_evidence(foreign) if self.asked == 1 else own


async def gather(members: Members) -> Report:
    async def assemble(found: Found) -> Report | None:
        by_shard: dict[int, list[ShardEvidence]] = {0: [], 1: []}
        for (shard, _), pieces in found.items():
            by_shard[shard] += pieces
            for piece in pieces:
                members.longest = max([members.longest, *map(len, piece.tensors_out)])
        return agreed_report(members.case.query, by_shard)

    return await Gathering(members.case, members, POLICY, Metrics()).report(assemble)


@pytest.mark.parametrize("kind", [Failing, Endless])
async def test_a_bad_member_costs_nobody_else(kind: type[Members]) -> None:
    members = kind(case_of())
    report = await gather(members)
    assert report.paid == 8
    assert members.asked <= MOST_BODIES
    assert members.longest < 1000


async def test_a_committees_member_shows_one_piece_of_evidence_only() -> None:
    members = Twice(case_of())
    assert (await gather(members)).paid == 8
    assert members.asked > 1, "it was taken at the first try"


async def test_evidence_that_changes_without_growing_is_looked_at() -> None:
    """The only member that answers has not seen a reorganisation at first."""
    members = Late(case_of())
    assert (await gather(members)).paid == 8


async def test_what_stops_the_assembly_comes_through_as_it_is() -> None:
    async def assemble(_: Found) -> Report | None:
        raise Unavailable("the node does not answer")

    members = Members(case_of())
    with pytest.raises(Unavailable, match="the node"):
        await Gathering(members.case, members, POLICY, Metrics()).report(assemble)


@pytest.mark.parametrize(
    "endpoint",
    ["http://[", "http://", "", "http://:99999", "http://\\xff", "http://a\x00b", "ftp://x"],
)
async def test_an_endpoint_that_is_none_is_unavailable(endpoint: str) -> None:
    async with ClientSession() as session:
        with pytest.raises(Unavailable):
            await HttpEvidence(session, POLICY).fetch(Request(endpoint, 1, 0, 0), 0.05)


@contextlib.asynccontextmanager
async def member(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Endpoint of a member that answers like this."""
    application, port = web.Application(), free_port()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_members_that_keep_silent_do_not_delay_the_others() -> None:
    """More requests than the pool of a usual session has connections."""
    full = asyncio.Event()
    arrived = itertools.count(1)

    async def silence(_: web.Request) -> web.Response:
        if next(arrived) == MOST_CONNECTIONS:
            full.set()
        await asyncio.sleep(60)
        raise AssertionError

    async def speech(_: web.Request) -> web.Response:
        return web.Response(body=b"evidence")

    async with (
        member(silence) as silent,
        member(speech) as honest,
        evidence_session() as session,
    ):
        source = HttpEvidence(session, POLICY)
        asked = [
            asyncio.create_task(source.fetch(Request(silent, number, 0, 0), 60))
            for number in range(150)
        ]
        await full.wait()
        assert await source.fetch(Request(honest, 1, 0, 0), 5) == b"evidence"
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
