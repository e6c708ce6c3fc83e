"""ONNX graphs to cut: random ones with everything that makes cutting hard, and small fixed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIZE = 18
"""Square weights of this size are too long to be read with the graph."""

OPSET = 17
IR_VERSION = 9


def info(name: str, kind: int = TensorProto.FLOAT, shape: Sequence[int | str] = (SIZE, SIZE)):
    return helper.make_tensor_value_info(name, kind, list(shape))


def weight(name: str, *shape: int, seed: int = 0) -> TensorProto:
    values = np.random.default_rng(seed).standard_normal(shape or (SIZE, SIZE))
    return numpy_helper.from_array(values.astype(np.float32), name)


def model_of(graph: GraphProto, **fields) -> ModelProto:
    opsets = fields.pop("opset_imports", [helper.make_opsetid("", OPSET)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, **fields)


def simple(nodes, weights=(), inputs=("x",), outputs=("y",), **fields) -> ModelProto:
    graph = helper.make_graph(
        list(nodes), "g", [info(one) for one in inputs], [info(one) for one in outputs], weights
    )
    return model_of(graph, **fields)


def layers(count: int, size: int = SIZE, weights: Callable[..., TensorProto] = weight):
    """`count` dense layers with a skip from the first over all others."""
    nodes, held, last = [], [], "x"
    for index in range(count):
        held.append(weights(f"w{index}", size, size, seed=index))
        nodes.append(helper.make_node("MatMul", [last, f"w{index}"], [f"m{index}"]))
        nodes.append(helper.make_node("Tanh", [f"m{index}"], [f"t{index}"]))
        last = f"t{index}"
    nodes.append(helper.make_node("Add", [last, "t0"], ["y"]))
    edges = [info("x", shape=(1, size))], [info("y", shape=(1, size))]
    return model_of(helper.make_graph(nodes, "g", *edges, held))


def saved(model: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def with_external_data(model: ModelProto, folder: Path, threshold: int = 0) -> Path:
    """The model in a file, weights of at least `threshold` bytes in `model.data` beside it."""
    path = folder / "model.onnx"
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location="model.data",
        size_threshold=threshold,
        convert_attribute=True,
    )
    return path


class _Drawing:
    """Draws one node after the other; `square` and `half` are the tensors that it may read."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: list[NodeProto] = []
        self.weights = [weight(f"w{index}", seed=index) for index in range(3)]
        self.weights.append(numpy_helper.from_array(np.array(2, np.int64), "two"))
        self.weights.append(numpy_helper.from_array(np.array(-0.5, np.float32), "low"))
        self.weights.append(numpy_helper.from_array(np.array([3], np.int64), "three"))
        self.square = ["x", "z"]
        self.halves: list[str] = []
        self.constant = ["w0", "w1", "w2"]
        self.count = 0

    def new(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def pick(self) -> str:
        return self.draw(st.sampled_from([*self.square[-6:], "x"]))

    def pick_constant(self) -> str:
        return self.draw(st.sampled_from(self.constant))

    def pick_any(self) -> str:
        return self.draw(st.sampled_from(self.square[-6:] + self.constant))

    def add(self, kind: str, reads: list[str], outputs: int = 1, **attributes) -> list[str]:
        names = [self.new() for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, reads, names, **attributes))
        return names

    def unary(self) -> None:
        kind = self.draw(st.sampled_from(["Tanh", "Sigmoid", "Softmax", "Erf", "Transpose"]))
        self.square += self.add(kind, [self.pick()])

    def binary(self) -> None:
        kind = self.draw(st.sampled_from(["Add", "Sub", "MatMul", "Max"]))
        self.square += self.add(kind, [self.pick(), self.pick_any()])

    def dense(self) -> None:
        self.square += self.add("Gemm", [self.pick(), self.pick_constant()], transB=1)

    def clip(self) -> None:
        """An optional input that is left out."""
        self.square += self.add("Clip", [self.pick(), "", "low"])

    def split(self) -> None:
        """Several outputs, of which one may stay unread."""
        upper, lower = self.add("Split", [self.pick()], 2, axis=0)
        order = self.draw(st.sampled_from([[upper, lower], [lower, upper], [upper, upper]]))
        self.square += self.add("Concat", order, axis=0)

    def top(self) -> None:
        """An integer tensor that may cross."""
        values, places = self.add("TopK", [self.pick(), "three"], 2, axis=1)
        picked = self.add("Cast", [places], to=TensorProto.FLOAT)
        total = self.add("MatMul", [values, self.add("Transpose", picked)[0]])
        self.square += total

    def lower(self) -> None:
        """To half precision."""
        self.halves += self.add("Cast", [self.pick_any()], to=TensorProto.FLOAT16)

    def half(self) -> None:
        """In half precision, where there is any."""
        if self.halves:
            reads = [self.draw(st.sampled_from(self.halves)) for _ in range(2)]
            kind = self.draw(st.sampled_from(["Sigmoid", "Relu", "Add", "MatMul", "Exp"]))
            self.halves += self.add(kind, reads if kind in ("Add", "MatMul") else reads[:1])

    def higher(self) -> None:
        """Back from half precision."""
        if self.halves:
            half = self.draw(st.sampled_from(self.halves))
            self.square += self.add("Cast", [half], to=TensorProto.FLOAT)

    def constant_node(self) -> None:
        values = weight("", seed=self.count)
        self.constant += self.add("Constant", [], value=values)

    def constant_chain(self) -> None:
        """Computed from weights alone."""
        self.constant += self.add("Tanh", [self.pick_constant()])

    def branch(self) -> None:
        """An If whose branches read from outside."""
        total = self.add("ReduceSum", [self.pick()], keepdims=0)
        condition = self.add("Greater", [total[0], "low"])
        bodies = [self._branch(kind) for kind in ("MatMul", "Sub")]
        self.square += self.add("If", condition, then_branch=bodies[0], else_branch=bodies[1])

    def _branch(self, kind: str) -> GraphProto:
        inner, out = self.new(), self.new()
        nodes = [
            helper.make_node("Tanh", [self.pick()], [inner]),
            helper.make_node(kind, [inner, self.pick_any()], [out]),
        ]
        return helper.make_graph(nodes, "branch", [], [info(out)])

    def loop(self) -> None:
        """A Loop whose body reads from outside, with a weight of its own."""
        step, going, carried, passed, out, own = (self.new() for _ in range(6))
        nodes = [
            helper.make_node("Identity", [going], [passed]),
            helper.make_node("MatMul", [carried, self.pick_any()], [f"{out}_m"]),
            helper.make_node("Add", [f"{out}_m", own], [f"{out}_a"]),
            helper.make_node("Sub", [f"{out}_a", self.pick()], [out]),
        ]
        inputs = [info(step, TensorProto.INT64, ()), info(going, TensorProto.BOOL, ())]
        outputs = [info(passed, TensorProto.BOOL, ()), info(out)]
        body = helper.make_graph(
            nodes, "body", [*inputs, info(carried)], outputs, [weight(own, seed=self.count)]
        )
        self.square += self.add("Loop", ["two", "", self.pick()], body=body)


PIECES = (
    *("unary", "binary", "dense", "clip", "split", "top", "lower", "half", "higher"),
    *("constant_node", "constant_chain", "branch", "loop"),
)


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    """A random graph of 3 to 14 drawn pieces with two inputs and one to four outputs."""
    drawing = _Drawing(draw)
    kinds = st.sampled_from(PIECES)
    for kind in draw(st.lists(kinds, min_size=3, max_size=14)):
        getattr(drawing, kind)()
    drawing.square += drawing.add("Add", [drawing.square[-1], "z"])
    choice = st.sampled_from(drawing.square[2:] + drawing.constant[3:])
    outputs = draw(st.lists(choice, min_size=1, max_size=3, unique=True))
    outputs = list(dict.fromkeys([*outputs, drawing.square[-1]]))
    overridable = [info(name) for name in draw(st.sets(st.sampled_from(["w0", "w1"])))]
    inputs = [info("x"), info("z"), *overridable]
    graph = helper.make_graph(
        drawing.nodes, "g", inputs, [info(name) for name in outputs], drawing.weights
    )
    return model_of(graph)


def feeds(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal((SIZE, SIZE)).astype(np.float32) for name in "xz"}
