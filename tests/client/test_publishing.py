"""Where clients publish inputs that are too long for the chain."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.contracts import Order
from nesa.chain.events import QueryFulfilled
from nesa.client import publishing
from nesa.client.contents import delivered, published, require_carriable, require_local
from nesa.client.ordering import make_order, sealed_order
from nesa.client.publishing import ContentServer, FolderPublisher, UploadPublisher
from nesa.models.index import word
from nesa.privacy.sealing import seal_answer
from nesa.protocol.contents import content_name, decode_locator
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import (
    ExhaustedResource,
    InvalidConfiguration,
    InvalidInput,
    Unavailable,
)
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, VersionId
from nesa.protocol.messages import MAX_TENSOR_BYTES
from nesa.protocol.queries import Assurance, Privacy
from tests.chain.test_contents import right, serving
from tests.long_model import LENGTH, long_model
from tests.miner.committee_network import request_with

DATA = bytes(range(250)) * 20
KEY = bytes(range(32))


async def read(url: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.read()


async def test_a_folder_has_the_content_by_its_name(tmp_path: Path) -> None:
    publisher = FolderPublisher(tmp_path, "https://files.example/inputs/")
    (url,) = await publisher.publish(DATA)
    name = content_name(DATA).hex()
    assert url == f"https://files.example/inputs/{name}"
    assert (tmp_path / name).read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).stat().st_mode & 0o044 == 0o044
    await publisher.close()
    assert (tmp_path / name).exists()


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be written"):
        await FolderPublisher(tmp_path / "nowhere", "https://files.example").publish(DATA)


async def test_a_store_is_put_to_and_read_from() -> None:
    kept: dict[str, bytes] = {}

    async def put(request: web.Request) -> web.Response:
        kept[request.path] = await request.read()
        return web.Response(status=201)

    app = web.Application()
    app.router.add_put("/inputs/{name}", put)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    publisher = UploadPublisher(f"{base}/inputs")
    (url,) = await publisher.publish(DATA)
    await publisher.close()
    with pytest.raises(InvalidInput, match="status 404"):
        await UploadPublisher(f"{base}/other").publish(DATA)
    await runner.cleanup()
    assert url == f"{base}/inputs/{content_name(DATA).hex()}"
    assert list(kept.values()) == [DATA]
    with pytest.raises(Unavailable, match="did not take"):
        await publisher.publish(DATA)


async def test_what_is_served_is_there_until_the_end() -> None:
    server = ContentServer()
    (url,) = await server.publish(DATA)
    (other,) = await server.publish(DATA[1:])
    assert await read(url) == (200, DATA)
    assert await read(other) == (200, DATA[1:])
    assert (await read(url.rpartition("/")[0] + "/" + "0" * 64))[0] == 404
    await server.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await read(url)


async def test_a_server_may_be_known_by_another_url() -> None:
    server = ContentServer(url="https://client.example/inputs/")
    assert (await server.publish(DATA))[0].startswith("https://client.example/inputs/")
    await server.close()


async def test_a_taken_address_is_said() -> None:
    async with serving(right) as (url, _):
        server = ContentServer(port=int(url.rpartition(":")[2]))
        with pytest.raises(InvalidConfiguration, match="choose another address to serve inputs on"):
            await server.publish(DATA)
        await server.close()


async def test_a_server_holds_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MOST_SERVED_BYTES", 2 * len(DATA))
    server = ContentServer()
    urls = [(await server.publish(bytes([number]) + DATA[1:]))[0] for number in range(3)]
    assert [(await read(url))[0] for url in urls] == [404, 200, 200]
    with pytest.raises(ExhaustedResource, match="too long"):
        await server.publish(bytes(2 * len(DATA) + 1))
    await server.close()


EDGE = long_model().input_edge
MODEL = cast(
    Any, SimpleNamespace(version_id=VersionId(KEY), card=long_model().card, name="long-rows")
)
INPUT = bytes(LENGTH)


async def test_an_order_names_what_is_published() -> None:
    server = ContentServer()
    order, locator = await published(order_of(sealed=False), EDGE, INPUT, server)
    assert order.input_digest == boundary_digest([EDGE], [INPUT])
    (url,) = decode_locator(locator)
    assert await read(url) == (200, INPUT)
    await server.close()


async def test_of_a_sealed_input_the_ciphertext_is_published() -> None:
    server = ContentServer()
    sealed, ciphertext = sealed_order(order_of(sealed=True), MODEL, INPUT, KEY)
    order, locator = await published(sealed, EDGE, ciphertext, server)
    assert order.input_digest == sealed.input_digest != boundary_digest([EDGE], [INPUT])
    _, found = await read(decode_locator(locator)[0])
    assert found == ciphertext
    assert bytes(64) not in found
    await server.close()


def order_of(*, sealed: bool) -> Order:
    return make_order(MODEL, Assurance.AGREED, sealed, None)


def test_only_a_local_chain_reads_from_loopback() -> None:
    require_local(31337, LENGTH)
    with pytest.raises(InvalidConfiguration, match="--content-url"):
        require_local(1, LENGTH)


def test_what_members_cannot_hand_on_is_not_asked() -> None:
    require_carriable(long_model().card)
    wide = EdgeType(DType.INT8, (1, MAX_TENSOR_BYTES + 1), -127, 127)
    for name in ("input_type", "output_type"):
        card = long_model().card.model_copy(update={name: word(wide.pack())})
        with pytest.raises(InvalidInput, match=rf"the {'input' if 'in' in name else 'answer'} of"):
            require_carriable(card)


OUT = EdgeType(DType.INT8, (1, LENGTH), -127, 127)
ANSWER = bytes(range(100)) * 50


def answered(privacy: Privacy, name: bytes, *endpoints: str) -> tuple[Any, ...]:
    """The arguments of `delivered`; the last of the members at these endpoints was paid."""
    query = request_with(privacy, Digest(KEY), b"").query
    seats = tuple(
        Seat(number, Address("0x" + "11" * 20), Address("0x" + "22" * 20), endpoint, KEY)
        for number, endpoint in enumerate(endpoints)
    )
    shard = SimpleNamespace(paid=1 << (len(endpoints) - 1))
    event = SimpleNamespace(output=name, outcome=SimpleNamespace(shards=(shard, shard)))
    drawn = DrawnCommittees(query, ZERO_DIGEST, ((), seats), (), ((), ()))
    return query, OUT, cast(QueryFulfilled, event), drawn


async def keeping(request: web.Request) -> web.StreamResponse:
    return web.Response(body=ANSWER)


async def lying(request: web.Request) -> web.StreamResponse:
    return web.Response(body=ANSWER[:-1] + b"\1")


async def test_a_long_answer_is_fetched_and_compared() -> None:
    name = boundary_digest([OUT], [ANSWER])
    async with serving(keeping) as (good, asked), serving(lying) as (bad, lied):
        assert await delivered(*answered(Privacy.OPEN, name, good, bad)) == ANSWER
        assert len(lied) == len(asked) == 1
        with pytest.raises(Unavailable, match="other bytes than were reported"):
            await delivered(*answered(Privacy.OPEN, name, bad))
        with pytest.raises(Unavailable, match="other bytes"):
            await delivered(*answered(Privacy.OPEN, ANSWER[:32], good))


async def test_of_a_long_sealed_answer_the_ciphertext_is_fetched() -> None:
    sealed = seal_answer(KEY, VersionId(KEY), Digest(KEY), ANSWER)

    async def keeping(_: web.Request) -> web.StreamResponse:
        return web.Response(body=sealed)

    async with serving(keeping) as (url, _):
        assert await delivered(*answered(Privacy.SEALED, content_name(sealed), url)) == sealed
        with pytest.raises(Unavailable, match="other bytes"):
            await delivered(*answered(Privacy.SEALED, bytes(32), url))


async def test_a_short_answer_is_asked_of_nobody() -> None:
    query, _, event, drawn = answered(Privacy.OPEN, b"\1\2", "http://127.0.0.1:9")
    short = EdgeType(DType.INT8, (1, 2), -127, 127)
    assert await delivered(query, short, event, drawn) == b"\1\2"
