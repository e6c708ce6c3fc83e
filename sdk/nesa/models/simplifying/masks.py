"""What hides places from a softmax, however it is written, becomes sums of plain masks.

A mask is what a Softmax reads besides its scores, through sums and choices, and what follows from
the model's indices and constants alone. It is evaluated, not parsed: exporters write the same mask
in dozens of ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.runtime import session
from nesa.models.simplifying.network import Network, rewritten
from nesa.protocol.errors import InvalidModel

HIDDEN: Final = 64.0
"""A number that much below the others counts for nothing: e**-64."""

LEAST: Final = -1e9
"""What stands for minus infinity in the float model, so that no row turns into NaN."""

_WEIGHTS: Final = frozenset({"Conv", "Gather", "Gemm", "LayerNormalization", "MatMul"})
"""What makes a tensor more than a mask, even where it follows from the indices."""


@dataclass(frozen=True, slots=True)
class _Mask:
    """What is added to scores: constants [.., K], and which indices hide their places, [words]."""

    fixed: NDArray[np.float32] | None
    hides: NDArray[np.bool_] | None


def with_plain_masks(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with every mask as constants, or a table of the indices, that are added.

    Raises:
        InvalidModel: a mask of the indices that does more than hide places by their own index.
    """
    network = Network(proto)
    writer = _Writer(network)
    return rewritten(network, writer.replaced, writer.constants)


