from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from nesa.models.proving import process
from nesa.models.proving.process import Limits, run_step
from nesa.models.proving.rules import run_args
from nesa.protocol.errors import ExhaustedResource, InvalidModel, InvalidTensor
from tests.models.proving.onnx_files import node, onnx_file
from tests.models.proving.shards import compiled, provable

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch) -> Path:
    """Where working folders go; it must be empty again after every test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def files(folder: Path, **extra: str) -> dict[str, str]:
    names = {
        "model": "model.onnx",
        "settings": "settings.json",
        "circuit": "circuit.compiled",
        "verifying_key": "verifying.key",
        "proving_key": "proving.key",
        "inputs": "inputs.json",
        "witness": "witness.json",
    }
    return {name: str(folder / file) for name, file in names.items()} | extra


async def set_up_arguments(folder: Path) -> dict[str, str]:
    """What it takes to make keys, which needs hundreds of megabytes."""
    circuit = provable("breast-cancer-mlp", 1).circuit
    await compiled(circuit, folder)
    return files(folder, reference=str(circuit.reference.path))


def endless_arguments(folder: Path) -> dict[str, str]:
    """What makes a worker wait for as long as it lives: nobody ever writes into its circuit."""
    arguments = files(folder, reference=str(folder / "reference.srs"))
    os.mkfifo(arguments["circuit"])
    return arguments


def workers() -> list[int]:
    """Process ids of living workers that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"nesa.models.proving.worker" in command:
            found.append(int(folder.name))
    return found


async def started_worker() -> int:
    while not (found := workers()):
        await asyncio.sleep(0.05)
    return found[0]


async def test_a_panic_becomes_an_error(tmp_path: Path):
    """ezkl panics when a look-up leaves its table; a panic is no Exception in Python."""
    nodes = [node("Cast", "x", "i", to=TensorProto.INT64), node("Gather", "t i", "y", axis=0)]
    table = {"t": np.arange(8, dtype=np.float32)}
    (tmp_path / "model.onnx").write_bytes(onnx_file(nodes, table, [2], [2]))
    (tmp_path / "inputs.json").write_text('{"input_data": [[3, 9]]}')
    arguments = files(tmp_path) | {"run_args": run_args(15, 4, 1)}
    await run_step(process.SETTINGS, arguments, tmp_path)
    await run_step(process.COMPILE, arguments, tmp_path)

    with pytest.raises(InvalidTensor, match="^running the circuit (panicked|failed)"):
        await run_step(process.WITNESS, arguments, tmp_path)


async def test_a_refusal_becomes_one_sentence(tmp_path: Path):
    (tmp_path / "model.onnx").write_bytes(b"no model")

    with pytest.raises(InvalidModel) as caught:
        arguments = files(tmp_path) | {"run_args": run_args(15, 4, 1)}
        await run_step(process.SETTINGS, arguments, tmp_path)

    assert str(caught.value).startswith("measuring the circuit failed: ")
    assert "\n" not in str(caught.value)


@linux_only
async def test_a_call_that_takes_too_long_is_ended(tmp_path: Path):
    arguments = endless_arguments(tmp_path)

    with pytest.raises(ExhaustedResource, match="did not finish within 1 seconds"):
        await run_step(process.SET_UP, arguments, tmp_path, Limits(seconds=1))

    assert workers() == []


@linux_only
async def test_a_call_that_needs_too_much_memory_is_ended(tmp_path: Path):
    arguments = await set_up_arguments(tmp_path)

    with pytest.raises(ExhaustedResource, match="memory"):
        await run_step(process.SET_UP, arguments, tmp_path, Limits(memory_bytes=150 * 2**20))


async def test_a_full_disk_is_named(tmp_path: Path):
    arguments = await set_up_arguments(tmp_path)

    with pytest.raises(ExhaustedResource, match="ran out of disk space"):
        await run_step(process.SET_UP, arguments, tmp_path, Limits(file_bytes=2**20))


@linux_only
async def test_a_cancelled_call_leaves_no_process(tmp_path: Path):
    arguments = endless_arguments(tmp_path)
    task = asyncio.create_task(run_step(process.SET_UP, arguments, tmp_path))
    pipe = await opened_by_a_worker(arguments["circuit"])

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.close(pipe)

    assert workers() == []


@linux_only
async def test_a_killed_worker_leaves_no_files_and_no_process(temporary_files, monkeypatch):
    shard = provable("breast-cancer-mlp", 1)
    proof = shard.corner_proof
    # Real work could end before it is killed.
    sleep = (sys.executable, "-c", "import time; time.sleep(600)", "nesa.models.proving.worker")
    monkeypatch.setattr(process, "_command", lambda: sleep)
    task = asyncio.create_task(shard.verify(proof))
    os.kill(await started_worker(), signal.SIGKILL)

    with pytest.raises(ExhaustedResource, match="killed"):
        await task

    assert workers() == []
    assert list(temporary_files.iterdir()) == []


@linux_only
async def test_the_loop_runs_on_while_a_worker_works(tmp_path: Path):
    arguments = endless_arguments(tmp_path)
    task = asyncio.create_task(run_step(process.SET_UP, arguments, tmp_path, Limits(seconds=2)))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1

    with pytest.raises(ExhaustedResource):
        await task
    assert turns > 10


@linux_only
async def test_a_worker_dies_with_its_parent(tmp_path: Path):
    arguments = endless_arguments(tmp_path)
    program = textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from nesa.models.proving import process
        asyncio.run(process.run_step(process.SET_UP, {arguments!r}, Path({str(tmp_path)!r})))
    """)
    parent = start_program(program)
    pipe = await opened_by_a_worker(arguments["circuit"])
    worker = child_of(parent.pid)
    parent.kill()
    parent.wait()

    try:
        for _ in range(400):
            if not is_alive(worker):
                return
            await asyncio.sleep(0.05)
        pytest.fail("the worker outlived its parent")
    finally:
        os.close(pipe)


async def opened_by_a_worker(pipe: str) -> int:
    """The other end of `pipe`, once a worker has opened it; closing it ends the worker's wait."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        await asyncio.sleep(0.05)


def start_program(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program])


def child_of(parent: int) -> int:
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_sees_no_secret_and_no_home(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NESA_KEYSTORE_PASSWORD", "secret")

    variables = process._environment(tmp_path, Limits(threads=1))

    assert "secret" not in variables.values()
    assert variables["HOME"] == str(tmp_path)
    assert variables["RAYON_NUM_THREADS"] == "1"
