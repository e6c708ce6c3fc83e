"""How every operator of a float graph ties axes, and what transforms it commutes with."""

from __future__ import annotations

from typing import Final

from onnx import NodeProto

from nesa.privacy.equivariant.operators import choosing, mixing, pointwise, viewing
from nesa.privacy.equivariant.operators.reading import Reading, Rule, untouched
from nesa.privacy.equivariant.preparing import NORMS
from nesa.protocol.errors import InvalidModel, NesaError

__all__ = ["VIEWS", "Reading", "read_node"]

VIEWS: Final = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Slice", "Expand"),
)
"""What hands names on as they are."""

_DOMAINS: Final = ("", "ai.onnx", "com.microsoft")
"""Where an operator's name means what it says."""

_POINTWISE: Final = (
    *("Abs", "Acos", "And", "Asin", "Atan", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Equal"),
    *("Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish"),
    *("IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Not", "Or", "Pow", "PRelu"),
    *("QuickGelu", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"),
)

_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_POINTWISE, pointwise.pointwise),
    **dict.fromkeys(("Relu", "LeakyRelu"), pointwise.rectifier),
    **dict.fromkeys(("Neg", "Identity", "Dropout"), pointwise.passed),
    **dict.fromkeys(("Add", "Sub", "Sum"), pointwise.total),
    **dict.fromkeys(("Mul", "Div"), pointwise.product),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), mixing.pool),
    **dict.fromkeys(("Softmax", "LogSoftmax"), pointwise.softmax),
    **dict.fromkeys(NORMS, mixing.norm),
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"), mixing.reduction
    ),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), viewing.reshape),
    "BatchNormalization": mixing.batch_norm,
    "Cast": pointwise.cast,
    "Concat": viewing.concat,
    "Conv": mixing.conv,
    "Expand": viewing.expand,
    "Gather": mixing.gather,
    "Gemm": mixing.gemm,
    "MatMul": mixing.mat_mul,
    "OneHot": choosing.one_hot,
    "Slice": viewing.sliced,
    "Split": viewing.split,
    "TopK": choosing.top_k,
    "Transpose": viewing.transpose,
}


def read_node(reading: Reading, node: NodeProto) -> None:
    """Read one node: its ties, conditions and outputs.

    Raises:
        InvalidModel: no rule knows the node, and the shapes of its outputs are not known either; or
            it is not what ONNX allows.
    """
    rule = _RULES.get(node.op_type, untouched) if node.domain in _DOMAINS else untouched
    try:
        outputs = rule(reading, node)
    except NesaError:
        raise
    except (AssertionError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise InvalidModel(f"{node.op_type} {node.name} cannot be read: {error}") from error
    for name, axes in zip(node.output, outputs, strict=False):
        if name:
            reading.axes[name] = axes
            if node.op_type in VIEWS and node.input[0] in reading.roots:
                reading.roots[name] = reading.roots[node.input[0]]
