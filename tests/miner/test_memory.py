"""What a miner says of its memory, and a shard of half a sentence encoder within 512 MiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.lowering import runtime_model
from nesa.protocol.edges import DType, EdgeType
from nesa_miner.doctor.checks import Verdict
from nesa_miner.doctor.memory import allowed_bytes, check_memory, resident_bytes

CAP = 512 << 20
TOKENS, ENTRIES, WIDTH, INNER, LAYERS = 128, 30522, 384, 1536, 4

PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
import numpy as np
import nesa_miner.daemon
from nesa.models.runtime import session
with open(sys.argv[1], "rb") as file:
    shard = session(file.read())
(edge,) = shard.get_inputs()
for _ in range(8):
    (found,) = shard.run(None, {edge.name: np.ones(edge.shape, np.float32)})
print(found.shape)
"""


def test_what_is_needed_is_said_and_too_much_is_a_warning() -> None:
    check = check_memory([(0, 40 << 20), (1, 3 << 20)], 16 << 20, 1 << 40)
    assert check.verdict is Verdict.OK
    assert (
        "shard 0 takes 40 MiB, shard 1 takes 3 MiB, tensors of queries up to 16 MiB" in check.text
    )
    check = check_memory([(0, 40 << 20)], 16 << 20, 1 << 20)
    assert check.verdict is Verdict.WARNING
    assert "1 MiB allowed; lower memory_limit_mib" in check.text
    assert check_memory([], 1, None).verdict is Verdict.OK


def test_this_machine_says_what_it_allows() -> None:
    allowed = allowed_bytes()
    assert allowed is None or allowed > resident_bytes() > 10 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="address space is capped on Linux only")
def test_a_large_shard_runs_in_a_capped_process(tmp_path: Path) -> None:
    """Embedding and four wide layers: 16.4 million weights beside everything that a miner imports.

    The same program with less than the interpreter needs does not get that far.
    """
    path = tmp_path / "shard.onnx"
    path.write_bytes(large_shard())
    done = capped(path, CAP)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip() == f"(1, {TOKENS}, {WIDTH})"
    assert capped(path, CAP // 4).returncode != 0


def capped(path: Path, limit: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(path), str(limit)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )


def large_shard() -> bytes:
    generator = np.random.default_rng(1)

    def weights(*shape: int) -> Parameter:
        return Parameter(ParameterKind.WEIGHTS, generator.integers(-127, 128, shape))

    builder = TableBuilder([EdgeType(DType.INT16, (1, TOKENS), 0, ENTRIES - 1)])
    value = builder.add(Opcode.EMBEDDING, [0], (ENTRIES, WIDTH), [weights(ENTRIES, WIDTH)])
    factor = Parameter(ParameterKind.MULTIPLIERS, np.array([64]))
    for layer in range(2 * LAYERS):
        inside, outside = (WIDTH, INNER) if layer % 2 == 0 else (INNER, WIDTH)
        biases = Parameter(ParameterKind.BIASES, np.zeros(outside, np.int64))
        parameters = [weights(outside, inside), biases]
        summed = builder.add(Opcode.LINEAR, [value], (inside, outside), parameters)
        narrow = EdgeType(DType.INT8, builder.type_of(summed).shape, -127, 127)
        value = builder.add(Opcode.RESCALE, [summed], (2, -1), [factor], narrow)
    table = builder.table([value])
    return runtime_model(table, table.shards[0])
