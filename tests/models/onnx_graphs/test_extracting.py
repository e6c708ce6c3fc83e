"""What shards hold, and what reading and cutting costs in memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper

from nesa.models.onnx_graphs.extracting import ALIGNMENT, digest_of, write_cut
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.manifest import MANIFEST, Manifest, read_manifest
from nesa.models.onnx_graphs.planning import plan
from nesa.models.onnx_graphs.routing import Router, run_whole
from nesa.models.onnx_graphs.weights import tensor_bytes
from nesa.models.onnx_graphs.wire import INLINE_BYTES, read_structure, refer
from nesa.protocol.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidModel,
    InvalidTensor,
    NesaError,
)
from tests.models.onnx_graphs.graphs import (
    SIZE,
    info,
    layers,
    model_of,
    saved,
    simple,
    weight,
    with_external_data,
)

WIDE = 512
ROW = {"x": np.linspace(-1, 1, WIDE, dtype=np.float32).reshape(1, WIDE)}
MEBIBYTE = 2**20

MEMORY_SCRIPT = """
import sys
from pathlib import Path
from nesa.models.onnx_graphs.extracting import write_shard
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.parts import parts_of
from nesa.models.onnx_graphs.planning import plan
path, folder = map(Path, sys.argv[1:])
graph = read_graph(path)
assert len(plan(graph, 4)) == 3
part = parts_of(graph, (4,))[0]
entry = write_shard(graph, part, 0, {}, folder)
status = Path("/proc/self/status").read_text()
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
print(entry.weight_bytes, int(peak.split()[1]) * 1024)
"""


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads Linux's peak of memory"
)


def weights_of(manifest: Manifest) -> list[set[tuple[str, int]]]:
    """Where the weights of each shard come from."""
    return [{(one.source, one.source_offset) for one in shard.weights} for shard in manifest.shards]


def test_a_model_with_external_data_is_cut_by_byte_range(tmp_path: Path):
    path = with_external_data(layers(6, WIDE), tmp_path)
    graph = read_graph(path)
    manifest = write_cut(graph, plan(graph, 3), tmp_path / "cut")
    source = (tmp_path / "model.data").read_bytes()
    assert len(source) == 6 * MEBIBYTE
    for number, shard in enumerate(manifest.shards):
        written = (tmp_path / "cut" / "shards" / f"{number}.weights").read_bytes()
        assert len(written) == shard.weight_bytes == 2 * MEBIBYTE
        for one in shard.weights:
            data = source[one.source_offset : one.source_offset + one.nbytes]
            assert data == written[one.offset : one.offset + one.nbytes]
            assert one.digest == "0x" + hashlib.sha256(data).hexdigest()
    whole = run_whole(path, ROW)["y"].tobytes()
    assert Router(tmp_path / "cut").run(ROW)["y"].tobytes() == whole


@pytest.mark.parametrize("outside", [False, True])
def test_no_weight_is_in_two_shards_that_do_not_share_it(outside: bool, tmp_path: Path):
    model = layers(4, WIDE)
    path = with_external_data(model, tmp_path) if outside else saved(model, tmp_path)
    manifest = write_cut(read_graph(path), (2, 4, 6), tmp_path / "cut")
    held = weights_of(manifest)
    assert [len(one) for one in held] == [1, 1, 1, 1]
    assert len(set.union(*held)) == 4


def test_a_shared_weight_is_in_every_shard_that_reads_it_once(tmp_path: Path):
    nodes = [helper.make_node("MatMul", [left, "w"], [right]) for left, right in pairwise("xabcy")]
    path = saved(simple(nodes, [weight("w")]), tmp_path)
    manifest = write_cut(read_graph(path), (2,), tmp_path / "cut")
    first, second = weights_of(manifest)
    assert first == second
    assert [len(shard.weights) for shard in manifest.shards] == [1, 1]


def test_tensors_that_share_a_range_share_it_in_the_shard(tmp_path: Path):
    path = with_external_data(layers(2, WIDE), tmp_path)
    model = onnx.load(path, load_external_data=False)
    first, second = model.graph.initializer
    del second.external_data[:]
    second.external_data.extend(first.external_data)
    graph = read_graph(saved(model, tmp_path))
    shard = write_cut(graph, (), tmp_path / "cut").shards[0]
    assert shard.weight_bytes == MEBIBYTE
    whole = run_whole(path, ROW)["y"].tobytes()
    assert Router(tmp_path / "cut").run(ROW)["y"].tobytes() == whole


def test_weights_begin_where_memory_is_aligned(tmp_path: Path):
    path = saved(layers(3, 19), tmp_path)
    shard = write_cut(read_graph(path), (), tmp_path / "cut").shards[0]
    assert [one.offset % ALIGNMENT for one in shard.weights] == [0, 0, 0]
    assert any(one.nbytes % ALIGNMENT for one in shard.weights)


def test_weights_inside_the_file_are_not_read_with_its_structure(tmp_path: Path):
    path = saved(layers(4, WIDE), tmp_path)
    assert path.stat().st_size > 4 * MEBIBYTE
    assert len(read_structure(path)) < 2048


def test_a_range_is_read_a_piece_at_a_time():
    class Counted(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    file = Counted(bytes(3 * MEBIBYTE))
    digest_of(file, 0, 3 * MEBIBYTE)
    assert file.reads == 3


def test_a_cut_is_the_same_bytes_again(tmp_path: Path):
    graph = read_graph(saved(layers(4, WIDE), tmp_path))
    for folder in ("one", "two"):
        write_cut(graph, (2,), tmp_path / folder)
    names = [MANIFEST, "shards/0.onnx", "shards/1.onnx", "shards/0.weights", "shards/1.weights"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_shard_is_a_model_that_can_be_cut_again(tmp_path: Path):
    path = saved(layers(4, WIDE), tmp_path)
    write_cut(read_graph(path), (4,), tmp_path / "cut")
    part = tmp_path / "cut" / "shards" / "0.onnx"
    write_cut(read_graph(part), (2,), tmp_path / "again")
    expected = {name: one.tobytes() for name, one in run_whole(part, ROW).items()}
    found = Router(tmp_path / "again").run(ROW)
    assert {name: one.tobytes() for name, one in found.items()} == expected


def test_a_model_is_not_written_over(tmp_path: Path):
    path = saved(layers(4, WIDE), tmp_path)
    write_cut(read_graph(path), (4,), tmp_path / "cut")
    graph = read_graph(tmp_path / "cut" / "shards" / "0.onnx")
    with pytest.raises(InvalidConfiguration, match="belongs to the model"):
        write_cut(graph, (2,), tmp_path / "cut")
    Router(tmp_path / "cut")


def test_weights_that_shrink_while_they_are_copied_are_told(tmp_path: Path):
    path = with_external_data(layers(2, WIDE), tmp_path)
    graph = read_graph(path)
    os.truncate(tmp_path / "model.data", MEBIBYTE)
    with pytest.raises(InvalidModel, match="beyond the end of model.data"):
        write_cut(graph, (2,), tmp_path / "cut")


def peak_of_cut(path: Path, folder: Path) -> tuple[int, int]:
    """Bytes of weights in the first shard, and the most memory that making it took."""
    command = [sys.executable, "-c", MEMORY_SCRIPT, str(path), str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    copied, peak = map(int, found.stdout.split())
    return copied, peak


def far_apart(weights: Sequence[TensorProto], folder: Path) -> Path:
    """A model of a layer for each weight [rows, columns], the data of all of them a sparse file."""
    nodes, last, end = [], "x", 0
    for index, tensor in enumerate(weights):
        nodes.append(helper.make_node("MatMul", [last, tensor.name], [f"m{index}"]))
        nodes.append(helper.make_node("Tanh", [f"m{index}"], [f"t{index}"]))
        last = f"t{index}"
        refer(tensor, "model.data", end, tensor_bytes(tensor))
        end += tensor_bytes(tensor)
    edges = [info("x", shape=(1, 8192))], [info(last, shape=(1, "columns"))]
    with (folder / "model.data").open("wb") as file:
        file.truncate(end)
    return saved(model_of(helper.make_graph(nodes, "g", *edges, weights)), folder)


def inside(tensor: TensorProto, model: ModelProto, folder: Path) -> Path:
    """The model with one more weight in the file itself, which is as sparse."""
    path = saved(model, folder)
    nbytes = tensor_bytes(tensor)
    data = tensor.SerializeToString() + field(TensorProto.RAW_DATA_FIELD_NUMBER, nbytes)
    data = field(GraphProto.INITIALIZER_FIELD_NUMBER, len(data) + nbytes) + data
    data = field(ModelProto.GRAPH_FIELD_NUMBER, len(data) + nbytes) + data
    with path.open("ab") as file:
        file.write(data)
        file.truncate(file.tell() + nbytes)
    return path


def field(number: int, length: int) -> bytes:
    """How a field of so many bytes begins in a protocol buffer."""
    groups = [number << 3 | 2]
    while length > 0x7F:
        groups.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*groups, length])


@needs_proc
def test_three_gigabytes_are_planned_and_cut_in_little_memory(tmp_path: Path):
    small = [TensorProto(name=f"s{i}", data_type=1, dims=[8192, 8192 >> 4 * i]) for i in (1, 0)]
    small[1].dims[0] = 512
    large = [TensorProto(name=f"w{i}", data_type=1, dims=[8192, 8192]) for i in range(12)]
    path = far_apart([*small, *large], tmp_path)
    assert (tmp_path / "model.data").stat().st_size > 3 * 2**30
    copied, peak = peak_of_cut(path, tmp_path / "cut")
    assert copied == 32 * MEBIBYTE
    assert peak < 300 * MEBIBYTE


@needs_proc
def test_weights_inside_the_file_are_cut_in_little_memory(tmp_path: Path):
    large = TensorProto(name="w3", data_type=1, dims=[WIDE, MEBIBYTE - 1024])
    model = layers(4, WIDE)
    del model.graph.initializer[3]
    model.graph.node[-1].input[1] = "t3"
    for edge in model.graph.output:
        edge.type.tensor_type.shape.dim[1].dim_value = large.dims[1]
    path = inside(large, model, tmp_path)
    assert path.stat().st_size > 2**31 - 4 * MEBIBYTE
    copied, peak = peak_of_cut(path, tmp_path / "cut")
    assert copied == 2 * MEBIBYTE
    assert peak < 300 * MEBIBYTE


def test_weights_of_bodies_and_constants_move_too(tmp_path: Path):
    bodies = [
        helper.make_graph(
            [helper.make_node("Add", ["a", f"own{i}"], [f"out{i}"])],
            "branch",
            [],
            [info(f"out{i}")],
            [weight(f"own{i}", seed=i)],
        )
        for i in range(2)
    ]
    nodes = [
        helper.make_node("Constant", [], ["c"], value=weight("", seed=3)),
        helper.make_node("MatMul", ["x", "c"], ["a"]),
        helper.make_node("If", ["go"], ["y"], then_branch=bodies[0], else_branch=bodies[1]),
    ]
    inputs = [info("x"), info("go", TensorProto.BOOL, ())]
    model = model_of(helper.make_graph(nodes, "g", inputs, [info("y")]))
    path = with_external_data(model, tmp_path, threshold=INLINE_BYTES)
    graph = read_graph(path)
    manifest = write_cut(graph, (1,), tmp_path / "cut")
    assert [len(shard.weights) for shard in manifest.shards] == [1, 2]
    assert max(graph.sizes.values()) == 2 * 4 * SIZE * SIZE
    feeds = {"x": np.ones((SIZE, SIZE), np.float32), "go": np.array(False)}
    whole = run_whole(path, feeds)["y"].tobytes()
    assert Router(tmp_path / "cut").run(feeds)["y"].tobytes() == whole


DAMAGES = {
    "graph": ("shards/0.onnx", lambda data: data[:-1] + b"?"),
    "short graph": ("shards/0.onnx", lambda data: data[:-1]),
    "no graph": ("shards/0.onnx", lambda data: b""),
    "weights": ("shards/1.weights", lambda data: data[:-1] + b"?"),
    "short weights": ("shards/1.weights", lambda data: data[:-1]),
    "long weights": ("shards/1.weights", lambda data: data + b"?"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_shard_is_not_run(name: str, tmp_path: Path):
    write_cut(read_graph(saved(layers(4, WIDE), tmp_path)), (4,), tmp_path / "cut")
    place, damage = DAMAGES[name]
    path = tmp_path / "cut" / place
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(IntegrityError):
        Router(tmp_path / "cut")


def test_a_missing_shard_is_told(tmp_path: Path):
    write_cut(read_graph(saved(layers(4, WIDE), tmp_path)), (4,), tmp_path / "cut")
    (tmp_path / "cut" / "shards" / "1.weights").unlink()
    with pytest.raises(IntegrityError, match="shard 1 is missing"):
        Router(tmp_path / "cut")


def edited(document: dict, *path: object, value: object) -> dict:
    """The document with another value at the end of `path`."""
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


EDITS = {
    "format": (("format",), "onnx-cut-v2", InvalidModel, "format"),
    "optimisation": (("optimisation",), "ORT_ENABLE_ALL", InvalidModel, "optimisation"),
    "more": (("more",), 1, InvalidModel, "more"),
    "digest": (("shards", 0, "digest"), "0x" + "00" * 32, IntegrityError, "digest of shard 0"),
    "weight": (
        ("shards", 1, "weights", 0, "digest"),
        "0x" + "00" * 32,
        IntegrityError,
        "digest of shard 1",
    ),
    "place": (("shards", 1, "weights", 0, "offset"), 64, InvalidModel, "overlap|another size"),
    "overlap": (("shards", 1, "weights", 1, "offset"), 0, InvalidModel, "overlap"),
    "size": (("shards", 1, "weight_bytes"), 0, InvalidModel, "another size"),
    "outside": (("shards", 1, "weights", 0, "source"), "../x", InvalidModel, "lie outside"),
    "maker": (("shards", 1, "inputs", 0, "maker"), 7, InvalidModel, "read before"),
    "later maker": (("shards", 0, "inputs", 0, "maker"), 1, InvalidModel, "read before"),
    "unmade": (("shards", 0, "inputs", 0, "name"), "q", InvalidModel, "read before"),
    "made twice": (("shards", 1, "outputs", 0, "name"), "x", InvalidModel, "two makers"),
    "output": (("outputs", 0, "name"), "q", InvalidModel, "read before"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_contradicts_itself_is_refused(name: str, tmp_path: Path):
    write_cut(read_graph(saved(layers(4, WIDE), tmp_path)), (4,), tmp_path / "cut")
    path, value, error, message = EDITS[name]
    manifest = tmp_path / "cut" / MANIFEST
    document = edited(json.loads(manifest.read_bytes()), *path, value=value)
    manifest.write_text(json.dumps(document))
    with pytest.raises(error, match=message):
        read_manifest(tmp_path / "cut")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path):
    with pytest.raises(NesaError, match="cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros((1, 3), np.float32)}, {"x": ROW["x"] > 0}])
def test_inputs_that_do_not_fit_are_refused(inputs, tmp_path: Path):
    write_cut(read_graph(saved(layers(4, WIDE), tmp_path)), (4,), tmp_path / "cut")
    with pytest.raises(InvalidTensor):
        Router(tmp_path / "cut").run(inputs)
