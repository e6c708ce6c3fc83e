"""The search example on processes: documents become vectors, and leave no trace with the miners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from examples.knowledge_base import search
from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.cli.demo.leaks import find, read_chain, read_files, spellings
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.models import reference
from nesa.models.folder import save
from tests.text_model import NAME, text_model, tokenize

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.deep,
    pytest.mark.timeout(600),
]

PASSAGES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / NAME
    save(text_model(), path)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def network(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    settings = DevnetSettings(
        tmp_path_factory.mktemp("search") / "net",
        oracles=1,
        seated=(f"{NAME}-shared-0",),
        shared=(folder,),
    )
    async with running_devnet(settings, print) as running:
        yield running


async def test_documents_are_searched_and_nobody_reads_them(
    network: Devnet, folder: Path, tmp_path: Path
) -> None:
    shared, path = SharedPublicModel.read(folder), tmp_path / "index.jsonl"
    passages = search.read_passages(search.PASSAGES)[:PASSAGES]
    question = passages[1].searched
    async with Client.connect(network.layout.network, policy=RpcPolicy(poll=0.1)) as client:
        embedder = search.Embedder(client, shared, tokenize)
        assert await search.index(embedder, passages, path) == PASSAGES
        (score, best), *_ = await search.search(embedder, question, path, PASSAGES)
        chain = await read_chain(client.connection)
    assert (best.id, round(score, 9)) == (passages[1].id, 1.0)
    files = read_files([network.layout.logs, *(miner.folder for miner in network.miners)])
    traces = (*chain, *files)
    edge = shared.public.input_edge
    for entry in search.read_index(path, embedder.version):
        data = shared.encoded(tokenize(entry.text))
        (output,) = reference.run(shared.public.table, (data,))
        assert entry.embedding == shared.public.output_edge.decode(output).reshape(-1).tolist()
        assert not find(spellings(data, edge.decode(data)), traces)
