"""Runs in a process of its own: the outputs of an ezkl circuit for many inputs, as integers.

Standard input: {"onnx": path, "digits": n, "rows": k, "inputs": [[[int, ..] per tensor] per run]}.
Standard output, last line: [[[int, ..] per tensor] per run].
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

ezkl: Any = import_module("ezkl")  # its stubs do not fit what it does


def outputs(job: dict) -> list[list[list[int]]]:
    """Witness outputs of every run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        settings, circuit = place / "settings.json", place / "circuit"
        arguments = _arguments(job)
        ezkl.gen_settings(job["onnx"], str(settings), py_run_args=arguments)
        _expect_scale_zero(json.loads(settings.read_text()))
        ezkl.compile_circuit(job["onnx"], str(circuit), str(settings))
        return [_witness(place, circuit, tensors) for tensors in job["inputs"]]


def _arguments(job: dict) -> Any:
    arguments = ezkl.PyRunArgs()
    arguments.input_scale = arguments.param_scale = 0
    arguments.scale_rebase_multiplier = 1
    arguments.decomp_base, arguments.decomp_legs = 128, job["digits"]
    arguments.logrows = job["rows"]
    arguments.lookup_range = (-128, 128)
    arguments.input_visibility = arguments.output_visibility = "public"
    arguments.param_visibility = "fixed"
    return arguments


def _expect_scale_zero(settings: dict) -> None:
    scales = settings["model_input_scales"] + settings["model_output_scales"]
    if any(scales):
        raise SystemExit(f"boundary scales {scales} are not all 0")


def _witness(place: Path, circuit: Path, tensors: list[list[int]]) -> list[list[int]]:
    source, target = place / "input.json", place / "witness.json"
    source.write_text(json.dumps({"input_data": [list(map(float, row)) for row in tensors]}))
    ezkl.gen_witness(str(source), str(circuit), str(target))
    found = json.loads(target.read_text())["outputs"]
    return [[ezkl.felt_to_int(felt) for felt in row] for row in found]


if __name__ == "__main__":
    print(json.dumps(outputs(json.load(sys.stdin))))
