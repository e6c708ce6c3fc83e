"""What one thread of this machine can do, measured in a few seconds."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper

from nesa.models.runtime import session

SIZE: Final = 384
"""Edge of the square matrices that are multiplied."""

STREAMED_BYTES: Final = 1 << 26
"""Larger than the caches of most processors, so that memory itself is measured."""

CHAINED: Final = 256
"""Operators in a row whose work is next to nothing."""

SECONDS: Final = 0.5
"""Most time for one figure besides the first run, which is not counted."""

LEAST_RUNS: Final = 3

ONNX_OPSET: Final = 13
ONNX_IR: Final = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates in multiply-adds a second, `memory_bandwidth` in bytes a second, both of one thread;
    `overhead_picoseconds` of one operator; `free_memory` in bytes."""

    float32_rate: int
    float64_rate: int
    int8_rate: int
    memory_bandwidth: int
    overhead_picoseconds: int
    free_memory: int


def measure() -> Measured:
    """Measure this machine; takes about three seconds and 250 MiB of memory."""
    products = SIZE**3
    rates = {kind: products / _seconds(_product(node, kind)) for node, kind in _PRODUCTS}
    return Measured(
        round(rates[TensorProto.FLOAT]),
        round(rates[TensorProto.DOUBLE]),
        round(rates[TensorProto.UINT8]),
        round(2 * STREAMED_BYTES / _seconds(_stream())),
        round(_seconds(_chain()) / CHAINED * 1e12),
        free_memory(Path("/")),
    )


_PRODUCTS: Final = (
    ("MatMul", TensorProto.FLOAT),
    ("MatMul", TensorProto.DOUBLE),
    ("MatMulInteger", TensorProto.UINT8),
)


def free_memory(root: Path) -> int:
    """Bytes that this process can still have: the system's, its control group's, its own limit.

    `root` is where /proc and /sys are.
    """
    found = [_available(root / "proc/meminfo"), _group_rest(root / "sys/fs/cgroup")]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        found.append(max(limit - used, 0))
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min((one for one in found if one is not None), default=pages)


def _available(path: Path) -> int | None:
    lines = _text(path).splitlines()
    line = next((one for one in lines if one.startswith("MemAvailable:")), "")
    return int(line.split()[1]) << 10 if line else None


def _group_rest(folder: Path) -> int | None:
    """What the control group leaves, after both versions of the interface."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        numbers = [_text(folder / name).strip() for name in (limit, used)]
        if all(number.isdigit() for number in numbers):
            return max(int(numbers[0]) - int(numbers[1]), 0)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _seconds(run: Callable[[], object]) -> float:
    """Median time of one run."""
    run()
    times: list[float] = []
    while len(times) < LEAST_RUNS or sum(times) < SECONDS:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return median(times)


def _product(operator: str, kind: int) -> Callable[[], object]:
    result = TensorProto.INT32 if operator == "MatMulInteger" else kind
    node = helper.make_node(operator, ["x", "w"], ["y"])
    model = _model([node], [("x", kind), ("w", kind)], ("y", result), [SIZE, SIZE])
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    values = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 127
    return _runner(model, {"x": values.astype(dtype), "w": values.astype(dtype)})


def _chain() -> Callable[[], object]:
    nodes = [
        helper.make_node("Add", [f"t{place}", "x"], [f"t{place + 1}"]) for place in range(CHAINED)
    ]
    nodes[0].input[0] = "x"
    kind = int(TensorProto.FLOAT)
    model = _model(nodes, [("x", kind)], (f"t{CHAINED}", kind), [1])
    return _runner(model, {"x": np.ones(1, np.float32)})


def _stream() -> Callable[[], object]:
    source = np.ones(STREAMED_BYTES // 4, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def _model(
    nodes: list[NodeProto], inputs: list[tuple[str, int]], output: tuple[str, int], shape: list[int]
) -> ModelProto:
    edges = [helper.make_tensor_value_info(*one, shape) for one in (*inputs, output)]
    graph = helper.make_graph(nodes, "capacity", edges[:-1], edges[-1:])
    opsets = [helper.make_opsetid("", ONNX_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ONNX_IR)


def _runner(model: ModelProto, feeds: dict[str, NDArray[np.generic]]) -> Callable[[], object]:
    ready = session(model.SerializeToString())
    return lambda: ready.run(None, feeds)
