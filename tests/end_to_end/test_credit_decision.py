"""The credit example on processes: a contract decides by a proof about numbers it never sees."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from eth_account import Account

from examples.credit_decision import decide
from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.cli.demo.leaks import find, read_chain, read_files, spellings
from nesa.client.cards import encode_features
from nesa.devnet.deploying import compile_contracts
from nesa.devnet.layout import find_clone
from nesa.devnet.models import make_proving_keys
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.devnet.processes import Supervisor
from nesa.models.folder import load
from tests.end_to_end.insides import Insides

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.deep,
    pytest.mark.timeout(1200),
]

MODEL = Path(__file__).parents[2] / "models/hashed" / decide.MODEL


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    clone, folder = find_clone(), tmp_path_factory.mktemp("credit")
    await make_proving_keys((MODEL,), clone.proving_cache, print)
    async with Supervisor() as supervisor:
        await compile_contracts(supervisor, clone, folder / "compile.log")
    settings = DevnetSettings(folder / "devnet", oracles=1, seated=(decide.MODEL,), models=(MODEL,))
    async with running_devnet(settings, print) as running:
        yield running


async def said(network: Devnet, *words: str) -> str:
    """What the command prints."""
    command = (sys.executable, decide.__file__, "--network", str(network.layout.network), *words)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, complaint.decode()[-2000:]
    return out.decode()


def numbers_of(path: Path) -> list[float]:
    """The one row of an applicant's file, in the order of the model's features."""
    with path.open(newline="") as file:
        _, row = csv.reader(file)
    return [float(number) for number in row]


def secrets_of(path: Path) -> dict[str, bytes]:
    """An applicant's numbers in all spellings."""
    model = load(MODEL)
    data = encode_features(model.card, numbers_of(path))
    return spellings(data, model.input_edge.decode(data))


async def test_a_desk_lends_by_a_proof_and_nobody_sees_the_numbers(network: Devnet) -> None:
    indebted = decide.APPLICANT.with_name("indebted.csv")
    granted, refused = (Account.create().address for _ in range(2))
    first = await said(network, "--borrower", granted)
    assert f"the desk says of {granted}: granted" in first
    desk = first.split()[1]
    second = await said(network, str(indebted), "--borrower", refused, "--desk", desk)
    assert f"the desk says of {refused}: refused" in second

    secrets = [secrets_of(path) for path in (decide.APPLICANT, indebted)]
    async with Client.connect(network.layout.network, policy=RpcPolicy(poll=0.1)) as client:
        places = [network.layout.logs, *(miner.folder for miner in network.miners)]
        traces = (*await read_chain(client.connection), *read_files(places))
    for secret in secrets:
        assert not find(secret, traces)
        journals = {one.name: Insides.of(network, one).journal() for one in network.miners}
        readers = [name for name, journal in journals.items() if find(secret, list(journal))]
        # Who was drawn to prove, and a spare where that was slow; the search can find it.
        assert 1 <= len(readers) <= 2 < len(network.miners)
