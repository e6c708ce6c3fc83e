"""Reads a float ONNX model, as exporters write it, into the layers that can be compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from nesa.models.elementwise import OPERATORS, Function, absorb
from nesa.models.ordering import as_late_as_needed
from nesa.models.quantise import AnyFloats, Floats
from nesa.models.runtime import session
from nesa.models.simplifying.inputs import with_one_input
from nesa.models.simplifying.masks import HIDDEN
from nesa.models.simplifying.network import constants_of
from nesa.models.simplifying.pipeline import simplified
from nesa.protocol.errors import InvalidModel

VIEWS: Final = frozenset(
    {"Dropout", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Nodes that move numbers and change none."""

SUPPORTED: Final = VIEWS | frozenset(
    {"Add", "ArgMax", "AveragePool", "BatchNormalization", "Concat", "Conv", "Div", "Gather"}
    | {"Gemm", "GlobalAveragePool", "LayerNormalization", "MatMul", "MaxPool", "Mul"}
    | {"GlobalMaxPool", "ReduceMean", "ReduceSum", "Resize", "RMSNormalization"}
    | {"SimplifiedLayerNormalization", "Slice", "Softmax", "Split", "Sub"}
)
"""Node types that can be compiled, besides every function of one number."""

PLAIN: Final = frozenset(
    {"Constant", "ConstantOfShape", "CumSum", "IsNaN", "Range", "ReduceL2", "ScatterND", "Shape"}
    | {"Tile", "Trilu", "Xor"}
)
"""Node types that have to be gone once everything constant has been worked out."""

Constants = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One step of the model: its kind, the tensors it reads and the one that it gives.

    `kind` is the ONNX type, "Gemm" for every dense layer and "Function" for a chain of nodes that
    changes every number by itself. `weights` is [N, K] for Gemm and [N, C/G, kh, kw] for Conv,
    `biases` [N]; `constants` are the other constant inputs, in order, `constant_first` says that
    one of them comes before every tensor.
    """

    kind: str
    name: str
    sources: tuple[str, ...]
    target: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    weights: Floats | None = None
    biases: Floats | None = None
    constants: tuple[NDArray[np.generic], ...] = ()
    constant_first: bool = False
    function: Function | None = None

    @property
    def source(self) -> str:
        """The first tensor that it reads."""
        return self.sources[0]

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Attribute `key` as a tuple of integers."""
        value = self.attributes.get(key, default)
        return tuple(int(item) for item in value) if isinstance(value, list | tuple) else default

    def number(self, key: str, default: float) -> float:
        """Attribute `key` as a number."""
        value = self.attributes.get(key, default)
        return value if isinstance(value, int | float) else default


