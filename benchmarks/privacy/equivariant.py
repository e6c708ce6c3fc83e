"""What a model under a user's key costs: `python -m benchmarks.privacy.equivariant`.

Each model runs plain and under a key in ONNX Runtime, one thread, turn by turn, so that whatever
slows the machine down slows both; the ratio is the median over rounds of the two times of a round,
beside the interval in which that median lies in 95 of 100 draws of the sessions. Each model is
loaded anew several times, since two sessions of the same file differ in time too. Exit 1 says that
an overhead is above 2 %, or that a transform took over a minute.
Beside it the time that a transform takes, and what a client spends to encode a query and decode an
answer. `--minilm` adds all-MiniLM-L6-v2 with 64 tokens, in integers and in float; it needs
requirements/train and compiles for some minutes, or takes the folder of `--compiled`.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from nesa.models.folder import load
from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner, session
from nesa.privacy.equivariant.frames import Frames
from nesa.privacy.equivariant.graphs import infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.tables import transform
from nesa.protocol.digests import bytes_root
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = Path(__file__).parents[1] / "results" / "equivariant.md"
MODELS: Final = ("breast-cancer-mlp", "digits-cnn")
TOKENS: Final = 64
KEY: Final = EquivariantKey(bytes(range(32)), bytes(32))
TEXTS: Final = 100
SESSIONS: Final = 10
"""How often both models are loaded; the rounds are shared out among the sessions."""
DRAWS: Final = 2000
MOST_OVERHEAD: Final = 0.02
MOST_TRANSFORM: Final = 60.0
"""Seconds that a model of a hundred million weights may take to be transformed."""

LEAST_SECONDS: Final = 0.02
"""A measurement repeats short runs for so long."""

Run = Callable[[], Any]
Load = Callable[[], Run]
"""Makes a new session."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One model plain and under a key, to be loaded, and what else takes time."""

    name: str
    plain: Load
    made: Load
    transform_seconds: float
    client: Run
    difference: str


