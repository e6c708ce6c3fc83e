"""`python -m benchmarks.operators`: operators of MiniLM's sizes, integers against float32.

Both run in plain ONNX Runtime with one thread at its default level, one after the other in every
round. An integer operator is all that stands for the float one: its rows from bytes or int16 to the
same, scales by channel and clips included.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from nesa.models.build import TableBuilder
from nesa.models.compositions import Written, affine, layer_norm, softmax
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.lowering import runtime_model
from nesa.models.quantise import Scaling
from nesa.models.runtime import session
from nesa.protocol.edges import DType, EdgeType

TOKENS, WIDTH, HIDDEN, HEADS = 128, 384, 1536, 12
OPSET, IR_VERSION = 20, 9
ROUNDS: Final = 100

BYTE: Final = Scaling(DType.INT8, -127, 127, 1 / 32)
WIDE: Final = Scaling(DType.INT16, -32767, 32767, 1 / 4096)


class Case(NamedTuple):
    """One line of the page: a float32 model and a table with one input each, of one shape."""

    name: str
    real: bytes
    whole: Table


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(report(parser.parse_args().rounds))


def report(rounds: int) -> str:
    """The table in markdown."""
    return "\n".join(
        [
            "# Operators of MiniLM in integers",
            "",
            f"{platform.processor() or platform.machine()}, ONNX Runtime {ort.__version__}, one "
            f"thread, median of {rounds} runs.",
            "",
            "| operator | float32 | integers | ratio |",
            "|---|---:|---:|---:|",
            *(line(case, rounds) for case in cases()),
        ]
    )


def cases() -> Iterator[Case]:
    """Every line, in the order in which an encoder's block has them."""
    for operands, channels in ((WIDTH, WIDTH), (WIDTH, HIDDEN), (HIDDEN, WIDTH)):
        name = f"linear {TOKENS}x{operands}x{channels}"
        yield Case(name, real_linear(operands, channels), whole_linear(operands, channels))
    scores = (HEADS, TOKENS, TOKENS)
    yield Case(f"softmax {'x'.join(map(str, scores))}", one("Softmax", scores), attention(scores))
    rows = (TOKENS, WIDTH)
    yield Case(f"layer norm {TOKENS}x{WIDTH}", real_norm(rows), whole_norm(rows))
    yield Case(f"affine {TOKENS}x{WIDTH}", real_affine(rows), whole_affine(rows))
    hidden = (TOKENS, HIDDEN)
    yield Case(f"GELU {TOKENS}x{HIDDEN}", one("Gelu", hidden), whole_gelu(hidden))


def line(case: Case, rounds: int) -> str:
    """One line of the page."""
    edge = case.whole.inputs[0]
    values = np.random.default_rng(0).integers(edge.low, edge.high + 1, edge.shape)
    files = {"real": case.real, "whole": runtime_model(case.whole, case.whole.shards[0])}
    feeds = {"real": values / 64, "whole": values}
    level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    runners = {name: session(data, level) for name, data in files.items()}
    spent: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds + 1):  # the first one warms up
        for name, runner in runners.items():
            feed = {runner.get_inputs()[0].name: feeds[name].astype(np.float32)}
            begun = time.perf_counter()
            runner.run(None, feed)
            spent[name].append(time.perf_counter() - begun)
    real, whole = (median(spent[name][1:]) * 1e3 for name in ("real", "whole"))
    return f"| {case.name} | {real:.3f} ms | {whole:.3f} ms | {whole / real:.2f} |"


def one(
    operator: str, shape: tuple[int, ...], *constants: np.ndarray, **attributes: object
) -> bytes:
    """A float32 model of one node that reads `x` and constants."""
    names = [f"c{place}" for place in range(len(constants))]
    node = helper.make_node(operator, ["x", *names], ["y"], **attributes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [output],
        [
            numpy_helper.from_array(values.astype(np.float32), name)
            for name, values in zip(names, constants, strict=True)
        ],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


def real_linear(operands: int, channels: int) -> bytes:
    weights = np.random.default_rng(1).standard_normal((operands, channels))
    return one("Gemm", (TOKENS, operands), weights, np.zeros(channels))


def whole_linear(operands: int, channels: int) -> Table:
    """Bytes to bytes, one scale a channel."""
    generator = np.random.default_rng(1)
    builder = TableBuilder([EdgeType(DType.INT8, (TOKENS, operands), -127, 127)])
    layer = [
        Parameter(ParameterKind.WEIGHTS, generator.integers(-127, 128, (channels, operands))),
        Parameter(ParameterKind.BIASES, generator.integers(-4000, 4001, channels)),
    ]
    sums = builder.add(Opcode.LINEAR, [0], (operands, channels), layer)
    factors = [Parameter(ParameterKind.MULTIPLIERS, generator.integers(8, 60, channels))]
    declared = EdgeType(DType.INT8, (TOKENS, channels), -127, 127)
    return builder.table([builder.add(Opcode.RESCALE, [sums], (2, 1), factors, declared)])


def attention(shape: tuple[int, ...]) -> Table:
    builder = TableBuilder([EdgeType(DType.INT8, shape, -127, 127)])
    return builder.table([softmax(builder, Written(0, 1 / 16)).value])


def real_norm(shape: tuple[int, ...]) -> bytes:
    return one("LayerNormalization", shape, np.ones(shape[-1]), axis=-1)


def whole_norm(shape: tuple[int, ...]) -> Table:
    builder = TableBuilder([EdgeType(DType.INT16, shape, -32767, 32767)])
    return builder.table([layer_norm(builder, 0, 1.0, WIDE).value])


def real_affine(shape: tuple[int, ...]) -> bytes:
    """A batch norm, the one node that multiplies and adds; its channels are the second axis."""
    ones = np.ones(shape[-1])
    return one("BatchNormalization", shape, ones, 0 * ones, 0 * ones, ones)


def whole_affine(shape: tuple[int, ...]) -> Table:
    builder = TableBuilder([EdgeType(DType.INT16, shape, -32767, 32767)])
    gains = np.random.default_rng(2).uniform(0.5, 1.0, shape[-1])
    return builder.table([affine(builder, Written(0, 1 / 4096), gains, gains, BYTE).value])


def whole_gelu(shape: tuple[int, ...]) -> Table:
    """A byte to a byte by a table."""
    builder = TableBuilder([EdgeType(DType.INT8, shape, -127, 127)])
    steps = np.arange(-128, 128) / 32
    real = steps / (1 + np.exp(-1.702 * steps))
    entries = np.rint(real * 32).astype(np.int64)
    entries[0] = 0
    declared = EdgeType(DType.INT8, shape, 0, 0)
    parameter = Parameter(ParameterKind.ENTRIES, entries)
    return builder.table([builder.add(Opcode.TABLE, [0], (128,), [parameter], declared)])


if __name__ == "__main__":
    main()
