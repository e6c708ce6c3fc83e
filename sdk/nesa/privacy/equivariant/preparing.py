"""Brings a float graph into the form that is transformed: constants folded, none of them shared,
and the gains of norms folded into the dense layers behind them.

Weights that are stored as integers or as float8 with a scale become the floats that they stand for:
under a key that is more than a permutation no integers do.

A norm's gain is a diagonal, which no rotation commutes with. Where all that reads the norm is dense
layers, the gain belongs to their weights as well, and the norm alone is left, which commutes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.onnx_graphs.nodes import described, subgraphs
from nesa.models.simplifying.network import Network, attribute, constants_of
from nesa.models.simplifying.norms import written_out
from nesa.models.simplifying.optimising import optimised
from nesa.privacy.equivariant.moves import Array
from nesa.protocol.errors import InvalidModel

NORMS: Final = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")

_FLOATS: Final = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
)


def prepared(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function, ready to be transformed; an open batch is one.

    Raises:
        InvalidModel: ONNX Runtime cannot work out its constants, or it has branches or loops.
    """
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    _dequantise(made)
    if _has_constant_nodes(made):
        made.CopyFrom(optimised(made))
    inner = [node for node in made.graph.node if any(subgraphs(node))]
    if inner or made.graph.sparse_initializer:
        what = described(inner[0]) if inner else "a sparse constant"
        raise InvalidModel(f"{what} is not transformed: only graphs without branches and loops are")
    for info in made.graph.input:
        sizes = info.type.tensor_type.shape.dim
        if sizes and not sizes[0].dim_value:
            sizes[0].dim_value = 1
    _unshare(made)
    _Folding(made).fold()
    return made


def constant_tensors(proto: onnx.ModelProto) -> dict[str, Array]:
    """Initialisers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}


def replace_constants(proto: onnx.ModelProto, arrays: dict[str, Array]) -> None:
    """Put arrays in the place of initialisers, in their types.

    Raises:
        InvalidModel: a type of whole numbers, or of few, would not hold them.
    """
    for tensor in proto.graph.initializer:
        if tensor.name in arrays:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            values = arrays[tensor.name].astype(kind, order="C")
            kept = values.astype(np.float64)
            if tensor.data_type not in _FLOATS and not np.allclose(kept, arrays[tensor.name]):
                raise InvalidModel(
                    f"the constant {tensor.name} holds numbers of type {kind}, which a key would "
                    "turn into others; store it as floats"
                )
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _dequantise(proto: onnx.ModelProto) -> None:
    """Puts floats in the place of constants that a DequantizeLinear reads."""
    constants, left = constants_of(proto), list[NodeProto]()
    for node in proto.graph.node:
        known = [constants[name] for name in node.input if name in constants]
        if node.op_type != "DequantizeLinear" or len(known) != len(node.input):
            left.append(node)
            continue
        if attribute(node, "block_size", 0):
            raise InvalidModel(f"{described(node)} has a scale for each block; store it as floats")
        values = _dequantised(node, known)
        proto.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    del proto.graph.node[:]
    proto.graph.node.extend(left)


def _dequantised(node: NodeProto, known: list[Array]) -> Array:
    """(numbers - zero) * scale, with one scale or one for each place of the axis.

    Raises:
        InvalidModel: there is no such axis, or its size is not the number of scales or zeros.
    """
    whole, scale, *zeros = known
    scales, *offsets = (_along_axis(node, one, whole.shape) for one in (scale, *zeros))
    # Doubles hold what is broken, such as float8, as well as 32 bits.
    values = whole.astype(np.float64)
    for zero in offsets:
        values = values - zero.astype(np.float64)
    made: Array = values.astype(scale.dtype) * scales
    return made


def _along_axis(node: NodeProto, numbers: Array, shape: tuple[int, ...]) -> Array:
    """Numbers in a shape that spreads them along the node's axis; a single one fits anywhere,
    whether it is written as a scalar or as a vector, as ONNX Runtime's quantiser does."""
    if numbers.size == 1:
        return numbers.reshape(())
    axis = attribute(node, "axis", 1)
    assert isinstance(axis, int)
    if not -len(shape) <= axis < len(shape) or numbers.shape != (shape[axis],):
        raise InvalidModel(
            f"{described(node)} has {numbers.size} scales or zeros for axis {axis} of a constant "
            f"of shape {list(shape)}; give one, or one for each place of an axis that is there"
        )
    spread = [1] * len(shape)
    spread[axis] = numbers.size
    return numbers.reshape(spread)


def _has_constant_nodes(proto: onnx.ModelProto) -> bool:
    """Whether a node computes something from constants or shapes alone."""
    known = set(constants_of(proto))
    nodes = [node for node in proto.graph.node if node.op_type != "Constant"]
    return any(
        node.op_type in ("Shape", "Size") or all(name in known for name in node.input if name)
        for node in nodes
    )


def _unshare(proto: onnx.ModelProto) -> None:
    """Every constant becomes an initialiser with one reader, so that each moves by itself."""
    constants = constants_of(proto)
    kept = [node for node in proto.graph.node if node.op_type != "Constant"]
    uses, copies = Counter[str](), dict[str, Array]()
    for node in kept:
        for place, name in enumerate(node.input):
            if name not in constants:
                continue
            uses[name] += 1
            alias = name if uses[name] == 1 else f"{name}_use{uses[name]}"
            copies[alias] = constants[name]
            node.input[place] = alias
    outputs = {info.name for info in proto.graph.output}
    copies |= {name: constants[name] for name in outputs if name in constants}
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in kept]
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.array(values, order="C"), name)
        for name, values in copies.items()
    )
    _keep_inputs(proto, copies)


