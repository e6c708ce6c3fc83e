"""What was paid for is not lost when the wait for it is interrupted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from nesa import Client, InvalidInput, QueryExpired, SubmittedQuery, Unavailable
from nesa.chain.connection import RpcPolicy
from nesa.cli.main import main
from nesa.cli.resuming import keeping, key_file, read_content_key
from nesa.protocol.ids import Digest
from tests.oracle.cases import query_with
from tests.standing_network import StandingNetwork

KEY = bytes(range(32))
SEALED = SubmittedQuery(query_with(), Digest(b"\1" * 32), None, KEY)
FILE = key_file(SEALED.query_id)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("error", [Unavailable("away"), KeyboardInterrupt()], ids=repr)
def test_the_content_key_is_kept_for_its_owner_alone(error: BaseException) -> None:
    with pytest.raises(type(error)), keeping(SEALED):
        raise error
    assert read_content_key(FILE) == KEY
    assert FILE.stat().st_mode & 0o777 == 0o600


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), keeping(SEALED):
        raise KeyboardInterrupt
    assert f"`nesa answer 7 --content-key {FILE}`" in capsys.readouterr().err


def test_no_key_is_kept_of_what_is_over() -> None:
    with pytest.raises(QueryExpired), keeping(SEALED):
        raise QueryExpired("too late")
    with keeping(SEALED):
        pass
    assert not FILE.exists()


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "é"])
def test_what_is_no_key_is_refused(content: str) -> None:
    FILE.write_text(content)
    with pytest.raises(InvalidInput, match=str(FILE)):
        read_content_key(FILE)


async def test_a_query_without_an_answer_is_named_in_json(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = ",".join(["1"] * 30)
    command = ["query", "breast-cancer-mlp", numbers, "--network", str(network.file), "--json"]
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
        market = client.contracts.market
        before = await market.last_query_id("latest")
        asking = asyncio.create_task(asyncio.to_thread(main, command))
        async with asyncio.timeout(30):
            while (number := await market.last_query_id("latest")) == before:
                await asyncio.sleep(0.02)
        await client.connection.request("evm_increaseTime", 61)
        await client.connection.request("evm_mine")
        assert await asking == 1
    found = json.loads(capsys.readouterr().out)["error"]
    assert (found["kind"], found["query"]) == ("QueryExpired", number)
    assert found["resume"] == f"nesa watch {number} --refund"
