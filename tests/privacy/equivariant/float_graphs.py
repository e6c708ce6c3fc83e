"""Float graphs built node by node, in float64, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nesa.privacy.equivariant.graphs import infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey

Array = NDArray[Any]
KEY = EquivariantKey(bytes(range(32)), bytes(32))


@dataclass
class GraphBuilder:
    """Nodes and constants of one graph; constants are drawn from `seed`."""

    seed: int = 0
    kind: Any = np.float64
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def constant(self, values: Any, kind: Any = None) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, self.kind if kind is None else kind)
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.random.normal(size=shape) / np.sqrt(shape[-2]))

    def vector(self, size: int) -> str:
        return self.constant(self.random.uniform(0.5, 1.5, size))

    def whole(self, *numbers: int) -> str:
        return self.constant(numbers, np.int64)

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"t{len(self.nodes)}_{place}" for place in range(outputs)]
        domain = attributes.pop("domain", None)
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def reshape(self, name: str, *shape: int) -> str:
        return self.add("Reshape", name, self.whole(*shape))

    def model(
        self, inputs: Sequence[tuple[str, Sequence[int], int]], outputs: Sequence[str]
    ) -> onnx.ModelProto:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.kind))
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info(name, of, shape) for name, shape, of in inputs],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            [numpy_helper.from_array(one, name) for name, one in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", 20)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def answer(proto: onnx.ModelProto, tensors: Sequence[Array]) -> tuple[Array, ...]:
    """What a graph answers, in the precision that it is written in."""
    names = [info.name for info in proto.graph.input]
    return tuple(ReferenceEvaluator(proto).run(None, dict(zip(names, tensors, strict=True))))


def through(
    proto: onnx.ModelProto, tensors: Sequence[Array], key: EquivariantKey = KEY
) -> tuple[Array, ...]:
    """The same by way of the transformed graph."""
    made = transform_graph(proto, key)
    sent = made.frames.encode_inputs(key, tensors)
    kinds = [one.dtype for one in tensors]
    given = [one.astype(kind) for one, kind in zip(sent, kinds, strict=True)]
    return made.frames.decode_outputs(key, answer(made.proto, given))


def error(proto: onnx.ModelProto, tensors: Sequence[Array], key: EquivariantKey = KEY) -> float:
    """Largest difference between both ways."""
    pairs = zip(answer(proto, tensors), through(proto, tensors, key), strict=True)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def moved(proto: onnx.ModelProto, key: EquivariantKey = KEY) -> int:
    """How many constants the transform changes."""
    before = {
        one.name: numpy_helper.to_array(one) for one in infer_graph(proto).proto.graph.initializer
    }
    after = {
        one.name: numpy_helper.to_array(one)
        for one in transform_graph(proto, key).proto.graph.initializer
    }
    return sum(not np.array_equal(after[name], one) for name, one in before.items())


WORDS, LENGTH, WIDTH, HEADS, GROUPS, HEAD, INNER, LAYERS = 60, 7, 16, 4, 2, 6, 20, 2


def llama(kind: Any = np.float64, *, tied: bool = False) -> onnx.ModelProto:
    """Ids [1, LENGTH] to logits [1, LENGTH, WORDS]: RMSNorm, RoPE, grouped heads, SwiGLU."""
    made = GraphBuilder(kind=kind)
    words = made.constant(made.random.normal(size=(WORDS, WIDTH)))
    states = made.add("Gather", words, "ids")
    for _ in range(LAYERS):
        states = made.add("Add", states, _attention(made, rms_norm(made, states)))
        states = made.add("Add", states, _swiglu(made, rms_norm(made, states)))
    normal = rms_norm(made, states)
    head = made.add("Transpose", words, perm=[1, 0]) if tied else made.weights(WIDTH, WORDS)
    logits = made.add("MatMul", normal, head)
    return made.model([("ids", (1, LENGTH), TensorProto.INT64)], [logits])


def rms_norm(made: GraphBuilder, states: str, width: int = WIDTH) -> str:
    """Written out, as exporters do."""
    squares = made.add("Pow", states, made.constant(2.0))
    mean = made.add("ReduceMean", squares, made.whole(-1), keepdims=1)
    root = made.add("Sqrt", made.add("Add", mean, made.constant(1e-6)))
    return made.add("Mul", made.add("Div", states, root), made.vector(width))


def layer_norm(made: GraphBuilder, states: str, width: int = WIDTH) -> str:
    """Written out, as exporters do."""
    centred = made.add("Sub", states, made.add("ReduceMean", states, made.whole(-1), keepdims=1))
    squares = made.add("Pow", centred, made.constant(2.0))
    mean = made.add("ReduceMean", squares, made.whole(-1), keepdims=1)
    root = made.add("Sqrt", made.add("Add", mean, made.constant(1e-6)))
    gained = made.add("Mul", made.add("Div", centred, root), made.vector(width))
    return made.add("Add", gained, made.vector(width))


def rotary(made: GraphBuilder, states: str, size: int = HEAD, length: int = LENGTH) -> str:
    """[1, heads, length, size] turned by its positions."""
    half = size // 2
    angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(half) / half)
    cosines, sines = (np.tile(of(angles), 2) for of in (np.cos, np.sin))
    upper = made.add("Slice", states, made.whole(half), made.whole(2**31), made.whole(3))
    lower = made.add("Slice", states, made.whole(0), made.whole(half), made.whole(3))
    turned = made.add("Concat", made.add("Neg", upper), lower, axis=-1)
    straight = made.add("Mul", states, made.constant(cosines))
    return made.add("Add", straight, made.add("Mul", turned, made.constant(sines)))


def heads(made: GraphBuilder, states: str, count: int, length: int = LENGTH) -> str:
    """Dense, then [1, count, length, HEAD]."""
    dense = made.add("MatMul", states, made.weights(WIDTH, count * HEAD))
    return made.add("Transpose", made.reshape(dense, 1, length, count, HEAD), perm=[0, 2, 1, 3])


def _attention(made: GraphBuilder, states: str) -> str:
    query = rotary(made, heads(made, states, HEADS))
    key, value = rotary(made, heads(made, states, GROUPS)), heads(made, states, GROUPS)
    key, value = _repeated(made, key), _repeated(made, value)
    scores = made.add("MatMul", query, made.add("Transpose", key, perm=[0, 1, 3, 2]))
    scores = made.add("Div", scores, made.constant(np.sqrt(HEAD)))
    mask = np.triu(np.full((1, 1, LENGTH, LENGTH), -1e4 if made.kind is np.float16 else -1e9), 1)
    shares = made.add("Softmax", made.add("Add", scores, made.constant(mask)), axis=-1)
    mixed = made.add("Transpose", made.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    return made.add("MatMul", made.reshape(mixed, 1, LENGTH, -1), made.weights(HEADS * HEAD, WIDTH))


def _repeated(made: GraphBuilder, states: str) -> str:
    """Every group's head for all query heads of it."""
    alone = made.add("Unsqueeze", states, made.whole(2))
    shape = made.whole(1, GROUPS, HEADS // GROUPS, LENGTH, HEAD)
    return made.reshape(made.add("Expand", alone, shape), 1, HEADS, LENGTH, HEAD)


def silu(made: GraphBuilder, states: str) -> str:
    return made.add("Mul", states, made.add("Sigmoid", states))


def _swiglu(made: GraphBuilder, states: str) -> str:
    gate = silu(made, made.add("MatMul", states, made.weights(WIDTH, INNER)))
    product = made.add("Mul", gate, made.add("MatMul", states, made.weights(WIDTH, INNER)))
    return made.add("MatMul", product, made.weights(INNER, WIDTH))