class _Writer:
    """Writes masks in the places of the nodes that apply them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._source = _index_input(network.proto)
        self._known = _following(network, self._source)
        self._applied = {
            name
            for node in network.nodes
            if node.op_type == "Softmax"
            for name in _summed(network, node.input[0], self._known)
        }
        self._names: dict[tuple[str, ...], tuple[str, _Mask]] = {}
        self.constants: dict[str, NDArray[np.generic]] = {}

    def replaced(self, node: NodeProto) -> Iterator[NodeProto]:
        """The node, or what stands for it."""
        shares = _without_nan(self._network, node)
        if shares is not None:
            yield helper.make_node("Identity", [shares], [node.output[0]], node.name)
            return
        scores = _scores(node, self._known)
        if node.output[0] not in self._applied or scores is None or _is_plain(self._network, node):
            yield node
            return
        yield from self._sums(node, scores)

    def _sums(self, node: NodeProto, scores: str) -> Iterator[NodeProto]:
        """The scores plus each part of the mask."""
        key = (node.op_type, *(name if name != scores else "" for name in node.input))
        is_new = key not in self._names
        if is_new:
            mask = _evaluated(self._network, node, scores, self._source)
            self._names[key] = f"{node.output[0]}_mask", mask
        name, mask = self._names[key]
        parts = []
        if mask.fixed is not None:
            self.constants[f"{name}_fixed"] = mask.fixed
            parts.append(f"{name}_fixed")
        if mask.hides is not None:
            rank = len(self._network.shape(node.output[0])) or 4
            if is_new:
                yield from self._column(name, mask.hides, rank)
            parts.append(name)
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            target = node.output[0] if last else f"{node.output[0]}_part"
            label = node.name or node.output[0]
            yield helper.make_node(
                "Add", [scores, part], [target], label if last else f"{label}_part"
            )
            scores = target

    def _column(self, name: str, hides: NDArray[np.bool_], rank: int) -> Iterator[NodeProto]:
        """What the indices say: -HIDDEN or 0 for each, along the last of `rank` axes."""
        self.constants[f"{name}_table"] = np.where(hides, -HIDDEN, 0).astype(np.float32)
        self.constants[f"{name}_shape"] = np.array([1] * (rank - 1) + [-1], np.int64)
        found = f"{name}_found"
        yield helper.make_node("Gather", [f"{name}_table", self._source], [found], found)
        yield helper.make_node("Reshape", [found, f"{name}_shape"], [name], name)


def _index_input(proto: onnx.ModelProto) -> str:
    """Name of the input where it holds indices."""
    fixed = {tensor.name for tensor in proto.graph.initializer}
    (source,) = (info for info in proto.graph.input if info.name not in fixed)
    whole = source.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)
    return str(source.name) if whole else ""


def _summed(network: Network, name: str, known: frozenset[str]) -> Iterator[str]:
    """The sums and choices between a softmax and its scores."""
    node = network.made_by(name, "Add", "Where")
    if node is None:
        return
    scores = _scores(node, known)
    if scores is not None:
        yield name
        yield from _summed(network, scores, known)


def _scores(node: NodeProto, known: frozenset[str]) -> str | None:
    """The one operand of a sum or choice that does more than follow from indices; else None."""
    if node.op_type not in ("Add", "Where"):
        return None
    moving = [name for name in node.input if name not in known]
    chosen = node.op_type == "Add" or moving != [node.input[0]]
    return moving[0] if len(moving) == 1 and chosen else None


def _following(network: Network, source: str) -> frozenset[str]:
    """The tensors that follow from the indices and constants, without weights."""
    found = {*network.constants, source}
    for node in network.nodes:
        if node.op_type not in _WEIGHTS and all(name in found for name in node.input if name):
            found.update(node.output)
    return frozenset(found)


def _is_plain(network: Network, node: NodeProto) -> bool:
    """Whether it adds a constant already."""
    return node.op_type == "Add" and network.pair(node) is not None


def _without_nan(network: Network, node: NodeProto) -> str | None:
    """What stays of "0 where the shares are NaN": rows that are hidden as a whole have none."""
    if node.op_type != "Where" or network.number(node.input[1]) != 0.0:
        return None
    test = network.made_by(node.input[0], "IsNaN")
    return node.input[2] if test is not None and test.input[0] == node.input[2] else None


def _evaluated(network: Network, node: NodeProto, scores: str, source: str) -> _Mask:
    """What `node` adds to its scores, by running what it reads on all indices there are."""
    runner = session(_cut_out(network, node, scores))
    if not runner.get_inputs():
        (values,) = runner.run(None, {})
        return _Mask(np.maximum(values, LEAST).astype(np.float32), None)
    (info,) = runner.get_inputs()
    dtype = np.int32 if info.type == "tensor(int32)" else np.int64
    shape, words = network.shape(source), _words(network, source)
    length = int(np.prod(shape))
    starts = [place + shift for place in range(0, words, length) for shift in (0, 1)]
    rows = [(np.arange(length) + start) % words for start in starts]
    results = [runner.run(None, {source: row.reshape(shape).astype(dtype)})[0] for row in rows]
    found = _separated(rows, [np.asarray(values) for values in results], words)
    if found is None:
        label = f"{node.op_type} node {node.name or node.output[0]!r}"
        raise InvalidModel(f"{label} must only hide places from the softmax, each by its own index")
    return found


def _separated(
    rows: Sequence[NDArray[np.int64]], results: Sequence[NDArray[np.generic]], words: int
) -> _Mask | None:
    """The constant part and that of the indices, where they explain every result."""
    hidden = [values <= -HIDDEN for values in results]  # type: ignore[operator]
    plain = all(not values[~hides].any() for values, hides in zip(results, hidden, strict=True))
    if not plain or results[0].shape[-1] != len(rows[0]):
        return None
    always = np.logical_and.reduce(hidden)
    by_index = np.zeros(words, np.bool_)
    for row, hides in zip(rows, hidden, strict=True):
        columns = (hides & ~always).reshape(-1, len(row)).any(axis=0)
        by_index[row[columns]] = True
    pairs = zip(rows, hidden, strict=True)
    if not all(np.array_equal(always | by_index[row], hides) for row, hides in pairs):
        return None
    fixed = np.where(always, LEAST, 0).astype(np.float32) if always.any() else None
    return _Mask(fixed, by_index)


def _words(network: Network, source: str) -> int:
    """How many indices there are: as many as the table that they look up has rows."""
    sizes = [
        len(network.constants[node.input[0]])
        for node in network.nodes
        if node.op_type == "Gather"
        and node.input[1] == source
        and node.input[0] in network.constants
    ]
    if not sizes:
        raise InvalidModel("an input of integers must look up the rows of one size of table")
    return min(sizes)


def _cut_out(network: Network, node: NodeProto, scores: str) -> bytes:
    """A model of what the node gives where all scores are 0."""
    last = NodeProto()
    last.CopyFrom(node)
    zero = f"{scores}_zero"
    last.input[:] = [name if name != scores else zero for name in node.input]
    wanted, nodes = set(last.input), [last]
    for item in reversed(network.nodes):
        if wanted.intersection(item.output):
            wanted.update(item.input)
            nodes.append(item)
    proto = network.proto
    inputs = [info for info in proto.graph.input if info.name in wanted]
    tensors = [
        numpy_helper.from_array(np.array(values), name)
        for name, values in network.constants.items()
        if name in wanted
    ]
    tensors.append(numpy_helper.from_array(np.zeros((), np.float32), zero))
    target = helper.make_empty_tensor_value_info(node.output[0])
    nodes = [item for item in nodes[::-1] if item.op_type != "Constant"]
    graph = helper.make_graph(nodes, "mask", inputs, [target], tensors)
    made = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    data: bytes = made.SerializeToString()
    return data
