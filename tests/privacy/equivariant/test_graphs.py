"""Float graphs under a key: R2 on a Llama, R3 for every operator, R4 the limit of LayerNorm."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from nesa.models.runtime import session
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.graphs import infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Leaf
from nesa.privacy.equivariant.moves import Mixed, draw
from nesa.privacy.equivariant.preparing import constant_tensors, prepared, replace_constants
from nesa.privacy.streams import Stream
from nesa.protocol.errors import InvalidModel
from tests.privacy.equivariant import float_graphs as made_of
from tests.privacy.equivariant.float_graphs import (
    KEY,
    LENGTH,
    WIDTH,
    WORDS,
    Array,
    GraphBuilder,
    answer,
    error,
    heads,
    layer_norm,
    llama,
    moved,
    rms_norm,
    silu,
)
from tests.privacy.equivariant.random_graphs import RandomGraph

FLOAT = TensorProto.DOUBLE
ROWS = ("x", (1, LENGTH, WIDTH), FLOAT)
IMAGE = ("x", (1, 3, 9, 9), FLOAT)


def conditions(proto: onnx.ModelProto, size: int) -> set[Conditions]:
    """What the axes of one size may take."""
    return {leaf.rules for leaf in infer_graph(proto).layouts.leaves() if leaf.size == size}


def inputs(proto: onnx.ModelProto, seed: int) -> list[Array]:
    """Random inputs of a graph; whole ones are words."""
    random, found = np.random.default_rng(seed), []
    for info in proto.graph.input:
        kind = info.type.tensor_type
        shape = [size.dim_value for size in kind.shape.dim]
        whole = kind.elem_type == TensorProto.INT64
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        found.append(random.integers(0, WORDS, shape) if whole else random.normal(size=shape))
        found[-1] = found[-1].astype(dtype)
    return found


def running(proto: onnx.ModelProto) -> Callable[[Array], Array]:
    """Ids to logits, by ONNX Runtime."""
    ready = session(proto.SerializeToString())
    return lambda ids: ready.run(None, {"ids": ids})[0]


def both_ways(proto: onnx.ModelProto, read: EquivariantKey = KEY) -> Callable[[Array], list[Array]]:
    """Ids to the plain logits and to those by way of KEY, decoded with `read`."""
    made = transform_graph(proto, KEY)
    plain, other = running(proto), running(made.proto)

    def ask(ids: Array) -> list[Array]:
        (sent,) = made.frames.encode_inputs(KEY, [ids])
        (back,) = made.frames.decode_outputs(read, [other(sent.astype(np.int64))])
        return [plain(ids), back]

    return ask


def test_a_llama_answers_the_same_in_float64() -> None:
    """R2: to 1e-9, with a rotated residual stream and every weight changed."""
    proto = llama()
    for seed in range(5):
        key = EquivariantKey(bytes([seed]) * 32, bytes(32))
        assert error(proto, inputs(proto, seed), key) < 1e-9
    dense = [tensor for tensor in proto.graph.initializer if len(tensor.dims) == 2]
    assert moved(proto) >= len(dense)


def test_what_each_axis_of_a_llama_may_take() -> None:
    """The residual stream is rotated, keys and queries in the planes of their positions, values in
    any way, the inner layers and words permuted; all but the first differ from head to head."""
    leaves = infer_graph(llama()).layouts.leaves()
    by_size = {
        size: [leaf for leaf in leaves if leaf.size == size and not leaf.stays]
        for size in (WIDTH, made_of.HEAD, made_of.INNER, WORDS)
    }
    assert {leaf.rules for leaf in by_size[WIDTH]} == {Conditions.ORTHOGONAL}
    assert {leaf.rules for leaf in by_size[made_of.HEAD]} == {Conditions.PLANES, Conditions.NONE}
    assert all(
        leaf.parents == ((leaf.parents[0][0], made_of.GROUPS),) for leaf in by_size[made_of.HEAD]
    )
    assert {leaf.rules for leaf in by_size[made_of.INNER]} == {PERMUTATION}
    assert {leaf.rules for leaf in by_size[WORDS]} == {PERMUTATION}


def test_a_llama_says_the_same_in_float32() -> None:
    """R2: to 1e-3, and the most likely word of 100 prompts is the same."""
    proto = llama(np.float32)
    ask = both_ways(proto)
    for seed in range(100):
        plain, back = ask(*inputs(proto, seed))
        assert np.abs(plain - back).max() < 1e-3
        assert np.array_equal(plain.argmax(-1), back.argmax(-1))


def test_a_llama_writes_the_same_text_under_a_key() -> None:
    """R2: the most likely word again and again, sixteen of them behind each of 100 prompts."""
    proto = llama(np.float32)
    made = transform_graph(proto, KEY)
    plain, other = running(proto), running(made.proto)

    def under_the_key(ids: Array) -> Array:
        (sent,) = made.frames.encode_inputs(KEY, [ids])
        (back,) = made.frames.decode_outputs(KEY, [other(sent.astype(np.int64))])
        return back

    texts = set()
    for seed in range(100):
        (prompt,) = inputs(proto, seed)
        written = greedy(plain, prompt)
        assert written == greedy(under_the_key, prompt)
        texts.add(written)
    assert len(texts) > 50


def greedy(ask: Callable[[Array], Array], prompt: Array, words: int = 16) -> tuple[int, ...]:
    """The words that follow, each the most likely behind those that still fit into the window."""
    ids, written = prompt, list[int]()
    for _ in range(words):
        written.append(int(ask(ids)[0, -1].argmax()))
        ids = np.concatenate([ids[:, 1:], [[written[-1]]]], 1)
    return tuple(written)


def test_a_head_that_is_tied_to_the_words_is_untied() -> None:
    proto = llama(np.float32, tied=True)
    plain, back = both_ways(proto)(*inputs(proto, 1))
    assert np.abs(plain - back).max() < 1e-3
    assert conditions(proto, WIDTH) == {Conditions.ORTHOGONAL}


def test_a_wrong_key_reads_noise() -> None:
    """R8: decoded with another key, the most likely word is the same as often as a guessed one."""
    proto = llama(np.float32)
    ask = both_ways(proto, KEY.rotated())
    pairs = [ask(*inputs(proto, seed)) for seed in range(30)]
    same = np.array([plain.argmax(-1) == back.argmax(-1) for plain, back in pairs])
    chance = 1 / WORDS
    assert same.mean() < chance + 4 * np.sqrt(chance * (1 - chance) / same.size)


def one_layer(build: Callable[[GraphBuilder, str], str], given=ROWS) -> onnx.ModelProto:
    made = GraphBuilder()
    return made.model([given], [build(made, "x")])


def dense(made: GraphBuilder, name: str, outer: int = 24, inner: int = WIDTH) -> str:
    product = made.add("MatMul", name, made.weights(inner, outer))
    return made.add("Add", product, made.vector(outer))


def between(act: Callable[[GraphBuilder, str], str]) -> Callable[[GraphBuilder, str], str]:
    """Dense, a function of 24 numbers, dense."""
    return lambda made, name: dense(made, act(made, dense(made, name)), 5, 24)


def routed(made: GraphBuilder, name: str) -> str:
    """The two experts of six whose gates are the largest, as exporters write it out."""
    gates = made.add("MatMul", name, made.weights(WIDTH, 6))
    values, chosen = made.add("TopK", gates, made.whole(2), outputs=2)
    hot = made.add("OneHot", chosen, made.whole(6), made.constant([0.0, 1.0]))
    scaled = made.add("Mul", hot, made.add("Unsqueeze", made.add("Softmax", values), made.whole(3)))
    weights = made.add("ReduceSum", scaled, made.whole(2), keepdims=0)
    outputs = made.reshape(dense(made, name, 30), 1, LENGTH, 6, 5)
    weighted = made.add("Mul", outputs, made.add("Unsqueeze", weights, made.whole(3)))
    return made.add("ReduceSum", weighted, made.whole(2), keepdims=0)


def simple(kind: str, **attributes: Any) -> Callable[[GraphBuilder, str], str]:
    return between(lambda made, name: made.add(kind, name, **attributes))


def gelu(made: GraphBuilder, name: str) -> str:
    """By the error function, as exporters write it out."""
    bent = made.add("Erf", made.add("Div", name, made.constant(np.sqrt(2))))
    shifted = made.add("Add", bent, made.constant(1.0))
    return made.add("Mul", made.add("Mul", name, shifted), made.constant(0.5))


def attention(made: GraphBuilder, states: str) -> str:
    """Four heads without positions."""
    return attended(made, (heads(made, states, 4) for _ in range(3)))


def attended(made: GraphBuilder, read: Iterable[str], bias: str = "", length: int = LENGTH) -> str:
    """What four heads make of queries, keys and values, with a bias of the scores."""
    query, key, value = read
    scores = made.add("MatMul", query, made.add("Transpose", key, perm=[0, 1, 3, 2]))
    scores = made.add("Add", scores, bias) if bias else scores
    mixed = made.add("MatMul", made.add("Softmax", scores, axis=-1), value)
    joined = made.add("Transpose", mixed, perm=[0, 2, 1, 3])
    return made.add("MatMul", made.reshape(joined, 1, length, 24), made.weights(24, WIDTH))


def normalised_queries(made: GraphBuilder, states: str) -> str:
    """Queries and keys are brought to one length, with gains that were learned (QK-norm)."""
    query, key, value = (heads(made, states, 4) for _ in range(3))
    query, key = (rms_norm(made, each, 6) for each in (query, key))
    return attended(made, (query, key, value))


def linear_biases(made: GraphBuilder, states: str) -> str:
    """Scores lose by distance, in every head at a rate of its own (ALiBi)."""
    far = -np.abs(np.arange(LENGTH)[:, None] - np.arange(LENGTH))
    bias = made.constant(far * 2.0 ** -np.arange(1, 5)[:, None, None])
    return attended(made, (heads(made, states, 4) for _ in range(3)), bias)


def relative_positions(made: GraphBuilder, states: str) -> str:
    """A bias of the scores by distance and head, out of a table."""
    far = np.arange(LENGTH)[:, None] - np.arange(LENGTH) + LENGTH - 1
    found = made.add("Gather", made.weights(2 * LENGTH - 1, 4), made.constant(far, np.int64))
    bias = made.add("Transpose", found, perm=[2, 0, 1])
    return attended(made, (heads(made, states, 4) for _ in range(3)), bias)


def one_more(past: int) -> onnx.ModelProto:
    """Attention of one token to itself and to `past` ones before, whose keys and values are given;
    all keys and values come out."""
    made = GraphBuilder()
    query, key, value = (heads(made, "x", 4, 1) for _ in range(3))
    keys = made.add("Concat", "keys", key, axis=2)
    values = made.add("Concat", "values", value, axis=2)
    held = [(name, (1, 4, past, 6), FLOAT) for name in ("keys", "values")]
    outputs = [attended(made, (query, keys, values), length=1), keys, values]
    return made.model([("x", (1, 1, WIDTH), FLOAT), *held], outputs)


def quantised(made: GraphBuilder, name: str) -> str:
    """Dense layers whose weights are integers, one scale for all and one a column."""
    first = made.constant(made.random.integers(-127, 128, (WIDTH, 24)), np.int8)
    scale, zero = made.constant(0.01), made.constant(3, np.int8)
    outer = made.constant(made.random.integers(0, 256, (24, 5)), np.uint8)
    scales, zeros = made.vector(5), made.constant(made.random.integers(90, 130, 5), np.uint8)
    bent = made.add(
        "Relu", made.add("MatMul", name, made.add("DequantizeLinear", first, scale, zero))
    )
    return made.add("MatMul", bent, made.add("DequantizeLinear", outer, scales, zeros, axis=1))


def fused(made: GraphBuilder, states: str) -> str:
    """Queries, keys and values of one dense layer, split."""
    joint = made.add("MatMul", states, made.weights(WIDTH, 72))
    parts = made.add("Split", joint, made.whole(24, 24, 24), outputs=3, axis=-1)
    shape = (1, LENGTH, 4, 6)
    query, key, value = (
        made.add("Transpose", made.reshape(part, *shape), perm=[0, 2, 1, 3]) for part in parts
    )
    scores = made.add("MatMul", query, made.add("Transpose", key, perm=[0, 1, 3, 2]))
    mixed = made.add("MatMul", made.add("Softmax", scores, axis=-1), value)
    joined = made.reshape(made.add("Transpose", mixed, perm=[0, 2, 1, 3]), 1, LENGTH, 24)
    return made.add("MatMul", joined, made.weights(24, WIDTH))


def convolutions(made: GraphBuilder, image: str) -> str:
    """Convolution, rectified, pooled, depthwise, normalised, averaged, classified."""
    square: dict[str, Any] = {"kernel_shape": [3, 3]}
    first = made.add(
        "Conv",
        image,
        made.constant(made.random.normal(size=(8, 3, 3, 3))),
        made.vector(8),
        **square,
    )
    pooled = made.add("MaxPool", made.add("Relu", first), kernel_shape=[2, 2])
    deep = made.add(
        "Conv", pooled, made.constant(made.random.normal(size=(8, 1, 3, 3))), group=8, **square
    )
    statistics = [made.vector(8) for _ in range(4)]
    normal = made.add("BatchNormalization", deep, *statistics)
    grouped = made.add(
        "Conv",
        made.add("Tanh", normal),
        made.constant(made.random.normal(size=(12, 2, 1, 1))),
        group=4,
    )
    flat = made.add("Flatten", made.add("GlobalAveragePool", grouped))
    return made.add("Gemm", flat, made.weights(5, 12), made.vector(5), transB=1)


def patches(made: GraphBuilder, image: str) -> str:
    """As of a vision transformer: a convolution without overlap, its places as tokens."""
    weights = made.constant(made.random.normal(size=(WIDTH, 3, 3, 3)))
    cells = made.add("Conv", image, weights, kernel_shape=[3, 3], strides=[3, 3])
    tokens = made.add("Transpose", made.reshape(cells, 1, WIDTH, 9), perm=[0, 2, 1])
    normal = layer_norm(made, made.add("Add", tokens, made.weights(1, 9, WIDTH)))
    return made.add("ReduceMean", dense(made, normal), made.whole(1), keepdims=0)


def experts(made: GraphBuilder, states: str) -> str:
    """Three experts, all of them asked, weighted by a router."""
    shares = made.add("Softmax", made.add("MatMul", states, made.weights(WIDTH, 3)), axis=-1)
    spread = made.add("Transpose", shares, perm=[2, 1, 0])
    inner = silu(made, made.add("MatMul", states, made.weights(3, WIDTH, 20)))
    outer = made.add("MatMul", inner, made.weights(3, 20, WIDTH))
    weighted = made.add("Mul", outer, spread)
    return made.add("ReduceSum", weighted, made.whole(0), keepdims=1)


def adapted(made: GraphBuilder, states: str) -> str:
    """A dense layer with a low-rank adapter (LoRA) beside it."""
    low = made.add("MatMul", states, made.weights(WIDTH, 2))
    beside = made.add("Mul", made.add("MatMul", low, made.weights(2, 24)), made.constant(0.5))
    return made.add("Add", made.add("MatMul", states, made.weights(WIDTH, 24)), beside)


def embedding(made: GraphBuilder, ids: str) -> str:
    """Words with positions, those of padding masked, to the mean."""
    words = made.add("Gather", made.weights(WORDS, WIDTH), ids)
    states = layer_norm(made, made.add("Add", words, made.weights(1, LENGTH, WIDTH)))
    real = made.add("Not", made.add("Equal", ids, made.constant(3, np.int64)))
    weight = made.add("Unsqueeze", made.add("Cast", real, to=FLOAT), made.whole(2))
    total = made.add("ReduceSum", made.add("Mul", states, weight), made.whole(1), keepdims=0)
    count = made.add("ReduceSum", weight, made.whole(1), keepdims=0)
    return made.add("Div", total, made.add("Add", count, made.constant(1e-9)))


LAYERS: dict[str, tuple[Callable[[GraphBuilder, str], str], tuple]] = {
    "linear": (dense, ROWS),
    "relu": (simple("Relu"), ROWS),
    "leaky relu": (simple("LeakyRelu", alpha=0.1), ROWS),
    "gelu": (between(gelu), ROWS),
    "gelu as one node": (simple("Gelu"), ROWS),
    "silu": (between(silu), ROWS),
    "tanh": (simple("Tanh"), ROWS),
    "rms norm": (lambda made, name: dense(made, rms_norm(made, dense(made, name, WIDTH))), ROWS),
    "layer norm": (
        lambda made, name: dense(made, layer_norm(made, dense(made, name, WIDTH))),
        ROWS,
    ),
    "attention": (attention, ROWS),
    "fused attention": (fused, ROWS),
    "normalised queries": (normalised_queries, ROWS),
    "linear biases": (linear_biases, ROWS),
    "relative positions": (relative_positions, ROWS),
    "rotary": (lambda made, x: made_of._attention(made, x), ROWS),
    "embedding": (embedding, ("ids", (1, LENGTH), TensorProto.INT64)),
    "convolution": (convolutions, IMAGE),
    "patches": (patches, IMAGE),
    "experts": (experts, ROWS),
    "adapter": (adapted, ROWS),
    "routing to experts": (routed, ROWS),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_answers_the_same_to_rounding(name: str) -> None:
    """R3: to 1e-10 in float64, and a transform that changes constants."""
    build, given = LAYERS[name]
    made = GraphBuilder()
    proto = made.model([given], [build(made, given[0])])
    for seed in range(3):
        key = EquivariantKey(bytes([seed]) * 32, bytes(32))
        assert error(proto, inputs(proto, seed), key) < 1e-10
    assert moved(proto)


def test_gains_of_queries_leave_permutations_and_values_anything() -> None:
    proto = one_layer(normalised_queries)
    assert conditions(proto, made_of.HEAD) == {PERMUTATION, Conditions.NONE}


@pytest.mark.parametrize("build", [linear_biases, relative_positions])
def test_heads_move_together_with_the_biases_of_their_scores(
    build: Callable[[GraphBuilder, str], str],
) -> None:
    proto = one_layer(build)
    leaves = infer_graph(proto).layouts.leaves()
    head_counts = [leaf for leaf in leaves if leaf.size == 4 and not leaf.stays]
    assert {leaf.rules for leaf in head_counts} == {PERMUTATION}
    assert moved(proto) >= 5, "queries, keys, values, outputs and the biases"


def test_a_cache_of_keys_and_values_goes_on_under_a_key() -> None:
    """Two tokens, one after the other, as the plain model asked about both with its own cache."""
    random = np.random.default_rng(4)
    tokens = random.normal(size=(2, 1, 1, WIDTH))
    plain = [random.normal(size=(1, 4, 5, 6)) for _ in range(2)]
    kept = plain
    for step, token in enumerate(tokens):
        proto = one_more(5 + step)
        expected, *plain = answer(proto, [token, *plain])
        found, *kept = made_of.through(proto, [token, *kept])
        assert np.abs(found - expected).max() < 1e-10
        assert all(np.abs(one - two).max() < 1e-10 for one, two in zip(kept, plain, strict=True))


def test_half_precision_says_the_same_word() -> None:
    """Weights and sums in float16: the most likely word is the same where the plain model is not
    itself undecided within the rounding."""
    proto, same, near = llama(np.float16), list[Array](), 0.0
    made = transform_graph(proto, KEY)
    stored = {one.data_type for one in made.proto.graph.initializer}
    assert stored == {TensorProto.FLOAT16, TensorProto.INT64}
    for seed in range(40):
        given = inputs(proto, seed)
        (plain,), (back,) = answer(proto, given), made_of.through(proto, given)
        same.append(plain.argmax(-1) == back.argmax(-1))
        near = max(near, float(np.abs(plain.astype(np.float64) - back).max()))
    assert np.mean(same) >= 0.98
    assert 0 < near < 0.1


def test_quantised_weights_are_the_floats_that_they_stand_for() -> None:
    """As the plain graph dequantises them, in single precision."""
    given = ("x", (1, LENGTH, WIDTH), TensorProto.FLOAT)
    made = GraphBuilder(kind=np.float32)
    proto = made.model([given], [quantised(made, "x")])
    for seed in range(3):
        rows = inputs(proto, seed)
        scale = float(np.abs(answer(proto, rows)[0]).max())
        assert error(proto, rows, EquivariantKey(bytes([seed]) * 32, bytes(32))) < 1e-5 * scale
    kinds = {one.data_type for one in transform_graph(proto, KEY).proto.graph.initializer}
    assert TensorProto.FLOAT in kinds
    assert TensorProto.INT8 not in kinds
    assert moved(proto) == 2


@pytest.mark.parametrize(
    "stored",
    [TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2, TensorProto.INT4, TensorProto.INT32],
)
def test_constants_of_every_type_are_what_they_stand_for(stored: int) -> None:
    """Broken ones in float8, small ones in four bits, and 2^24 + 1, which is no float32."""
    kind = helper.tensor_dtype_to_np_dtype(stored)
    made = GraphBuilder(kind=np.float64)
    numbers = made.random.normal(0, 3, (WIDTH, 4)).astype(kind)
    if stored == TensorProto.INT32:
        numbers[0] = 2**24 + 1
    held = made.add("DequantizeLinear", made.constant(numbers, kind), made.constant(0.5))
    given = ("x", (1, LENGTH, WIDTH), TensorProto.DOUBLE)
    ready = prepared(made.model([given], [made.add("MatMul", "x", held)]))
    assert np.array_equal(constant_tensors(ready)[held], numbers.astype(np.float64) * 0.5)


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Eight rows of `x`."""

    def __init__(self) -> None:
        rows = np.random.default_rng(1).normal(size=(8, 1, WIDTH)).astype(np.float32)
        self.rows = iter(rows)

    def get_next(self) -> dict[str, Array] | None:
        row = next(self.rows, None)
        return None if row is None else {"x": row}


