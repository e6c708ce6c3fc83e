"""Cuts an ONNX file into shards; what `nesa model cut` does with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.card import ClassifierCard
from nesa.models.cut import cut_at
from nesa.models.folder import CompiledModel, assemble
from nesa.models.onnx_graphs.extracting import write_cut
from nesa.models.onnx_graphs.graph import CuttableGraph, read_graph
from nesa.models.onnx_graphs.manifest import Manifest, ShardEntry, TensorEntry
from nesa.models.onnx_graphs.planning import legal_cuts, plan
from nesa.models.onnx_graphs.routing import Router, run_whole
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidInput

SAMPLES: Final = 3
"""Inputs that a cut is tried on."""

MAX_SAMPLE_ELEMENTS: Final = 2**26
"""Most elements of a made-up input."""


@dataclass(frozen=True, slots=True)
class CutReport:
    """What was written, and what the cut costs."""

    graph: CuttableGraph
    cuts: tuple[int, ...]
    manifest: Manifest
    boundary_bytes: tuple[int, ...]

    def facts(self, folder: Path) -> dict[str, Any]:
        """The whole cut in plain values."""
        return {
            "folder": folder,
            "manifest": bytes_root(self.manifest.encode()),
            "nodes": len(self.graph.steps) + len(self.graph.constants),
            "places": len(self.graph.legal_positions),
            "weight_bytes": sum(self.graph.sizes.values()),
            "optimisation": self.manifest.optimisation,
        }

    def shards(self) -> list[dict[str, Any]]:
        """One entry for each shard; `boundary_bytes` crosses in front of it."""
        pairs = zip(self.manifest.shards, (0, *self.boundary_bytes), strict=True)
        return [_shard_facts(shard, crossing) for shard, crossing in pairs]


def cut_file(
    path: Path,
    shards: int,
    dims: Mapping[str, int],
    folder: Path,
    places: Sequence[int] | None = None,
) -> CutReport:
    """Writes a cut of the ONNX file at `path` into `folder`: at `places`, or the cheapest.

    Raises:
        InvalidModel: it is hostile or cannot be cut into so many shards.
        InvalidConfiguration: a shard would be written over the model's own files.
    """
    graph = read_graph(path)
    cuts = plan(graph, shards, dims) if places is None else legal_cuts(graph, places)
    crossing = graph.boundary_bytes(dims)
    manifest = write_cut(graph, cuts, folder)
    return CutReport(graph, cuts, manifest, tuple(crossing[place] for place in cuts))


def recut_at(model: CompiledModel, places: Sequence[int]) -> CompiledModel:
    """The same table with further shards in front of the rows `places`, without circuits.

    Raises:
        InvalidModel: the table cannot be cut there.
    """
    changes: dict[str, Any] = {"reference_string": ""}
    if isinstance(model.card, ClassifierCard):
        unproved = {"proved_rows": 0, "proved": None}
        changes["accuracy"] = model.card.accuracy.model_copy(update=unproved)
    card = model.card.model_copy(update=changes)
    return assemble(cut_at(model.table, places), card, model.test_rows())


def check_cut(report: CutReport, dims: Mapping[str, int], folder: Path) -> None:
    """Runs the model whole and in shards on made-up inputs; the whole one is loaded for it.

    Raises:
        IntegrityError: an output differs in one byte.
        InvalidInput: no inputs can be made up for the model.
    """
    router = Router(folder)
    for seed in range(SAMPLES):
        inputs = made_up(report.manifest.inputs, dims, seed)
        whole, sharded = run_whole(report.graph.path, inputs), router.run(inputs)
        for name, value in whole.items():
            if not same_bytes(value, sharded[name]):
                raise IntegrityError(f"the output {name!r} is another one when the model is cut")


def made_up(
    entries: Sequence[TensorEntry], dims: Mapping[str, int], seed: int
) -> dict[str, NDArray[Any]]:
    """Inputs of the right types: normal floats, and integers that are 0 or 1.

    Raises:
        InvalidInput: an input is no tensor of numbers, or too large.
    """
    random = np.random.default_rng(seed)
    return {entry.name: _made_up(entry, dims, random) for entry in entries}


def same_bytes(left: Any, right: Any) -> bool:
    """Whether two values of ONNX Runtime, arrays or lists of them, are the same to the byte."""
    if isinstance(left, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(same_bytes(one, two) for one, two in pairs)
    one, two = np.asarray(left), np.asarray(right)
    if one.dtype != two.dtype or one.shape != two.shape:
        return False
    return one.tolist() == two.tolist() if one.dtype == object else one.tobytes() == two.tobytes()


def _made_up(
    entry: TensorEntry, dims: Mapping[str, int], random: np.random.Generator
) -> NDArray[Any]:
    kinds = {"float": "float32", "double": "float64"}
    shape = entry.shape or ()
    sizes = [size if isinstance(size, int) else dims.get(str(size), 1) for size in shape]
    try:
        dtype = np.dtype(kinds.get(str(entry.type), str(entry.type)))
    except TypeError as error:
        raise InvalidInput(f"no value can be made up for the input {entry.name!r}") from error
    if int(np.prod(sizes, dtype=object)) > MAX_SAMPLE_ELEMENTS:
        raise InvalidInput(f"the input {entry.name!r} is too large to be made up")
    if dtype.kind == "f":
        return random.standard_normal(sizes).astype(dtype)
    return random.integers(0, 2, sizes).astype(dtype)


def _shard_facts(shard: ShardEntry, crossing: int) -> dict[str, Any]:
    return {
        "digest": shard.digest,
        "nodes": shard.nodes,
        "weight_bytes": shard.weight_bytes,
        "boundary_bytes": crossing,
        "inputs": [entry.name for entry in shard.inputs],
        "outputs": [entry.name for entry in shard.outputs],
    }