def main() -> None:
    """Measure and print; write the page where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=100, help="turns of each model")
    parser.add_argument("--minilm", action="store_true", help="all-MiniLM-L6-v2 too")
    parser.add_argument("--compiled", type=Path, help="its compiled folder, instead of compiling")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    found = [
        (pair, measure(pair, options.rounds))
        for pair in pairs(minilm=options.minilm, compiled=options.compiled)
    ]
    page = report(found, options.rounds)
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")
    slow = any(times.overhead > MOST_OVERHEAD for _, times in found)
    if slow or any(pair.transform_seconds > MOST_TRANSFORM for pair, _ in found):
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class Times:
    """Median seconds; the overhead in parts, and the interval of its median."""

    plain: float
    made: float
    client: float
    overhead: float
    interval: tuple[float, float]


def measure(pair: Pair, rounds: int) -> Times:
    """The times of one model."""
    found = np.array(
        [turns(pair, max(1, rounds // SESSIONS), number) for number in range(SESSIONS)]
    )
    plain, made = found[:, 0], found[:, 1]
    ratios = made / plain - 1
    drawn = np.random.default_rng(0).integers(0, SESSIONS, (DRAWS, SESSIONS))
    low, high = np.quantile(np.median(ratios[drawn], axis=(1, 2)), [0.025, 0.975])
    client = median(seconds(pair.client) for _ in range(5))
    overhead = float(np.median(ratios))
    medians = float(np.median(plain)), float(np.median(made))
    return Times(*medians, client, overhead, (float(low), float(high)))


def report(measured: Sequence[tuple[Pair, Times]], rounds: int) -> str:
    """A line for each model."""
    lines = [
        "# Models under a user's key",
        "",
        f"{platform.processor() or platform.machine()}, ONNX Runtime {onnxruntime.__version__}, "
        f"one thread, load average {os.getloadavg()[0]:.1f}; medians of {rounds} turns in "
        f"{SESSIONS} sessions.",
        "",
        "| model | plain ms | under a key ms | overhead | of which 95 % | transform s | client ms "
        "| answers |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    return "\n".join([*lines, *(line(*each) for each in measured)])


def line(pair: Pair, times: Times) -> str:
    """One line of the table."""
    low, high = times.interval
    return (
        f"| {pair.name} | {times.plain * 1e3:.4g} | {times.made * 1e3:.4g} | "
        f"{times.overhead:+.2%} | {low:+.2%} to {high:+.2%} | {pair.transform_seconds:.3g} | "
        f"{times.client * 1e3:.3g} | {pair.difference} |"
    )


def turns(pair: Pair, rounds: int, number: int) -> tuple[list[float], list[float]]:
    """Seconds of one run of each in new sessions, measured in turns; who is loaded first changes
    with the number of the session, who begins with every round."""
    found: tuple[list[float], list[float]] = ([], [])
    loads = (pair.plain, pair.made)
    runs = {place: loads[place]() for place in (number % 2, 1 - number % 2)}
    for run in runs.values():
        run()
    for round_number in range(rounds):
        for place in (round_number % 2, 1 - round_number % 2):
            found[place].append(seconds(runs[place]))
    return found


def seconds(run: Run) -> float:
    """Mean time of a run over at least `LEAST_SECONDS`."""
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < LEAST_SECONDS or count == 0:
        run()
        count += 1
    return (time.perf_counter() - begun) / count


def pairs(*, minilm: bool, compiled: Path | None) -> Iterator[Pair]:
    """The models."""
    for name in MODELS:
        yield integer_pair(name, load(ROOT / "models" / name).table)
    yield float_dense()
    if minilm:
        yield integer_pair("MiniLM, integers", minilm_table(compiled))
        yield from float_minilm()


def integer_pair(name: str, table: Table) -> Pair:
    """A table whole, in one shard.

    Raises:
        AssertionError: an answer is not the plain one's.
    """
    begun = time.perf_counter()
    made = transform(table, KEY)
    spent = time.perf_counter() - begun
    edge, target = table.inputs[0], table.type_of(table.outputs[0])
    value = np.random.default_rng(1).integers(edge.low, edge.high + 1, edge.shape)
    (sent,) = made.frames.encode_inputs(KEY, [value])
    plain, other = runner(table), runner(made.table)
    given, encoded = (edge.encode(value),), (edge.encode(sent),)
    answer = target.decode(other.run(encoded)[0])
    (back,) = made.frames.decode_outputs(KEY, [answer])
    if target.encode(back) != plain.run(given)[0]:
        raise AssertionError(f"{name} answers differently under a key")
    return Pair(
        name,
        lambda: partial(runner(table).run, given),
        lambda: partial(runner(made.table).run, encoded),
        spent,
        lambda: both_ends(made.frames, value, answer),
        "equal to the bit",
    )


def both_ends(frames: Frames, value: Any, answer: Any) -> None:
    """What a client does for one query, the key's transforms drawn anew."""
    frames.encode_inputs(KEY, [value])
    frames.decode_outputs(KEY, [answer])


def runner(table: Table) -> ShardRunner:
    """The whole table as one shard."""
    shard = Shard(0, len(table.rows), table.crossing(0), table.outputs)
    file = runtime_model(table, shard)
    edges = table.types_of(shard.inputs), table.types_of(shard.outputs)
    return ShardRunner(file, ShardFacts(*edges, bytes_root(file), ZERO_DIGEST, ZERO_DIGEST))


def minilm_table(compiled: Path | None) -> Table:
    """Integer MiniLM, from a folder or compiled now."""
    if compiled is not None:
        return load(compiled).table
    from nesa.models.compile import compile_model
    from scripts import minilm, retrieval

    ids = minilm.token_ids(retrieval.load().calibration, TOKENS).astype(np.float64)
    exported = minilm.export(minilm.encoder(TOKENS))
    return compile_model(exported, ids, percentile=100.0, padding=0).table


