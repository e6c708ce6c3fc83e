"""The credit example on processes: a contract decides by a proof about numbers it never sees."""

from __future__ import annotations

import asyncio
import csv
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from eth_account import Account

from examples.credit_decision import decide
from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.chain.history import find_query
from nesa.cli.demo.leaks import find, read_chain, read_files, spellings
from nesa.client.cards import encode_features
from nesa.client.following import read_committees
from nesa.devnet.deploying import compile_contracts
from nesa.devnet.layout import find_clone
from nesa.devnet.models import make_proving_keys
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.devnet.processes import Supervisor
from nesa.models.folder import load
from nesa.protocol.ids import Address, QueryId
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


async def drawn_provers(client: Client, printed: str) -> tuple[Address, set[Address]]:
    """Signers: who proved the answer to the query that a command asked, and all who were drawn for
    it, spares for a prover's absence too."""
    (number,) = re.findall(r"^query (\d+):", printed, re.MULTILINE)
    submitted = await client.find(QueryId(int(number)))
    committee = (await client.result(submitted)).committee
    (prover,) = [member.signer for member in committee if member.paid]
    history = await find_query(client.connection, submitted.query_id)
    assert history.fulfilled is not None
    seed_hash = history.fulfilled.outcome.seed
    (seats,) = (await read_committees(client.connection, submitted.query, seed_hash)).shards
    return prover, {seat.signer for seat in seats}


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
        provers = [await drawn_provers(client, printed) for printed in (first, second)]
    for secret, (prover, drawn) in zip(secrets, provers, strict=True):
        assert not find(secret, traces)
        journals = {one.signer: Insides.of(network, one).journal() for one in network.miners}
        readers = {signer for signer, journal in journals.items() if find(secret, journal)}
        # Spares get the content key too, before their turn.
        assert readers == drawn
        assert prover in drawn
        assert len(drawn) < len(network.miners)