def _keep_inputs(proto: onnx.ModelProto, constants: dict[str, Array]) -> None:
    """Old files list initialisers among the inputs."""
    inputs = [info for info in proto.graph.input if info.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)


class _Folding:
    """Moves gains and offsets of norms behind them."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.constants = constant_tensors(proto)
        self.changed: dict[str, Array] = {}
        self.added: dict[str, Array] = {}
        self.network = Network(proto)
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in proto.graph.node:
            for name in node.input:
                self.readers[name].append(node)
        self.outputs = {info.name for info in proto.graph.output}

    def fold(self) -> None:
        for node in list(self.proto.graph.node):
            for target, gain, offset in self._affine(node):
                self._fold(target, gain, offset)
        replace_constants(self.proto, self.changed)
        self._with_added()

    def _affine(self, node: NodeProto) -> Iterator[tuple[str, str, str | None]]:
        """A norm's last tensor, and the names of its gain and offset."""
        if node.op_type in NORMS:
            offset = node.input[2] if len(node.input) > 2 and node.input[2] else None
            if attribute(node, "axis", -1) == -1 and node.input[1] in self.constants:
                yield node.output[0], node.input[1], offset
            return
        norm = written_out(self.network, node)
        if norm is None or norm.axis != len(self.network.shape(norm.source)) - 1:
            return
        gain, target = self._constant_after(node.output[0], "Mul")
        if gain is not None:
            offset, last = self._constant_after(target, "Add")
            yield last, gain, offset

    def _constant_after(self, name: str, kind: str) -> tuple[str | None, str]:
        """The constant vector that the only reader adds or multiplies by, and its result."""
        reader = self.network.only_reader(name, kind)
        other = next((one for one in reader.input if one != name), None) if reader else None
        if reader is None or other not in self.constants or self.constants[other].ndim != 1:
            return None, name
        return other, reader.output[0]

    def _fold(self, target: str, gain: str, offset: str | None) -> None:
        readers = self._dense_readers(target)
        if not readers:
            return
        gains = self.constants[gain].astype(np.float64)
        offsets = np.zeros_like(gains) if offset is None else self.constants[offset]
        for reader in readers:
            self._take(reader, gains, offsets.astype(np.float64))
        self.changed[gain] = np.ones_like(gains)
        if offset is not None:
            self.changed[offset] = np.zeros_like(gains)

    def _dense_readers(self, name: str) -> list[NodeProto]:
        """The dense layers that read a tensor, maybe through views of its rows; none where
        anything else reads it too."""
        found: list[NodeProto] = []
        for reader in self.readers[name]:
            if self._is_dense(reader) and reader.input[0] == name:
                found.append(reader)
            elif self._keeps_rows(reader) and (behind := self._dense_readers(reader.output[0])):
                found.extend(behind)
            else:
                return []
        return [] if name in self.outputs else found

    def _keeps_rows(self, node: NodeProto) -> bool:
        """Whether a view has the same last axis as what it is of."""
        before, after = (self.network.shape(name) for name in (node.input[0], node.output[0]))
        if node.op_type == "Transpose":
            order = attribute(node, "perm", None)
            return isinstance(order, list) and order[-1] == len(order) - 1
        is_view = node.op_type in ("Identity", "Reshape", "Squeeze", "Unsqueeze")
        return is_view and bool(before and after) and before[-1] == after[-1] != 0

    def _is_dense(self, node: NodeProto) -> bool:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in self.constants:
            return False
        plain = node.op_type == "MatMul" or not attribute(node, "transA", 0)
        return plain and self.constants[node.input[1]].ndim == 2

    def _take(self, node: NodeProto, gains: Array, offsets: Array) -> None:
        """Let a dense layer do what the norm did."""
        turned = node.op_type == "Gemm" and attribute(node, "transB", 0)
        weights = self.constants[node.input[1]].astype(np.float64)
        rows = weights.T if turned else weights
        bias = offsets @ rows
        scaled = rows * gains[:, None]
        self.changed[node.input[1]] = scaled.T if turned else scaled
        if bias.any():
            self._add(node, bias)

    def _add(self, node: NodeProto, bias: Array) -> None:
        """Add a bias to what a dense layer gives: to its own, or by a node of its own."""
        alpha, beta = _factor(node, "alpha"), _factor(node, "beta")
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
            held = self.changed.get(node.input[2], self.constants[node.input[2]])
            self.changed[node.input[2]] = held + bias * alpha / beta
            return
        kind = self.constants[node.input[1]].dtype
        self.added[node.output[0]] = (bias * alpha).astype(kind)

    def _with_added(self) -> None:
        """Write the biases that were added."""
        made = []
        for node in self.proto.graph.node:
            copy = NodeProto.FromString(node.SerializeToString())
            made.append(copy)
            bias = self.added.get(copy.output[0]) if copy.output else None
            if bias is None:
                continue
            result = copy.output[0]
            copy.output[0] = f"{result}_plain"
            self.proto.graph.initializer.append(numpy_helper.from_array(bias, f"{result}_offset"))
            terms = [copy.output[0], f"{result}_offset"]
            made.append(helper.make_node("Add", terms, [result], f"{copy.name or result}_add"))
        del self.proto.graph.node[:]
        self.proto.graph.node.extend(made)


def _factor(node: NodeProto, name: str) -> float:
    found = attribute(node, name, 1.0)
    assert isinstance(found, float)
    return found
