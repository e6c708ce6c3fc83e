"""Sealed queries whose answers are proved, through real processes: the chain sees no input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa import ONE_NES, Client, Privacy
from nesa.chain.abi import ContractCall
from nesa.chain.connection import RpcPolicy
from nesa.chain.contracts import Order
from nesa.chain.events import QueryRequested, decode_event
from nesa.chain.history import find_query
from nesa.chain.sender import Receipt
from nesa.cli.demo.cast import Question
from nesa.cli.demo.leaks import find, read_chain
from nesa.cli.main import main
from nesa.client.results import plain_output
from nesa.devnet.deploying import compile_contracts
from nesa.devnet.examples import compile_contract, deploy_code
from nesa.devnet.layout import find_clone
from nesa.devnet.models import make_proving_keys
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.devnet.processes import Supervisor
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance, CallbackResult
from tests.end_to_end.test_queries import is_right

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.deep,
    pytest.mark.timeout(1200),
]

ROOT = Path(__file__).parents[2]
HASHED = ROOT / "models/hashed/breast-cancer-mlp-hashed"
HIDDEN = "breast-cancer-mlp-hidden"
CONSUMER = ROOT / "tests/contracts/harness/HostileConsumer.vy"
KIND, CALLBACK_GAS = 1, 100_000
ORDER_ABI = "(bytes32,uint256,uint256,uint256,uint256,uint256,bytes32)"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    """A network that serves the hashed model of the repository, and one that hides answers too."""
    clone, folder = find_clone(), tmp_path_factory.mktemp("sealed-proofs")
    hidden = folder / HIDDEN
    words = ["model", "circuits", str(ROOT / "models/breast-cancer-mlp"), "--output", str(hidden)]
    made = await asyncio.to_thread(main, [*words, "--kind", "hashed-answer", "--json"])
    assert made == 0
    models = (HASHED, hidden)
    await make_proving_keys(models, clone.proving_cache, print)
    async with Supervisor() as supervisor:
        await compile_contracts(supervisor, clone, folder / "compile.log")
    names = tuple(path.name for path in models)
    settings = DevnetSettings(folder / "devnet", oracles=1, seated=names, models=models)
    async with running_devnet(settings, print) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(network: Devnet) -> AsyncIterator[Client]:
    async with Client.connect(network.layout.network, policy=RpcPolicy(poll=0.1)) as connected:
        yield connected


async def consumer(network: Devnet, asker: Client) -> Address:
    """A contract with NES that asks what it is told and counts its answers."""
    deployer = network.foundation.people.deployer.account
    code = await compile_contract(find_clone(), CONSUMER)
    deployment = asker.connection.deployment
    market, token = deployment.market, asker.contracts.token.address
    types = ["address", "address"]
    address, _ = await deploy_code(asker.connection, deployer, code, types, [market, token])
    await asker.transfer(address, Amount(10 * ONE_NES))
    await send(asker, address, "behave(uint256)", encode(["uint256"], [KIND]))
    return address


async def send(asker: Client, contract: Address, function: str, arguments: bytes) -> Receipt:
    data = keccak(text=function)[:4] + arguments
    return await asker._send(ContractCall(contract, data, function))


async def test_a_contract_gets_a_proved_answer_about_what_nobody_sees(
    network: Devnet, asker: Client
) -> None:
    model = await asker.model(HASHED.name)
    question = Question.from_row(network.model(HASHED.name), 40)
    contract = await consumer(network, asker)
    sealed = await asker.seal(model, question.features, assurance="PROVED")
    order = Order(
        model.version_id,
        Assurance.PROVED,
        Privacy.SEALED,
        1,
        Amount(5 * ONE_NES),
        CALLBACK_GAS,
        sealed.input_digest,
    )
    arguments = encode([ORDER_ABI, "bytes"], [order.as_abi(), sealed.ciphertext])
    receipt = await send(asker, contract, f"ask({ORDER_ABI},bytes)", arguments)
    events = [decode_event(log) for log in receipt.logs]
    (requested,) = [event for event in events if isinstance(event, QueryRequested)]
    assert requested.requester == contract
    submitted = await asker.find(requested.query_id, content_key=sealed.content_key)
    answer = await asyncio.wait_for(asker.result(submitted), 120)
    assert is_right(answer, question)
    assert answer.callback is CallbackResult.SUCCEEDED
    seen = await read_chain(asker.connection)
    assert find({"answer": question.output}, seen)  # the decision, for the contract to act on
    assert not find({"input": question.input}, seen)
    for log in network.layout.logs.glob("*.log"):
        assert question.input.hex().encode() not in log.read_bytes()


async def test_an_answer_that_is_hidden_too_is_opened_by_its_client_only(
    network: Devnet, asker: Client
) -> None:
    model = await asker.model(HIDDEN)
    question = Question.from_row(network.model(HIDDEN), 41)
    submitted = await asker.submit(model, question.features, assurance="PROVED", privacy="sealed")
    answer = await asyncio.wait_for(asker.result(submitted), 120)
    assert is_right(answer, question)
    history = await find_query(asker.connection, submitted.query_id)
    assert history.fulfilled is not None
    output = history.fulfilled.output
    assert len(output) == 32 + 28 + len(question.output)
    assert plain_output(submitted, model.card, output) == question.output
    seen = await read_chain(asker.connection)
    assert not find({"input": question.input}, seen)