def float_minilm() -> Iterator[Pair]:
    """MiniLM as torch exports it, and with all numbers in half precision."""
    from scripts import minilm, retrieval

    proto = onnx.load_model_from_string(minilm.export(minilm.encoder(TOKENS)))
    ids = np.random.default_rng(1).integers(0, minilm.VOCABULARY, (1, TOKENS))
    yield float_pair("MiniLM, float32", proto, ids)
    texts = minilm.token_ids(retrieval.load().calibration[:TEXTS], TOKENS)
    half = in_half_precision(infer_graph(proto).proto)
    pair = float_pair("MiniLM, float16", half, ids)
    said = f"lowest cosine over {TEXTS} texts {lowest_cosine(half, texts):.7f}"
    yield replace(pair, difference=f"{pair.difference}; {said}")


def in_half_precision(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A float graph with all of its numbers in float16; what is beyond them is cut off."""
    made, ends = onnx.ModelProto(), float(np.finfo(np.float16).max)
    made.CopyFrom(proto)
    for tensor in made.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.clip(numpy_helper.to_array(tensor), -ends, ends).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for node in made.graph.node:
        for item in node.attribute:
            if node.op_type == "Cast" and item.i == onnx.TensorProto.FLOAT:
                item.i = onnx.TensorProto.FLOAT16
    del made.graph.value_info[:]
    for info in made.graph.output:
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return made


def lowest_cosine(proto: onnx.ModelProto, texts: NDArray[np.int64]) -> float:
    """Of the answers to texts [n, tokens] with those by way of the key."""
    made, entry = transform_graph(proto, KEY), proto.graph.input[0].name
    plain, other = (session(one.SerializeToString()) for one in (proto, made.proto))
    found = []
    for row in texts:
        ids = row[None].astype(np.int64)
        (sent,) = made.frames.encode_inputs(KEY, [ids])
        (answer,) = other.run(None, {entry: sent.astype(np.int64)})
        (back,) = made.frames.decode_outputs(KEY, [answer])
        both = [
            np.ravel(one).astype(np.float64) for one in (plain.run(None, {entry: ids})[0], back)
        ]
        found.append(both[0] @ both[1] / np.prod([np.linalg.norm(one) for one in both]))
    return float(min(found))


def dense_network(layers: int = 24, width: int = 2048) -> onnx.ModelProto:
    """A network of `layers * width**2` random weights, each layer behind a ReLU."""
    generator = np.random.default_rng(2)
    weights, nodes = [], []
    for number in range(layers):
        weight = generator.standard_normal((width, width), np.float32) / np.float32(width**0.5)
        weights.append(numpy_helper.from_array(weight, f"w{number}"))
        nodes.append(helper.make_node("MatMul", [f"x{number}", f"w{number}"], [f"y{number}"]))
        nodes.append(helper.make_node("Relu", [f"y{number}"], [f"x{number + 1}"]))
    ends = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, width])
        for name in ("x0", f"x{layers}")
    )
    graph = helper.make_graph(nodes, "dense", [next(ends)], [next(ends)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def float_dense() -> Pair:
    """A hundred million weights, for the time that a transform takes."""
    value = np.random.default_rng(3).standard_normal((1, 2048), np.float32)
    return float_pair("dense, 101 million weights, float32", dense_network(), value)


def float_pair(name: str, proto: onnx.ModelProto, value: NDArray[Any]) -> Pair:
    """An ONNX file of one input and one output."""
    begun = time.perf_counter()
    made = transform_graph(proto, KEY)
    spent = time.perf_counter() - begun
    entry = proto.graph.input[0].name
    sent = made.frames.encode_inputs(KEY, [value])[0].astype(value.dtype)
    files = [one.SerializeToString() for one in (proto, made.proto)]
    (expected,) = session(files[0]).run(None, {entry: value})
    (answer,) = session(files[1]).run(None, {entry: sent})
    (back,) = made.frames.decode_outputs(KEY, [answer])
    return Pair(
        name,
        lambda: partial(session(files[0]).run, None, {entry: value}),
        lambda: partial(session(files[1]).run, None, {entry: sent}),
        spent,
        lambda: both_ends(made.frames, value, answer),
        f"within {np.abs(back - expected).max():.1e}",
    )


if __name__ == "__main__":
    main()