@dataclass(frozen=True, slots=True, eq=False)
class FloatModel:
    """A float model with one input and one output; its layers in the order of evaluation."""

    proto: onnx.ModelProto
    source: str
    target: str
    input_shape: tuple[int, ...]
    takes_indices: bool
    layers: tuple[Layer, ...]

    def activations(self, rows: AnyFloats) -> dict[str, Floats]:
        """Every tensor of the model on `rows` [n, ..], the input too, one row at a time."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        names = [layer.target for layer in self.layers if layer.kind != "ArgMax"]
        whole = rows.astype(np.float64).reshape(len(rows), *self.input_shape)
        if not names:
            return {self.source: whole}
        del proto.graph.output[:]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        runner = session(proto.SerializeToString())
        kind = runner.get_inputs()[0].type
        dtype = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}.get(kind, np.float32)
        found: dict[str, list[Floats]] = {name: [] for name in names}
        for row in rows:
            feeds = {self.source: row.astype(dtype).reshape(self.input_shape)}
            for name, values in zip(names, runner.run(names, feeds), strict=True):
                found[name].append(np.asarray(values, np.float64))
        return {self.source: whole} | {name: np.stack(found[name]) for name in names}


def read_float_model(data: bytes, padding: int | None = None) -> FloatModel:
    """The layers of an ONNX file with one input [1, ..] (or [batch, ..]) and one output.

    A model of language may have `attention_mask`, `token_type_ids` and `position_ids` besides its
    `input_ids`; they are derived, the mask from the index `padding`.

    Raises:
        InvalidModel: not an ONNX file, or a node that cannot be compiled, which is named.
    """
    proto = _parse(data)
    proto = with_one_input(proto, padding)
    if len(_inputs(proto)) != 1 or len(proto.graph.output) != 1:
        raise InvalidModel("the model must have one input and one output")
    _expect_supported(proto.graph.node)
    proto = simplified(proto)
    (source,) = _inputs(proto)
    constants = constants_of(proto)
    target = proto.graph.output[0].name
    layers = as_late_as_needed(_layers(proto, constants, target), target)
    tensor = source.type.tensor_type
    shape = tuple(size.dim_value or 1 for size in tensor.shape.dim)
    indices = tensor.elem_type in (TensorProto.INT32, TensorProto.INT64)
    return FloatModel(proto, source.name, target, shape, indices, layers)


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf and the checker share no public base
        raise InvalidModel(f"not a valid ONNX file: {error}") from error
    return proto


def _inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    fixed = {tensor.name for tensor in proto.graph.initializer}
    return [info for info in proto.graph.input if info.name not in fixed]


def _expect_supported(nodes: Sequence[NodeProto]) -> None:
    """Names nodes that cannot be compiled before an optimiser renames them."""
    for node in nodes:
        if node.domain not in ("", "ai.onnx") or node.op_type not in SUPPORTED | OPERATORS | PLAIN:
            raise _refusal(node)


def _refusal(node: NodeProto) -> InvalidModel:
    names = ", ".join(sorted(SUPPORTED))
    return InvalidModel(f"{_label(node)} cannot be compiled; supported: {names}")


def _label(node: NodeProto) -> str:
    return f"{node.op_type} node {node.name or node.output[0]!r}"


def _layers(proto: onnx.ModelProto, constants: Constants, target: str) -> list[Layer]:
    """Layers in order: chains of functions become one where something else reads them."""
    opset = next(item.version for item in proto.opset_import if item.domain in ("", "ai.onnx"))
    source = _inputs(proto)[0]
    whole = source.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)
    functions: dict[str, Function] = {}
    written: set[str] = set()
    layers: list[Layer] = []

    def need(name: str) -> None:
        if name in functions and name not in written:
            layers.append(_function_layer(functions[name]))
            written.add(name)

    for node in proto.graph.node:
        if node.op_type == "Constant":
            continue
        known = absorb(node, constants, functions, opset, source.name if whole else "")
        if known is not None:
            functions[node.output[0]] = known
            continue
        for name in node.input:
            need(name)
        layers.extend(_read(node, constants))
    need(target)
    return _with_masks(_with_biases(layers))


def _function_layer(function: Function) -> Layer:
    node = function.nodes[-1]
    kind = "Relu" if function.is_relu else "Function"
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return Layer(
        kind, _label(node), (function.source,), function.target, attributes, function=function
    )


def _read(node: NodeProto, constants: Constants) -> Iterator[Layer]:
    moving = tuple(name for name in node.input if name and name not in constants)
    fixed = tuple(np.asarray(constants[name]) for name in node.input if name in constants)
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    layer = Layer(
        node.op_type,
        _label(node),
        moving,
        node.output[0],
        attributes,
        constants=fixed,
        constant_first=node.input[0] in constants,
    )
    if node.op_type not in SUPPORTED:
        raise _refusal(node)
    if not moving:
        raise InvalidModel(f"{layer.name} has no input that is not constant")
    match node.op_type:
        case "Gemm" | "MatMul" if len(moving) == 1:
            yield _dense(layer)
        case "Conv":
            yield _convolution(layer)
        case "BatchNormalization":
            yield _batch_norm(layer)
        case "Split":
            yield from _parts(layer, node)
        case "Div" if fixed and not layer.constant_first:
            inverse = (1 / fixed[0].astype(np.float64)).astype(np.float32)
            yield replace(layer, kind="Mul", constants=(inverse,))
        case "SimplifiedLayerNormalization":
            yield replace(layer, kind="RMSNormalization")
        case _:
            yield layer


def _dense(layer: Layer) -> Layer:
    matrix = layer.constants[0].astype(np.float64)
    if layer.constant_first or matrix.ndim != 2 or layer.number("transA", 0):
        raise InvalidModel(f"{layer.name} must multiply by a constant matrix from the right")
    weights = matrix if layer.number("transB", 0) else matrix.T
    biases = np.zeros(len(weights))
    if len(layer.constants) > 1:
        added = layer.constants[1].astype(np.float64).reshape(-1)
        biases = biases + added * layer.number("beta", 1.0)
    scaled = weights * layer.number("alpha", 1.0)
    return replace(layer, kind="Gemm", weights=scaled, biases=biases, constants=())


def _convolution(layer: Layer) -> Layer:
    if len(layer.sources) != 1:
        raise InvalidModel(f"{layer.name} must have constant weights")
    weights = layer.constants[0].astype(np.float64)
    if weights.ndim != 4 or set(layer.integers("dilations", (1, 1))) != {1}:
        raise InvalidModel(f"{layer.name} must be two-dimensional and without dilation")
    more = layer.constants[1:]
    biases = more[0].astype(np.float64) if more else np.zeros(len(weights))
    return replace(layer, weights=weights, biases=biases, constants=())


def _batch_norm(layer: Layer) -> Layer:
    """A batch norm that follows no convolution: one channel times a number, plus a number."""
    gains, offsets, means, variances = (item.astype(np.float64) for item in layer.constants)
    gains = gains / np.sqrt(variances + layer.number("epsilon", 1e-5))
    return replace(
        layer,
        kind="Conv",
        weights=gains.reshape(-1, 1, 1, 1),
        biases=offsets - gains * means,
        attributes={"group": len(gains)},
        constants=(),
    )


def _parts(layer: Layer, node: NodeProto) -> Iterator[Layer]:
    """The parts of a Split as slices, without end where the sizes are equal."""
    count, axis = len(node.output), int(layer.number("axis", 0))
    sizes = [int(size) for size in layer.constants[0]] if layer.constants else []
    for place, name in enumerate(node.output):
        attributes: dict[str, object] = {"axis": axis, "part": place, "parts": count}
        if sizes:
            attributes |= {"start": sum(sizes[:place]), "stop": sum(sizes[: place + 1])}
        yield replace(layer, kind="Split", target=name, attributes=attributes, constants=())


def _with_biases(layers: list[Layer]) -> list[Layer]:
    """Sums with one constant for each channel go into the dense layer before them."""
    uses = Counter(name for layer in layers for name in layer.sources)
    found: list[Layer] = []
    makers: dict[str, int] = {}
    for layer in layers:
        place = makers.get(layer.source) if uses[layer.source] == 1 else None
        joined = _joined(found[place], layer) if place is not None else None
        if place is None or joined is None:
            makers[layer.target] = len(found)
            found.append(layer)
        else:
            makers[layer.target] = place
            found[place] = joined
    return found


def _joined(before: Layer, added: Layer) -> Layer | None:
    """The dense layer with the sum behind it; None where they are something else."""
    if before.kind != "Gemm" or before.biases is None or added.kind != "Add" or not added.constants:
        return None
    values = added.constants[0]
    if values.size not in (1, before.biases.size) or values.shape[-1:] != (values.size,):
        return None
    biases = before.biases + values.astype(np.float64).reshape(-1)
    return replace(before, target=added.target, biases=biases)


def _with_masks(layers: list[Layer]) -> list[Layer]:
    """What is added to the scores of a softmax to hide places goes into the softmax.

    Its sources are then the scores and maybe the mask of the indices, its constants maybe the sum
    of what else is added to the scores.
    """
    uses = Counter(name for layer in layers for name in layer.sources)
    makers = {layer.target: layer for layer in layers}
    return [_masked(layer, makers, uses) if layer.kind == "Softmax" else layer for layer in layers]


def _masked(softmax: Layer, makers: Mapping[str, Layer], uses: Counter[str]) -> Layer:
    scores = softmax.source
    columns: tuple[str, ...] = ()
    constants: tuple[NDArray[np.generic], ...] = ()
    while uses[scores] == 1 and (added := makers.get(scores)) is not None and added.kind == "Add":
        if added.constants and float(np.asarray(added.constants[0], np.float64).min()) <= -HIDDEN:
            constants = (*constants, added.constants[0])
        elif len(added.sources) == 2 and _hides(added.sources[1], makers):
            columns = (*columns, added.sources[1])
        else:
            break
        scores = added.source
    return replace(softmax, sources=(scores, *columns), constants=constants)


def _hides(name: str, makers: Mapping[str, Layer]) -> bool:
    """Whether the tensor is the table of the indices that a mask has been made into."""
    layer = makers.get(name)
    while layer is not None and layer.kind in VIEWS:
        layer = makers.get(layer.source)
    return layer is not None and layer.function is not None and layer.function.hides(HIDDEN)
