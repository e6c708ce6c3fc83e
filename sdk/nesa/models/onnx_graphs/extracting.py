"""Writes the shards of a cut: small ONNX files, and weights copied from byte range to byte range.

manifest.json        shards, digests, and who makes which tensor
shards/<i>.onnx      nodes of shard i and its short constants
shards/<i>.weights   its weights, one behind the other
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from onnx import ModelProto, TensorProto, TensorShapeProto, ValueInfoProto

from nesa.models.index import word
from nesa.models.onnx_graphs.graph import CuttableGraph
from nesa.models.onnx_graphs.manifest import (
    MANIFEST,
    Manifest,
    ShardEntry,
    TensorEntry,
    WeightEntry,
    onnx_path,
    shard_digest,
    weights_path,
)
from nesa.models.onnx_graphs.nodes import graph_tensors
from nesa.models.onnx_graphs.parts import Part, part_model, parts_of
from nesa.models.onnx_graphs.weights import ByteRange, byte_range, is_external
from nesa.models.onnx_graphs.wire import refer
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import InvalidConfiguration, InvalidModel

CHUNK_BYTES: Final = 2**20
"""Most bytes of weights that are in memory at a time."""

ALIGNMENT: Final = 64
"""Weights begin at multiples of this, so that a mapped file can be computed with in place."""

_TYPES: Final = {number: name.lower() for name, number in TensorProto.DataType.items() if number}


def write_cut(graph: CuttableGraph, cuts: Sequence[int], folder: Path) -> Manifest:
    """Writes every shard and then the manifest; files that it does not name are left alone.

    Raises:
        InvalidModel: a place that is not legal, or a file of weights that has become shorter.
        InvalidConfiguration: a shard would be written over the model's own files.
    """
    parts = parts_of(graph, cuts)
    makers = {name: number for number, part in enumerate(parts) for name in part.outputs}
    shards = tuple(
        write_shard(graph, part, number, makers, folder) for number, part in enumerate(parts)
    )
    manifest = Manifest(
        format="onnx-cut-v1",
        optimisation="ORT_DISABLE_ALL",
        inputs=_entries(graph, graph.inputs, {}),
        outputs=_entries(graph, graph.outputs, makers),
        shards=shards,
    )
    (folder / MANIFEST).write_bytes(manifest.encode())
    return manifest


def write_shard(
    graph: CuttableGraph, part: Part, number: int, makers: Mapping[str, int], folder: Path
) -> ShardEntry:
    """Writes shard `number` alone; `makers` names the shard that makes each tensor.

    Raises:
        InvalidModel: a file of weights has become shorter.
        InvalidConfiguration: the shard would be written over the model's own files.
    """
    model = part_model(graph, part)
    target = folder / weights_path(number)
    moves = move_weights(model, graph.path, target.name)
    _require_others(graph.path, moves, (target, folder / onnx_path(number)))
    target.parent.mkdir(parents=True, exist_ok=True)
    weights = _copy_all(moves, graph.path.parent, target)
    data = model.SerializeToString(deterministic=True)
    (folder / onnx_path(number)).write_bytes(data)
    file_digest = word(bytes_root(data))
    return ShardEntry(
        digest=shard_digest(file_digest, weights),
        file_digest=file_digest,
        nodes=len(model.graph.node),
        weight_bytes=target.stat().st_size,
        weights=weights,
        inputs=_entries(graph, part.inputs, makers),
        outputs=_entries(graph, part.outputs, makers),
    )


def move_weights(model: ModelProto, source: Path, location: str) -> dict[ByteRange, int]:
    """Makes a shard's model refer to the file `location`, and says what goes where in it.

    A range that several tensors share is there once. Short ones were read with the graph.
    """
    moves: dict[ByteRange, int] = {}
    end = 0
    for tensor in graph_tensors(model.graph):
        if is_external(tensor):
            found = byte_range(tensor, source)
            if found not in moves:
                moves[found] = end
                end = -(-(end + found.nbytes) // ALIGNMENT) * ALIGNMENT
            refer(tensor, location, moves[found], found.nbytes)
    return moves


def digest_of(file: BinaryIO, offset: int, nbytes: int) -> bytes:
    """SHA-256 of a byte range of a file.

    Raises:
        InvalidModel: the file ends before the range.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(file, offset, nbytes):
        digest.update(chunk)
    return digest.digest()


def _copy_all(moves: Mapping[ByteRange, int], root: Path, path: Path) -> tuple[WeightEntry, ...]:
    with path.open("wb") as target:
        return tuple(
            WeightEntry(
                digest=word(_copy(found, target, offset)),
                offset=offset,
                nbytes=found.nbytes,
                source=found.path.relative_to(root).as_posix(),
                source_offset=found.offset,
            )
            for found, offset in moves.items()
        )


def _copy(found: ByteRange, target: BinaryIO, offset: int) -> bytes:
    digest = hashlib.sha256()
    target.seek(offset)
    with found.path.open("rb") as source:
        for chunk in _chunks(source, found.offset, found.nbytes):
            digest.update(chunk)
            target.write(chunk)
    return digest.digest()


def _chunks(file: BinaryIO, offset: int, nbytes: int) -> Iterator[bytes]:
    file.seek(offset)
    while nbytes > 0:
        chunk = file.read(min(nbytes, CHUNK_BYTES))
        if not chunk:
            raise InvalidModel(f"{file.name} ends before the weights that it should hold")
        nbytes -= len(chunk)
        yield chunk


def _require_others(model: Path, moves: Mapping[ByteRange, int], targets: Sequence[Path]) -> None:
    sources = {path.resolve() for path in (model, *(found.path for found in moves))}
    for target in targets:
        if target.resolve() in sources:
            raise InvalidConfiguration(f"{target} belongs to the model; choose another folder")


def _entries(
    graph: CuttableGraph, names: Sequence[str], makers: Mapping[str, int]
) -> tuple[TensorEntry, ...]:
    return tuple(_entry(name, graph.types.get(name), makers.get(name)) for name in names)


def _entry(name: str, info: ValueInfoProto | None, maker: int | None) -> TensorEntry:
    kind = info.type.WhichOneof("value") if info is not None else None
    if info is None or kind != "tensor_type":
        return TensorEntry(name=name, type=kind, shape=None, maker=maker)
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(_size(size) for size in tensor.shape.dim)
    return TensorEntry(name=name, type=_TYPES.get(tensor.elem_type), shape=shape, maker=maker)


def _size(dimension: TensorShapeProto.Dimension) -> int | str | None:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value)
    return dimension.dim_param or None
