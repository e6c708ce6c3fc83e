"""A watchtower sees long inputs: from where they were published, else from who worked on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from nesa.chain.connection import Connection
from nesa.chain.contents import Wanted
from nesa.chain.history import QueryHistory
from nesa.privacy.sealing import input_digest, seal_input
from nesa.protocol.contents import encode_locator
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import NotEntitled, Unavailable
from nesa.protocol.ids import ZERO_DIGEST, Timestamp, VersionId
from nesa.protocol.queries import Outcome, Privacy
from nesa_miner.watchtower import requests
from nesa_miner.watchtower.cases import Unseen
from nesa_miner.watchtower.inspecting import inspect
from nesa_miner.watchtower.requests import RequestReader, as_it_is
from tests.miner.committee_network import (
    VERSION,
    MemoryLibrary,
    is_wanted,
    open_request,
    request_with,
)
from tests.miner.wide_model import wide_model

MODEL = wide_model(40_000, 8)
KEY = bytes(range(32))
URL, MEMBER = "https://client.example/input", "https://member.example"
REQUEST = replace(open_request(MODEL, 1), input=encode_locator([URL]))
INPUT = open_request(MODEL, 1).input
HISTORY = QueryHistory(REQUEST, REQUEST.query)


@dataclass
class Sources:
    """What is where, and how often anybody was asked."""

    found: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        return self._first(wanted, urls)

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        return self._first(wanted, endpoints)

    def _first(self, wanted: Wanted, sources: Sequence[str]) -> bytes:
        for source in sources:
            self.asked.append(source)
            if source in self.found and is_wanted(wanted, self.found[source]):
                return self.found[source]
        raise Unavailable("nowhere")


def reader(monkeypatch: pytest.MonkeyPatch, sources: Sources, key: bytes | None) -> RequestReader:
    async def drawn(*_: Any) -> Any:
        return SimpleNamespace(shards=((SimpleNamespace(endpoint=MEMBER),),))

    monkeypatch.setattr(requests, "drawn_for", drawn)
    return RequestReader(cast(Connection, None), MemoryLibrary(MODEL), sources, lambda _: key)


async def test_a_long_input_takes_the_place_of_its_locator(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Sources({URL: INPUT})
    reading = reader(monkeypatch, sources, None)
    for _ in range(2):
        assert (await reading.complete(HISTORY)).requested.input == INPUT
    assert sources.asked == [URL]  # once for both


async def test_members_have_what_is_not_published_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Sources({URL: bytes(len(INPUT)), MEMBER: INPUT})
    reading = reader(monkeypatch, sources, None)

    async def history(_: Any) -> QueryHistory:
        return HISTORY

    found = await reading.completing(history)(HISTORY.query.query_id)
    assert found.requested.input == INPUT
    assert sources.asked == [URL, MEMBER]


async def test_it_is_looked_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Sources()
    reading = reader(monkeypatch, sources, None)
    with pytest.raises(Unavailable):
        await reading.complete(HISTORY)
    sources.found[URL] = INPUT
    assert (await reading.complete(HISTORY)).requested.input == INPUT


async def test_what_has_no_locator_is_noted_as_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(HISTORY, requested=replace(REQUEST, input=b"nowhere"))
    found = await reader(monkeypatch, Sources(), None).complete(bare)
    assert found == bare
    outcome = Outcome(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, REQUEST.requester, Timestamp(0), ())
    said = await inspect(found, outcome, MemoryLibrary(MODEL))
    assert isinstance(said, Unseen)
    assert "its input cannot be used" in said.why


async def test_a_sealed_input_is_read_with_its_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = input_digest(KEY, boundary_digest([MODEL.input_edge], [INPUT]))
    asked = request_with(Privacy.SEALED, digest, encode_locator([URL]))
    history = QueryHistory(asked, asked.query)
    sources = Sources({URL: seal_input(KEY, VERSION, INPUT)})
    assert await reader(monkeypatch, sources, None).complete(history) == history
    assert sources.asked == []
    found = await reader(monkeypatch, sources, KEY).complete(history)
    assert found.requested.input == sources.found[URL]


async def test_a_private_version_is_left_to_its_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    class Private(MemoryLibrary):
        async def runner(self, version_id: VersionId, shard: int) -> NoReturn:
            raise NotEntitled("its weights are for its operators only")

    reading = replace(reader(monkeypatch, Sources(), None), library=Private(MODEL))
    assert await reading.complete(HISTORY) == HISTORY


async def test_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_KEPT", 1)
    others = [replace(open_request(MODEL, row), input=REQUEST.input) for row in (2, 1)]
    inputs = {row: open_request(MODEL, row).input for row in (2, 1)}
    sources = Sources({URL: INPUT, MEMBER: inputs[2]})
    reading = reader(monkeypatch, sources, None)
    await reading.complete(HISTORY)
    for other, row in zip(others, (2, 1), strict=True):
        found = await reading.complete(QueryHistory(other, other.query))
        assert found.requested.input == inputs[row]
    assert sources.asked == [URL, URL, MEMBER, URL]


async def test_what_has_nothing_but_the_chain_completes_nothing() -> None:
    assert await as_it_is(HISTORY) is HISTORY
