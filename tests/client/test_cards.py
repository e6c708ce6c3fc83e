"""Cards are read from where strangers say they are, and no stranger gets more than that."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from nesa import Client, IntegrityError, InvalidModel, Model, Unavailable
from nesa.client import cards
from nesa.client.cards import read_store
from nesa.protocol.digests import bytes_root
from tests.client.conftest import MLP
from tests.client.strangers import chain_put_back, register_anything
from tests.standing_network import StandingNetwork

CARD = b"anything"
NAME = bytes_root(CARD).hex()
OTHER = bytes(32).hex()


@pytest.fixture
async def store() -> AsyncIterator[str]:
    """URL of a store with one file."""

    async def get(request: web.Request) -> web.Response:
        too_long = bytes(cards.MAX_INDEX_BYTES * 2)
        bodies = {NAME: CARD, OTHER: b"something else"}
        return web.Response(body=bodies.get(request.match_info["name"], too_long))

    app = web.Application()
    app.router.add_get("/{name}", get)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_url_a_path_and_a_file_url_are_read(store: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CARD)
    for base in (store, str(tmp_path), f"file://{tmp_path}"):
        assert await read_store(f"{base}/{NAME}") == CARD


@pytest.mark.parametrize(
    "location",
    [
        f"reference://a::file:///tmp/{NAME}",
        f"file:///tmp/x::/{NAME}",
        f"memory://{NAME}",
        f"simplecache::http://127.0.0.1/{NAME}",
        f"ftp://127.0.0.1/{NAME}",
        "http://127.0.0.1/card.json",
    ],
)
async def test_other_kinds_of_locations_are_refused(location: str) -> None:
    with pytest.raises(InvalidModel):
        await read_store(location)


async def test_nothing_but_the_named_bytes_is_taken(store: str, tmp_path: Path) -> None:
    (tmp_path / OTHER).write_bytes(CARD)
    for base in (store, str(tmp_path)):
        with pytest.raises(IntegrityError):
            await read_store(f"{base}/{OTHER}")


async def test_what_is_longer_than_any_index_is_refused(store: str) -> None:
    with pytest.raises(Unavailable, match="more than"):
        await read_store(f"{store}/{'11' * 32}")


async def test_what_is_no_file_is_unavailable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    for base in ("http://127.0.0.1:9", "http://[", "http://", str(tmp_path), "/nowhere"):
        with pytest.raises(Unavailable):
            await read_store(f"{base}/{NAME}")


@pytest.mark.parametrize("location", [f"/nowhere/{NAME}", f"memory://{NAME}", "nothing"])
async def test_a_model_without_a_card_hides_no_other(
    client: Client, network: StandingNetwork, location: str
) -> None:
    async with chain_put_back(client):
        await register_anything(client, network.network, "broken", location)
        with pytest.warns(UserWarning, match="model broken is left out"):
            found = await client.models()
    assert {model.name for model in found} == set(network.registered)


async def test_a_model_may_be_asked_by_its_name(client: Client, model: Model) -> None:
    assert await client.quote(MLP) == await client.quote(model)
