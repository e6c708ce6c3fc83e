"""Runs the shards of a cut one after the other in this process and holds what skips a shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnxruntime as ort

from nesa.models.index import word
from nesa.models.onnx_graphs.extracting import digest_of
from nesa.models.onnx_graphs.manifest import (
    ShardEntry,
    onnx_path,
    read_manifest,
    weights_path,
)
from nesa.models.runtime import session
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel, InvalidTensor

OPTIMISATION: Final = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
"""The level that cuts are exact at: the others fuse nodes, and a cut keeps some of them apart."""

Values = Mapping[str, Any]
"""Tensors by name, as ONNX Runtime takes and gives them: arrays, or lists of arrays."""


class Router:
    """The shards in the folder of a cut, every digest compared, ready to run.

    Raises:
        IntegrityError: a file is missing or does not match its digest.
        InvalidModel: the manifest breaks a rule, or ONNX Runtime cannot load a shard.
    """

    def __init__(self, folder: Path) -> None:
        self._manifest = read_manifest(folder)
        for number, shard in enumerate(self._manifest.shards):
            check_shard(folder, number, shard)
        self._sessions = [
            session(folder / onnx_path(number), OPTIMISATION)
            for number in range(len(self._manifest.shards))
        ]

    def run(self, inputs: Values) -> dict[str, Any]:
        """Outputs of the model by name; a tensor is held until its last reader has run.

        Raises:
            InvalidTensor: an input is missing, or a shard refuses what it gets.
        """
        missing = {entry.name for entry in self._manifest.inputs} - inputs.keys()
        if missing:
            raise InvalidTensor(f"the model needs the input {min(missing)!r}")
        held = dict(inputs)
        readers = self._readers()
        for shard, runner in zip(self._manifest.shards, self._sessions, strict=True):
            names = [entry.name for entry in shard.inputs]
            held.update(_run(runner, shard, {name: held[name] for name in names}))
            readers.subtract(names)
            held = {name: value for name, value in held.items() if readers[name] > 0}
        return {entry.name: held[entry.name] for entry in self._manifest.outputs}

    def _readers(self) -> Counter[str]:
        shards = self._manifest.shards
        names = Counter(entry.name for shard in shards for entry in shard.inputs)
        names.update(entry.name for entry in self._manifest.outputs)
        return names


def run_whole(path: Path, inputs: Values) -> dict[str, Any]:
    """Outputs of an uncut model by name, at the level that its shards run at.

    Raises:
        InvalidModel: ONNX Runtime cannot load it.
        InvalidTensor: it refuses the inputs.
    """
    runner = session(path, OPTIMISATION)
    names = [output.name for output in runner.get_outputs()]
    return dict(zip(names, _outputs(runner, names, inputs), strict=True))


def check_shard(folder: Path, number: int, shard: ShardEntry) -> None:
    """Compares a shard's files with its digests.

    Raises:
        IntegrityError: a file is missing or other than the manifest says.
    """
    try:
        data = (folder / onnx_path(number)).read_bytes()
        if not data or word(bytes_root(data)) != shard.file_digest:
            raise IntegrityError(f"{onnx_path(number)} does not match its digest")
        _check_weights(folder / weights_path(number), shard)
    except (OSError, InvalidModel) as error:
        raise IntegrityError(f"a file of shard {number} is missing or too short") from error


def _check_weights(path: Path, shard: ShardEntry) -> None:
    if path.stat().st_size != shard.weight_bytes:
        raise IntegrityError(f"{path.name} has another size than the manifest says")
    with path.open("rb") as file:
        for weight in shard.weights:
            if word(digest_of(file, weight.offset, weight.nbytes)) != weight.digest:
                raise IntegrityError(f"{path.name} does not match its digest at {weight.offset}")


def _run(runner: ort.InferenceSession, shard: ShardEntry, inputs: Values) -> dict[str, Any]:
    names = [entry.name for entry in shard.outputs]
    return dict(zip(names, _outputs(runner, names, inputs), strict=True))


def _outputs(runner: ort.InferenceSession, names: list[str], inputs: Values) -> list[Any]:
    try:
        return list(runner.run(names, dict(inputs)))
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise InvalidTensor(f"ONNX Runtime refuses the inputs: {error}") from error
