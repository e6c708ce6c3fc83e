"""Inputs and answers that are too long for the chain, through real processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from nesa import Client, Rejected
from nesa.chain.connection import RpcPolicy
from nesa.chain.history import find_query
from nesa.client.publishing import ContentServer
from nesa.devnet.models import PublishedModel, publish
from nesa.devnet.network import COMMITTEE, Devnet
from nesa.devnet.operators import Operator, Seat
from nesa.models.folder import save
from nesa.models.reference import run
from nesa.protocol.commitments import quorum
from nesa.protocol.contents import decode_locator
from nesa.protocol.digests import boundary_digest
from tests.end_to_end.processes import until
from tests.long_model import LENGTH, NAME, long_model

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]

QUICK = RpcPolicy(poll=0.1)


@dataclass
class Recorder:
    """Publishes from this process, and remembers what."""

    server: ContentServer = field(default_factory=ContentServer)
    published: list[bytes] = field(default_factory=list)

    async def publish(self, data: bytes) -> tuple[str, ...]:
        self.published.append(data)
        return ("http://127.0.0.1:9/nobody-listens", *await self.server.publish(data))

    async def close(self) -> None:
        await self.server.close()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def served(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> PublishedModel:
    """Registered, and loaded by every member of a committee."""
    folder = tmp_path_factory.mktemp("long") / NAME
    save(long_model(), folder)
    key = devnet.foundation.people.developer.files
    async with Client.connect(devnet.layout.network, key=key, policy=QUICK) as developer:
        made = await publish(developer.developer(), folder, devnet.layout.store)
    committee = devnet.miners[:COMMITTEE]
    for miner in committee:
        await devnet.founder.register(miner, Seat(made, 0))
    version = made.version_id.hex()

    def is_ready(miner: Operator) -> bool:
        log = devnet.layout.log(miner.name).read_text("utf-8", "replace")
        return any("shard ready" in line and version in line for line in log.splitlines())

    await until(lambda: all(map(is_ready, committee)))
    await seats_begin(devnet, f"0x{version}")
    return made


async def seats_begin(devnet: Devnet, version: str) -> None:
    """Returns in the epoch in which the committee can be drawn."""
    async with asyncio.timeout(240), Client.connect(devnet.layout.network) as client:
        while True:
            with contextlib.suppress(Rejected):
                await client.quote(version)
                return
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
async def test_a_long_query_is_answered(
    devnet: Devnet, served: PublishedModel, sealed: bool
) -> None:
    model, recorder = served.model, Recorder()
    row = np.random.default_rng(sealed).integers(0, 256, LENGTH)
    data = model.input_edge.encode(row.reshape(model.input_edge.shape))
    async with Client.connect(devnet.layout.network, policy=QUICK, publisher=recorder) as client:
        name = f"0x{served.version_id.hex()}"
        submitted = await client.submit(name, row, privacy="sealed" if sealed else "open")
        answer = await client.result(submitted)
        history = await find_query(client.connection, submitted.query_id)
    assert model.output_edge.encode(answer.output.integers) == run(model.table, (data,))[0]
    (carried,) = recorder.published
    assert (carried == data) is not sealed
    assert data[:32] not in history.requested.input
    assert len(decode_locator(history.requested.input)) == 2
    assert history.fulfilled is not None
    assert len(history.fulfilled.output) == 32
    plain = boundary_digest([model.input_edge], [data])
    assert (history.query.input_digest == plain) is not sealed
    # Who commits late on a busy machine is in no set, and unpaid.
    assert sum(member.paid for member in answer.committee) >= quorum(COMMITTEE)


async def test_the_command_serves_the_input_while_it_waits(
    devnet: Devnet, served: PublishedModel, tmp_path: Path
) -> None:
    row = np.random.default_rng(9).integers(0, 256, LENGTH)
    given = tmp_path / "row.json"
    given.write_text(json.dumps(row.tolist()))
    words = ["query", f"0x{served.version_id.hex()}", str(given), "--sealed", "--json"]
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nesa.cli.main", *words, "--network", str(devnet.layout.network),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, said = await asked.communicate()
    assert asked.returncode == 0, said.decode()
    model = served.model
    data = model.input_edge.encode(row.reshape(model.input_edge.shape))
    expected = model.output_edge.decode(run(model.table, (data,))[0])
    shown = json.loads(printed)["answer"]["output"]
    assert np.array(shown["integers"]).reshape(-1).tolist() == expected.reshape(-1).tolist()
