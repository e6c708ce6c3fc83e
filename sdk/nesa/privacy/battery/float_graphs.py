"""A float graph as something to attack: what is public of it, and what a node holds of it under a
user's key, which is what `nesa.privacy.equivariant.graphs` makes.

Depths are the tensors that enter dense layers and have the channels of the embedding, the stream of
a transformer; where a norm stands in between that nothing else reads, what enters the norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from nesa.models.runtime import session
from nesa.models.simplifying.network import Network
from nesa.privacy.battery.compiled import DEPTHS, Text
from nesa.privacy.battery.views import Floats, Hidden, Items, Observer, Public, Secret, View
from nesa.privacy.equivariant.axes import Axes
from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.graphs import GraphFrame, infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Leaf, leaves_of, stays
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.patterns import Norm, pattern_of
from nesa.protocol.errors import InvalidInput

STACKED: Final = 32
"""Requests in one run; more would only take memory."""

HIDDEN: Final[Mapping[Observer, Hidden]] = {
    Observer.PERMUTED_MEMBER: Hidden.CHANNELS,
    Observer.PERMUTED_PRIVATE: Hidden.CHANNELS,
    Observer.ROTATED_MEMBER: Hidden.BASIS,
    Observer.ROTATED_PRIVATE: Hidden.BASIS,
}
"""What a key does to the stream of the model, as each observer finds it."""


@dataclass(frozen=True, slots=True)
class FloatDepth:
    """A tensor by its name, and the constant of a dense layer that reads it and whose outputs a key
    only permutes; None where every layer mixes them, as queries and keys do."""

    name: str
    weights: str | None


class FloatSubject:
    """A float graph that reads token ids [1, places], and what an attacker knows of it.

    A `causal` model's state at a place depends on no later place. At most `depths` depths are
    looked at, evenly spaced.

    Raises:
        InvalidModel: as `infer_graph`.
        InvalidInput: the graph looks no ids up, or no dense layer reads what it looked up.
    """

    def __init__(
        self, proto: ModelProto, text: Text, *, causal: bool = False, depths: int = DEPTHS
    ) -> None:
        found = infer_graph(proto)
        self.plain = found.proto
        self._whole = proto
        self.table = _table(found.proto)
        every = _depths(found, self.table)
        self.depths = every[:: -(-len(every) // depths)]
        self._states = GraphStates(self.plain, self._names)
        self._places = text.text.shape[1]
        self._by_place = _by_place(found)
        self._text, self._causal = text, causal

    def public(self) -> Public:
        """What anybody can download, run and read."""
        known = np.full(self._places, -1)
        known[list(self._text.known)] = list(self._text.known.values())
        table = _constant(self.plain, self.table).astype(np.float32)
        return Public(
            vocabulary=len(table),
            states=self._states.run,
            text=self._text.text,
            known=known,
            common=self._text.common,
            table=table,
            layers=self._layers(self.plain),
            causal=self._causal,
            constants=self._constants(self.plain),
        )

    def view(self, observer: Observer, key: EquivariantKey, secret: Secret, watched: int) -> View:
        """What a node holds of requests to the graph under a key, of the first `watched` ones also
        the states at every depth.

        Raises:
            InvalidInput: not an observer of models under a key.
        """
        if observer not in HIDDEN:
            raise InvalidInput(f"{observer.value} sees no float model under a key")
        made, mover = transform_graph(self._whole, key), Mover(key)
        (frame,) = made.frames.inputs
        sent = [frame.encode(row[None], mover)[0] for row in secret.items]
        identifiers: Items = np.stack(sent).astype(np.int64)
        held = GraphStates(made.proto, self._names)
        few = identifiers[:watched]
        return View(
            observer,
            HIDDEN[observer],
            identifiers=identifiers,
            states={depth: held.run(few, depth) for depth in range(len(self.depths))},
            table=_constant(made.proto, self.table),
            layers=self._layers(made.proto),
            scattered=not stays(frame.places),
            constants=self._constants(made.proto),
        )

    @property
    def _names(self) -> list[str]:
        return [each.name for each in self.depths]

    def _constants(self, proto: ModelProto) -> Floats | None:
        """What the graph holds for each place, [places, k]."""
        rows = [
            np.moveaxis(_constant(proto, name), axis, 0).reshape(self._places, -1)
            for name, axis in self._by_place
        ]
        return np.concatenate(rows, axis=1) if rows else None

    def _layers(self, proto: ModelProto) -> dict[int, Floats]:
        """Weights [out, in] by depth, the gains of norms in front folded in on either side."""
        names = {depth: each.weights for depth, each in enumerate(self.depths) if each.weights}
        return {depth: _constant(proto, name).T for depth, name in names.items()}


class GraphStates:
    """Runs a graph in ONNX Runtime up to tensors of these names, many requests at a time.

    Its constants are initializers, as in what `infer_graph` gives and `FloatSubject.plain` is.
    """

    def __init__(self, proto: ModelProto, names: Sequence[str]) -> None:
        self._proto = _with_open_batch(proto)
        self._names = names
        self._sessions: dict[int, ort.InferenceSession] = {}

    def run(self, items: Items, depth: int) -> Floats:
        """Identifiers [n, places] to states [n, places, width] float32 at the name of number
        `depth`."""
        if depth not in self._sessions:
            self._sessions[depth] = session(_up_to(self._proto, self._names[depth]))
        runner, name = self._sessions[depth], self._proto.graph.input[0].name
        parts = np.array_split(items, -(-len(items) // STACKED))
        found = [runner.run(None, {name: part.astype(np.int64)})[0] for part in parts]
        states: Floats = np.concatenate(found).astype(np.float32).reshape(*items.shape, -1)
        return states


def _constant(proto: ModelProto, name: str) -> Floats:
    found = next(each for each in proto.graph.initializer if each.name == name)
    array: Floats = numpy_helper.to_array(found)
    return array


def _table(proto: ModelProto) -> str:
    """The constant that ids are looked up in."""
    ids = {info.name for info in proto.graph.input}
    constants = {tensor.name for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Gather" and node.input[0] in constants and node.input[1] in ids:
            return str(node.input[0])
    raise InvalidInput("the graph looks no token ids up")


def _depths(found: GraphFrame, table: str) -> tuple[FloatDepth, ...]:
    """What enters dense layers with the channels of the embedding, each tensor once."""
    stream = _labels(found, found.parameters[table][-1:])
    depths, norms = dict[str, str | None](), _norms(found.proto)
    for node in found.proto.graph.node:
        axes = found.parameters.get(node.input[1], ()) if node.op_type == "MatMul" else ()
        if len(axes) != 2 or _labels(found, axes[:1]) != stream:
            continue
        entering = norms.get(node.input[0], str(node.input[0]))
        depths.setdefault(entering, None)
        if _is_permuted(found, node.input[1]):
            depths[entering] = str(node.input[1])
    if not depths:
        raise InvalidInput("no dense layer reads what was looked up")
    return tuple(FloatDepth(name, weights) for name, weights in depths.items())


def _labels(found: GraphFrame, axes: Axes) -> list[int]:
    """By equal labels axes move alike."""
    return [leaf.label for leaf in leaves_of(found.layouts.of(axes))]


def _norms(proto: ModelProto) -> dict[str, str]:
    """What enters each norm that only dense layers read, by what comes out of it."""
    network, found, skipped = Network(proto), dict[str, str](), set[str]()
    for node in proto.graph.node:
        pattern = pattern_of(network, node)
        if isinstance(pattern, Norm):
            found[node.output[0]] = pattern.source
        elif node.op_type == "Mul" and node.input[1] in network.constants:  # the gain
            if node.input[0] in found:
                found[node.output[0]] = found[node.input[0]]
        elif node.op_type != "MatMul":
            skipped.update(node.input)
    return {name: source for name, source in found.items() if name not in skipped}


def _by_place(found: GraphFrame) -> tuple[tuple[str, int], ...]:
    """Constants with an axis that goes with the places of the input, and which it is."""
    (place,) = (one for one in found.frames.inputs[0].places if isinstance(one, Leaf))
    layouts = {name: found.layouts.of(axes) for name, axes in found.parameters.items()}
    return tuple(
        (name, layout.index(place))
        for name, layout in sorted(layouts.items())
        if place in layout and not place.stays
    )


def _is_permuted(found: GraphFrame, name: str) -> bool:
    """Whether a key does no more than permute the outputs of a dense layer [in, out]."""
    layout = found.layouts.of(found.parameters[name])
    outputs = layout[-1]
    return len(layout) == 2 and isinstance(outputs, Leaf) and outputs.conditions == PERMUTATION


def _with_open_batch(proto: ModelProto) -> ModelProto:
    """The graph for any number of requests, where its shapes hold one."""
    made, network = ModelProto(), Network(proto)
    made.CopyFrom(proto)
    shapes = {
        node.input[1]: node.output[0] for node in proto.graph.node if node.op_type == "Reshape"
    }
    for tensor in made.graph.initializer:
        if tensor.name in shapes:
            sizes = np.array(network.shape(shapes[tensor.name]), np.int64)
            sizes[:1] = -1
            tensor.CopyFrom(numpy_helper.from_array(sizes, tensor.name))
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "requests"
    return made


def _up_to(whole: ModelProto, name: str) -> bytes:
    """The part of a graph that makes one inner tensor."""
    made = ModelProto()
    made.CopyFrom(whole)
    needed = _makers_of(whole, name)
    del made.graph.node[:], made.graph.output[:], made.graph.value_info[:]
    made.graph.node.extend(needed)
    kind = next(t.data_type for t in whole.graph.initializer if t.data_type in _FLOATS)
    made.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return bytes(made.SerializeToString())


_FLOATS: Final = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def _makers_of(proto: ModelProto, name: str) -> list[NodeProto]:
    """The nodes that a tensor is made by, in their order."""
    wanted, found = {name}, list[NodeProto]()
    for node in reversed(proto.graph.node):
        if not wanted.isdisjoint(node.output):
            wanted.update(node.input)
            found.append(node)
    return found[::-1]
