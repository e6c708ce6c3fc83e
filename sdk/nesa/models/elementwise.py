"""Chains of nodes that change every number by itself: functions of one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.runtime import session

OPERATORS: Final = frozenset(
    {"Abs", "Add", "And", "Cast", "Ceil", "Celu", "Clip", "Div", "Elu", "Equal", "Erf", "Exp"}
    | {"Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "LeakyRelu"}
    | {"Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "Pow"}
    | {
        "PRelu",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Softplus",
        "Softsign",
        "Sqrt",
    }
    | {"Sub", "Swish", "Tanh", "ThresholdedRelu", "Where"}
)
"""Node types that, with constants of one number, change every number by itself."""

IR_VERSION: Final = 10

FAR: Final = 50.0
_LINEAR: Final = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Neg", "Sub"})


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of one number: the nodes between tensor `source` and tensor `target`."""

    source: str
    target: str
    nodes: tuple[NodeProto, ...]
    constants: Mapping[str, NDArray[np.generic]]
    opset: int
    takes_integers: bool

    def __call__(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The results for a list of numbers [n], by ONNX Runtime."""
        runner = session(self._model())
        dtype = np.int64 if self.takes_integers else np.float32
        (results,) = runner.run(None, {self.source: numbers.astype(dtype)})
        return np.asarray(results, np.float64)

    @property
    def is_relu(self) -> bool:
        """Whether it is a single Relu."""
        return len(self.nodes) == 1 and self.nodes[0].op_type == "Relu"

    def line(self) -> tuple[float, float] | None:
        """Slope and offset when it is a line made of sums and products; else None."""
        if not {node.op_type for node in self.nodes} <= _LINEAR:
            return None
        low, middle, high = self(np.array([0.0, 1.0, 2.0]))
        straight = np.isclose(high - middle, middle - low, rtol=1e-6, atol=1e-9)
        return (float(middle - low), float(low)) if straight else None

    def bends(self) -> bool:
        """Whether it is 0 far below zero and the number itself far above: GELU, SiLU, Mish."""
        if self.takes_integers or self.is_relu:
            return False
        low, high = self(np.array([-FAR, FAR]))
        return bool(abs(low) < 1e-6 and abs(high - FAR) < 1e-4)

    def hides(self, depth: float) -> bool:
        """Whether it is a table of the indices of 0 and of `-depth` alone."""
        if not self.takes_integers or [node.op_type for node in self.nodes] != ["Gather"]:
            return False
        (table,) = self.constants.values()
        return bool(np.isin(table, (0, -depth)).all())

    def _model(self) -> bytes:
        kind = TensorProto.INT64 if self.takes_integers else TensorProto.FLOAT
        tensors = [
            numpy_helper.from_array(values.reshape(()) if values.size == 1 else values, name)
            for name, values in self.constants.items()
        ]
        source = helper.make_tensor_value_info(self.source, kind, ["n"])
        target = helper.make_empty_tensor_value_info(self.target)
        graph = helper.make_graph(self.nodes, "function", [source], [target], tensors)
        opsets = [helper.make_opsetid("", self.opset)]
        data: bytes = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION
        ).SerializeToString()
        return data


def absorb(
    node: NodeProto,
    constants: Mapping[str, NDArray[np.generic]],
    known: Mapping[str, Function],
    opset: int,
    indices: str,
) -> Function | None:
    """The function that ends in `node`; None when `node` does more than change single numbers.

    `known` are the functions that end in earlier tensors; `indices` names the model's input where
    it holds integers.
    """
    if node.op_type == "Gather" and indices and node.input[1] == indices:
        table = constants.get(node.input[0])
        if table is None or table.ndim != 1 or table.size == 1:
            return None
        return Function(indices, node.output[0], (node,), {node.input[0]: table}, opset, True)
    if node.op_type not in OPERATORS or len(node.output) != 1:
        return None
    fixed = {name: constants[name] for name in node.input if name in constants}
    moving = [name for name in node.input if name and name not in constants]
    if any(values.size != 1 for values in fixed.values()) or not moving:
        return None
    roots = {known[name].source if name in known else name for name in moving}
    if len(roots) != 1:
        return None
    (root,) = roots
    nodes: list[NodeProto] = []
    for part in (known[name] for name in moving if name in known):
        nodes += [item for item in part.nodes if item not in nodes]
        fixed |= part.constants
    return Function(root, node.output[0], (*nodes, node), fixed, opset, root == indices)
