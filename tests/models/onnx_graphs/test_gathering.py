"""A shard's weights from byte ranges of the model's files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from nesa.models.onnx_graphs.extracting import write_cut
from nesa.models.onnx_graphs.gathering import gather_weights
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.manifest import Manifest
from nesa.models.onnx_graphs.routing import check_shard
from nesa.protocol.errors import IntegrityError
from tests.models.onnx_graphs.graphs import layers, saved, with_external_data


@pytest.fixture(params=["inside", "outside"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    graph = layers(4, 99)
    return (
        saved(graph, tmp_path) if request.param == "inside" else with_external_data(graph, tmp_path)
    )


def cut(model: Path) -> tuple[Manifest, Path]:
    """A cut whose second shard has lost its weights."""
    folder = model.parent / "cut"
    manifest = write_cut(read_graph(model), (4,), folder)
    (folder / "shards" / "1.weights").unlink()
    return manifest, folder


def test_a_shard_is_whole_again_from_ranges_of_the_model(model: Path):
    manifest, folder = cut(model)
    asked = []

    def read(source: str, offset: int, nbytes: int) -> Iterator[bytes]:
        asked.append((source, offset, nbytes))
        data = (model.parent / source).read_bytes()[offset : offset + nbytes]
        yield from (data[start : start + 1000] for start in range(0, nbytes, 1000))

    gather_weights(manifest.shards[1], read, folder / "shards" / "1.weights")
    check_shard(folder, 1, manifest.shards[1])
    ranges = [(one.source, one.source_offset, one.nbytes) for one in manifest.shards[1].weights]
    assert asked == ranges
    assert len(ranges) == 2


@pytest.mark.parametrize("pieces", [[], [b"?"], [bytes(4 * 99 * 99)], repeat(bytes(1000))])
def test_other_bytes_are_refused_and_removed(model: Path, pieces):
    manifest, folder = cut(model)
    path = folder / "shards" / "1.weights"
    with pytest.raises(IntegrityError, match=r"other bytes|more bytes"):
        gather_weights(manifest.shards[1], lambda *_: pieces, path)
    assert not path.exists()
