"""Clients that publish long inputs for some, or something else than an input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from aiohttp import web

from nesa.chain.contents import ContentReader, Wanted, content_reader
from nesa_miner.agreement.terms import Timing
from tests.chain.test_contents import Handler, endless, serving, stalling
from tests.miner.committee_network import CommitteeNetwork, MemoryContents
from tests.miner.test_requests import LENGTH, WIDTH, input_of, long_request
from tests.miner.wide_model import wide_model

PATIENT = Timing(commit=5.0, lock=5.0, reveal=5.0)
"""A member that this machine holds up for a moment is in the set all the same."""


@dataclass(frozen=True)
class FromTheWeb:
    """Strangers' servers over real sockets, members in memory."""

    reader: ContentReader
    members: MemoryContents

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        """Notes who asked once all URLs have answered."""
        try:
            return await self.reader.published(wanted, urls)
        finally:
            me = self.members.miner.seat.signer
            self.members.network.asked += [(me, url) for url in urls]

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        return await self.members.kept(wanted, endpoints)


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    """Members that read from this machine too, as tests have no other."""
    made = CommitteeNetwork(tmp_path, wide_model(LENGTH * WIDTH, WIDTH))
    async with content_reader(allow_private=True, seconds=60.0) as reader:
        for number in range(4):
            made.kill(number)
            contents = FromTheWeb(reader, MemoryContents(made, made.miners[number]))
            made.start(number, contents=contents, timing=PATIENT)
        yield made
        await made.close()
    assert made.failures == []


def once(network: CommitteeNetwork) -> Handler:
    """Serves the input to whoever asks first, and to nobody else."""
    served: list[bool] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        if served:
            raise web.HTTPNotFound
        served.append(True)
        return web.Response(body=input_of(network))

    return answer


async def settled(network: CommitteeNetwork, *urls: str) -> None:
    network.tell(long_request(network, *urls))
    assert len(await network.settle(0, 4, seconds=60)) == 4


async def test_an_input_for_one_member_reaches_all(network: CommitteeNetwork) -> None:
    """A client serves its long input to a friend only, so that the others seem to do nothing and
    are not paid: whoever can commit hands it on by its digest, and all four are in the set."""
    async with serving(once(network)) as (url, asked):
        await settled(network, url)
    assert len(asked) >= 4


async def test_an_input_that_is_late_for_one_member_is_not(network: CommitteeNetwork) -> None:
    """A client keeps one member waiting for its long input, so that the set is made without it and
    the client has that slot's pay back: who waits asks the others meanwhile."""
    asked: list[bool] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(True)
        if len(asked) == 4:
            return await stalling(request)
        return web.Response(body=input_of(network))

    async with serving(answer) as (url, _):
        await settled(network, url)
    assert all(len(one.results) == 4 for one in network.evidence(0))


async def test_an_input_changed_for_some_is_noticed(network: CommitteeNetwork) -> None:
    """A client serves some members another input under the same URL, so that they commit to other
    outputs and are convicted: what does not have the request's digest is not run."""
    served: list[bytes] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        served.append(bytes(LENGTH) if len(served) % 2 else input_of(network))
        return web.Response(body=served[-1])

    async with serving(answer) as (url, _):
        await settled(network, url)
    assert len({one.out_digest for one in network.evidence(0)}) == 1


async def test_an_input_without_end_fills_no_memory(network: CommitteeNetwork) -> None:
    """A client's server sends for ever, to fill memory and to keep a member busy: the length of an
    input is known beforehand, and reading stops there."""
    async with serving(endless) as (url, _), serving(once(network)) as (good, _):
        await settled(network, url, good)


async def test_an_input_that_trickles_costs_its_share_of_time(network: CommitteeNetwork) -> None:
    """A client's server sends a byte now and then, so that a member waits until the deadline: a URL
    has seconds, and the next one is asked before they are over."""
    async with serving(stalling) as (url, _), serving(once(network)) as (good, _):
        await settled(network, url, good)


async def test_an_input_that_redirects_leads_nowhere(network: CommitteeNetwork) -> None:
    """A client's server sends members on to an address that only they can reach, to read or change
    what is there: redirects are not followed, and private addresses are not connected to."""

    async def secret(_: web.Request) -> web.StreamResponse:
        return web.Response(body=input_of(network))

    async with serving(secret) as (inside, asked):

        async def elsewhere(_: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(f"{inside}/latest/meta-data")

        async with serving(elsewhere) as (url, reached):
            network.tell(long_request(network, url))
            async with asyncio.timeout(60):
                while len({signer for signer, _ in network.asked}) < 4:
                    await asyncio.sleep(0.01)
            assert len(reached) >= 4
        assert asked == []
    assert network.evidence(0) == []
