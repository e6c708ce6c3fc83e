"""The search example on processes: documents become vectors, and leave no trace with the miners."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from examples.knowledge_base import search
from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.cli.demo.leaks import find
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.models import reference
from nesa.models.folder import save
from tests.end_to_end.insides import Traces
from tests.text_model import NAME, text_model, tokenize

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.deep,
    pytest.mark.timeout(600),
]

PASSAGES = 3
SEALED = "who signs for what the desk buys in a week without a lead"
"""A text that every member of its committee opens: the search has to find it."""


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
        seated=(NAME, f"{NAME}-shared-0"),
        models=(folder,),
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
        known = shared.encoded(tokenize(SEALED))
        await client.ask(NAME, tokenize(SEALED), privacy="sealed")
        traces = await Traces.of(client, network)
    assert (best.id, round(score, 9)) == (passages[1].id, 1.0)
    edge, answers = shared.public.input_edge, shared.public.output_edge
    (answer,) = reference.run(shared.public.table, (known,))
    traces.assert_seen(known, edge)
    assert find({"answer": answer}, traces.opened)
    for entry in search.read_index(path, embedder.version):
        data = shared.encoded(tokenize(entry.text))
        (output,) = reference.run(shared.public.table, (data,))
        assert entry.embedding == answers.decode(output).reshape(-1).tolist()
        assert not traces.places_of(data, edge)
        assert not traces.places_of(output, answers)
