"""The search example: what it keeps, adds and finds; its members answer within this process."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from examples.knowledge_base import search
from nesa.client.modes import Shared
from nesa.client.sharing import SharedPublicModel
from nesa.models import reference
from nesa.models.folder import save
from nesa.privacy.shared.session import ask
from nesa.protocol.errors import IntegrityError, InvalidInput, Unavailable
from tests.privacy.shared.parties import SESSION, Group
from tests.text_model import text_model, tokenize

PASSAGES = [
    search.Passage("sun", "Summer", "The sun burns over the dry field"),
    search.Passage("rain", "Autumn", "Cold rain falls on grey roofs"),
    search.Passage("snow", "Winter", "Children build a snow man"),
]


@dataclass
class Members:
    """Asks two groups of one member each, over memory instead of HTTP and a chain."""

    asked: list[Sequence[int]] = field(default_factory=list)
    most: int = 100
    evidence: dict[str, bytes] = field(default_factory=dict)

    async def ask(self, name: str, features: Sequence[int], *, privacy: Shared) -> Any:
        """A query on shares."""
        if len(self.asked) >= self.most:
            raise Unavailable("the network went away")
        self.asked.append(features)
        shared = privacy.shared
        assert name == shared.public.name
        model = shared.model
        pair = Group("first", model, 1).transport, Group("second", model, 2).transport
        answer = await ask(model, (shared.encoded(features),), pair, SESSION)
        integers = shared.public.output_edge.decode(answer.outputs[0])
        output = SimpleNamespace(integers=integers)
        return SimpleNamespace(output=output, refused={}, evidence=self.evidence)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    save(text_model(), folder)
    return SharedPublicModel.read(folder)


@pytest.fixture
def members():
    return Members()


@pytest.fixture
def embedder(members, shared):
    return search.Embedder(members, shared, tokenize)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.jsonl"


async def test_the_index_holds_the_public_models_embeddings(embedder, shared, path):
    assert await search.index(embedder, PASSAGES, path) == len(PASSAGES)
    entries = search.read_index(path, embedder.version)
    for entry, passage in zip(entries, PASSAGES, strict=True):
        data = shared.encoded(tokenize(passage.searched))
        (output,) = reference.run(shared.public.table, (data,))
        assert entry.embedding == shared.public.output_edge.decode(output).reshape(-1).tolist()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_question_finds_the_passage_that_says_it(embedder, path):
    await search.index(embedder, PASSAGES, path)
    for passage in PASSAGES:
        (score, best), (second, _) = await search.search(embedder, passage.searched, path, 2)
        assert best.id == passage.id
        assert np.isclose(score, 1.0)
        assert second < score


async def test_what_was_paid_for_is_kept_and_not_asked_again(embedder, members, path):
    members.most = 2
    with pytest.raises(Unavailable):
        await search.index(embedder, PASSAGES, path)
    assert len(search.read_index(path, embedder.version)) == 2
    members.most = 100
    assert await search.index(embedder, PASSAGES, path) == 1
    changed = [search.Passage("sun", "Summer", "The sun is gone"), *PASSAGES]
    assert await search.index(embedder, changed, path) == 1
    assert len(members.asked) == 4


async def test_an_index_of_another_version_is_refused(embedder, path):
    await search.index(embedder, PASSAGES[:1], path)
    line = json.loads(path.read_text())
    path.write_text(json.dumps(line | {"version": "00" * 32}) + "\n")
    with pytest.raises(IntegrityError, match="another version"):
        await search.search(embedder, "sun", path, 1)


async def test_an_empty_index_says_what_to_do(embedder, path):
    with pytest.raises(InvalidInput, match="make an index first"):
        await search.search(embedder, "sun", path, 1)


@pytest.mark.parametrize("line", ['{"id": "torn", "te', '{"id": "rain"}', '["rain"]'])
def test_a_line_that_is_none_is_named(tmp_path, line):
    path = tmp_path / "passages.jsonl"
    path.write_text('{"id": "a", "title": "b", "text": "c"}\n' + line + "\n")
    with pytest.raises(InvalidInput, match="line 2: no Passage"):
        search.read_passages(path)


def test_the_handbook_is_read():
    assert len(search.read_passages(search.PASSAGES)) > 50


async def test_evidence_that_cannot_be_kept_costs_no_answer(embedder, members, path):
    path.touch()
    members.evidence[f"{path}/statement.cbor"] = b"signed"
    with pytest.warns(UserWarning, match="could not be kept"):
        assert await embedder.embed("Where is the sun?")