def with_float_activations(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Constants stay quantised; what is quantised on its way goes as it is."""
    made = onnx.ModelProto.FromString(proto.SerializeToString())
    del made.graph.node[:]
    passed = dict[str, str]()
    for node in proto.graph.node:
        source = passed.get(node.input[0], node.input[0])
        if node.op_type == "QuantizeLinear" or (
            node.op_type == "DequantizeLinear" and node.input[0] in passed
        ):
            passed[node.output[0]] = source
            continue
        made.graph.node.append(node)
        made.graph.node[-1].input[0] = source
    last = proto.graph.output[0].name
    made.graph.node.append(helper.make_node("Identity", [passed[last]], [last]))
    return made


def test_what_onnx_runtime_quantises_is_transformed(tmp_path: Path) -> None:
    """It writes a bias with one scale in a vector, and no axis. Activations that are quantised
    stay in their order, and what touches them."""
    made = GraphBuilder(kind=np.float32)
    sums = made.add("Gemm", "x", made.weights(WIDTH, 24), made.vector(24))
    last = made.add("Gemm", made.add("Relu", sums), made.weights(24, 5), made.vector(5))
    plain = made.model([("x", (1, WIDTH), TensorProto.FLOAT)], [last])
    quantize_static(plain, tmp_path / "made.onnx", Calibration(), QuantFormat.QDQ)
    proto = onnx.load(tmp_path / "made.onnx")
    assert [1] in [list(one.dims) for one in proto.graph.initializer]
    assert error(proto, inputs(proto, 1), KEY) < 1e-5
    assert moved(proto) == 0
    floats = with_float_activations(proto)
    assert error(floats, inputs(floats, 1), KEY) < 1e-5
    assert moved(floats) == 4


@pytest.mark.parametrize(("scales", "axis"), [(4, 2), (4, -3), (3, 1)])
def test_scales_that_do_not_fit_a_constant_are_refused(scales: int, axis: int) -> None:
    made = GraphBuilder(kind=np.float32)
    whole = made.constant(np.ones((WIDTH, 4)), np.int8)
    held = made.add("DequantizeLinear", whole, made.vector(scales), axis=axis)
    given = ("x", (1, LENGTH, WIDTH), TensorProto.FLOAT)
    with pytest.raises(InvalidModel, match=f"{scales} scales or zeros for axis {axis}"):
        transform_graph(made.model([given], [made.add("MatMul", "x", held)]), KEY)


def test_scales_for_each_block_are_refused() -> None:
    made = GraphBuilder(kind=np.float32)
    whole = made.constant(np.ones((WIDTH, 4)), np.int8)
    held = made.add("DequantizeLinear", whole, made.weights(2, 4), axis=0, block_size=8)
    given = ("x", (1, LENGTH, WIDTH), TensorProto.FLOAT)
    with pytest.raises(InvalidModel, match="a scale for each block"):
        transform_graph(made.model([given], [made.add("MatMul", "x", held)]), KEY)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (TensorProto.INT64, "int64"),
        (TensorProto.INT4, "int4"),
        (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
    ],
)
def test_numbers_that_a_type_does_not_hold_are_refused(kind: int, title: str) -> None:
    held = np.arange(4, dtype=np.float64)
    proto = one_layer(dense)
    stored = held.astype(helper.tensor_dtype_to_np_dtype(kind))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(stored, "few"))
    replace_constants(proto, {"few": held[::-1]})
    with pytest.raises(InvalidModel, match=f"holds numbers of type {title}"):
        replace_constants(proto, {"few": held + 0.3})


def test_each_function_allows_what_it_commutes_with() -> None:
    assert conditions(one_layer(simple("Relu")), 24) == {Conditions.SPARSE}
    assert conditions(one_layer(simple("Tanh")), 24) == {PERMUTATION}
    assert conditions(one_layer(between(lambda made, x: x)), 24) == {Conditions.NONE}
    assert conditions(one_layer(dense), WIDTH) == {Conditions.NONE}
    assert conditions(one_layer(attention), 6) == {Conditions.NONE}
    assert conditions(one_layer(convolutions, IMAGE), 3) >= {Conditions.NONE}


def test_a_layer_norm_takes_only_rotations_that_fix_the_ones() -> None:
    """R4: with gain and offset folded into the dense layer behind."""
    proto = one_layer(lambda made, x: dense(made, layer_norm(made, dense(made, x, WIDTH))))
    inner = conditions(proto, WIDTH) - {Conditions.NONE}
    assert inner == {Conditions.ORTHOGONAL | Conditions.FIXING_ONES}
    root = one_layer(lambda made, x: dense(made, rms_norm(made, dense(made, x, WIDTH))))
    assert conditions(root, WIDTH) - {Conditions.NONE} == {Conditions.ORTHOGONAL}


def test_a_generic_rotation_of_a_layer_norm_is_wrong() -> None:
    """R4: why it is refused."""

    def norm(rows: Array) -> Array:
        centred = rows - rows.mean(-1, keepdims=True)
        scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
        return scaled

    rows = np.random.default_rng(0).normal(0.3, 1, (5, 64))
    for rules, exact in (
        (Conditions.ORTHOGONAL, False),
        (Conditions.ORTHOGONAL | Conditions.FIXING_ONES, True),
    ):
        move = draw(Leaf(label=0, size=64, conditions=int(rules)), Stream(bytes(32)))
        assert isinstance(move, Mixed)
        turn = move.matrices
        assert np.allclose(turn @ turn.T, np.eye(64))
        assert not np.allclose(turn, np.eye(64))
        found = np.abs(norm(rows @ turn.T) - norm(rows) @ turn.T).max()
        assert (found < 1e-12) if exact else (found > 0.1)


def test_a_norm_that_others_read_too_allows_permutations() -> None:
    """Post-norm: the normalised rows go into the skip as well, so that the gain stays in it."""

    def block(made: GraphBuilder, name: str) -> str:
        normal = layer_norm(made, dense(made, name, WIDTH))
        inner = dense(made, made.add("Tanh", dense(made, normal)), WIDTH, 24)
        return dense(made, layer_norm(made, made.add("Add", normal, inner)))

    proto = one_layer(block)
    assert any(one.permutes for one in conditions(proto, WIDTH))
    assert error(proto, inputs(proto, 1)) < 1e-10


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNormalization"])
def test_norms_of_one_node_are_folded_too(kind: str) -> None:
    def block(made: GraphBuilder, name: str) -> str:
        affine = [made.vector(WIDTH)]
        if kind == "LayerNormalization":
            affine.append(made.vector(WIDTH))
        return dense(made, made.add(kind, dense(made, name, WIDTH), *affine, axis=-1))

    made = GraphBuilder()
    proto = made.model([ROWS], [block(made, "x")])
    proto.opset_import[0].version = 23
    expected = Conditions.ORTHOGONAL
    if kind == "LayerNormalization":
        expected |= Conditions.FIXING_ONES
    assert conditions(proto, WIDTH) - {Conditions.NONE} == {expected}
    assert error(proto, inputs(proto, 1)) < 1e-10


def test_the_words_of_padding_are_renamed_where_they_are_compared() -> None:
    build, given = LAYERS["embedding"]
    made = GraphBuilder()
    proto = made.model([given], [build(made, "ids")])
    frame = transform_graph(proto, KEY).frames.inputs[0]
    assert frame.alphabet is not None
    assert not frame.alphabet.stays
    padded = np.array([[1, 2, 9, 3, 3, 3, 3]])
    assert error(proto, [padded]) < 1e-10


def test_ids_that_are_reckoned_with_stay() -> None:
    made = GraphBuilder()
    words = made.add("Gather", made.weights(WORDS, WIDTH), "ids")
    number = made.add("Unsqueeze", made.add("Cast", "ids", to=FLOAT), made.whole(2))
    summed = made.add("Add", words, number)
    proto = made.model([("ids", (1, LENGTH), TensorProto.INT64)], [dense(made, summed)])
    frame = transform_graph(proto, KEY).frames.inputs[0]
    assert frame.alphabet is None or frame.alphabet.stays
    assert error(proto, inputs(proto, 1)) < 1e-10


def test_what_no_rule_knows_stays_as_it_is() -> None:
    def block(made: GraphBuilder, name: str) -> str:
        return dense(made, made.add("CumSum", dense(made, name), made.constant(1, np.int64)), 5, 24)

    proto = one_layer(block)
    assert all(Conditions.FIXED in one for one in conditions(proto, 24))
    assert error(proto, inputs(proto, 1)) < 1e-10


def test_open_sizes_are_refused_with_what_to_do() -> None:
    proto = one_layer(dense)
    proto.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    with pytest.raises(InvalidModel, match="open size"):
        transform_graph(proto, KEY)


def test_the_plain_graph_is_left_alone() -> None:
    proto = llama()
    before = proto.SerializeToString()
    made = transform_graph(proto, KEY)
    assert proto.SerializeToString() == before
    (ids,) = inputs(proto, 0)
    assert not np.allclose(answer(made.proto, [ids])[0], answer(proto, [ids])[0])


def test_branches_and_foreign_operators_are_not_mistaken_for_others() -> None:
    made = GraphBuilder()
    inner = made.add("MatMul", dense(made, "x"), made.weights(24, 5), domain="elsewhere")
    proto = made.model([ROWS], [inner])
    proto.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(InvalidModel, match="no rule knows MatMul"):
        transform_graph(proto, KEY)
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["out"])],
        "then",
        [],
        [helper.make_tensor_value_info("out", FLOAT, None)],
    )
    made = GraphBuilder()
    chosen = made.add("If", "b", then_branch=body, else_branch=body)
    summed = dense(made, made.add("Add", chosen, "x"))
    proto = made.model([ROWS, ("b", (1,), TensorProto.BOOL)], [summed])
    with pytest.raises(InvalidModel, match="without branches"):
        transform_graph(proto, KEY)


def test_a_graph_that_breaks_the_rules_is_refused() -> None:
    made = GraphBuilder()
    product = made.add("MatMul", "x", made.weights(WIDTH + 1, 5))
    with pytest.raises(InvalidModel, match="places meet"):
        transform_graph(made.model([ROWS], [product]), KEY)
    made = GraphBuilder()
    turned = made.add("Transpose", "x", perm=[0, 7, 1])
    with pytest.raises(InvalidModel, match="cannot be read"):
        transform_graph(made.model([ROWS], [turned]), KEY)


def test_ids_behind_a_fixed_one_keep_their_numbers() -> None:
    """A constant of whole numbers that is joined to ids is reckoned with as one of them."""
    made = GraphBuilder()
    joined = made.add("Concat", made.constant([[5]], np.int64), "ids", axis=1)
    words = made.add("Gather", made.weights(WORDS, WIDTH), joined)
    proto = made.model([("ids", (1, LENGTH), TensorProto.INT64)], [dense(made, words)])
    assert error(proto, inputs(proto, 1)) < 1e-10


def test_random_graphs_answer_as_the_plain_ones() -> None:
    """Operators in any order; most of the graphs have constants that change."""
    changed = 0
    for seed in range(100):
        proto = RandomGraph(seed).model()
        given = inputs(proto, seed)
        largest = max(float(np.abs(one).max()) for one in answer(proto, given))
        assert error(proto, given) < 1e-9 * max(1.0, largest), f"seed {seed}"
        changed += bool(moved(proto))
    assert changed > 50
