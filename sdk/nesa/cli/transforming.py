"""Reads and writes what `nesa privacy` works on: models, and tensors in npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nesa.models import folder
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.frames import TensorFrame
from nesa.privacy.equivariant.graphs import graph_root, transform_graph
from nesa.privacy.equivariant.layouts import elements
from nesa.privacy.equivariant.moves import Array
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, InvalidModel, InvalidTensor


def new_key(model: Path) -> UserKey:
    """A fresh key for a folder or an ONNX file.

    Raises:
        InvalidModel: it is neither, or cannot be transformed.
        IntegrityError: a file of the folder does not match its digest.
    """
    if model.is_dir():
        return UserKey.generate(folder.load(model))
    return UserKey.of_graph(read_graph(model))


def write_transformed(model: Path, held: UserKey, output: Path) -> dict[str, Any]:
    """Write a folder or an ONNX file under a key; returns what there is to say of it.

    Raises:
        InvalidInput: the key is for another model, or the output holds a model already.
        InvalidModel, IntegrityError: see `new_key`.
        InvalidConfiguration: the output cannot be written.
    """
    if model.is_dir():
        if (output / folder.INDEX).exists():
            raise InvalidInput(f"{output} holds a model already; name another folder")
        made = transformed_model(folder.load(model), held)
        folder.save(made, output)
        return {"name": made.name, "root": f"0x{made.root.hex()}", "shards": len(made.shards)}
    proto = read_graph(model)
    if graph_root(proto) != held.key.version:
        raise InvalidInput(f"the key is for another model than {model}; see `nesa privacy key`")
    try:
        onnx.save(transform_graph(proto, held.key).proto, output)
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"cannot write {output}: {error}") from error
    return {}


def read_graph(path: Path) -> onnx.ModelProto:
    """A float model.

    Raises:
        InvalidModel: it is none.
    """
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's own exceptions have no types here
        raise InvalidModel(f"{path} is not an ONNX file that can be read") from error


def encoded(held: UserKey, path: Path) -> list[Array]:
    """The inputs in an npz file in the frame of a key.

    Raises:
        InvalidTensor: they are not the inputs of the model.
    """
    arrays = read_arrays(path, held.frames.inputs)
    made = held.frames.encode_inputs(held.key, list(arrays.values()))
    pairs = zip(made, arrays.values(), strict=True)
    return [one.astype(given.dtype) for one, given in pairs]


def decoded(held: UserKey, path: Path) -> list[Array]:
    """The outputs in an npz file out of the frame of a key.

    Raises:
        InvalidTensor: they are not the outputs of the model.
    """
    arrays = read_arrays(path, held.frames.outputs)
    made = held.frames.decode_outputs(held.key, list(arrays.values()))
    pairs = zip(made, arrays.values(), strict=True)
    return [one.astype(given.dtype) for one, given in pairs]


def read_arrays(path: Path, frames: Sequence[TensorFrame]) -> Mapping[str, Array]:
    """The arrays of an npz file in their order, one for each frame.

    Raises:
        InvalidTensor: the file holds none, another number of them, or of other sizes.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise InvalidTensor(f"{path} is no npz file of arrays of numbers") from error
    sizes, wanted = [one.size for one in arrays.values()], [elements(f.layout) for f in frames]
    if sizes != wanted:
        raise InvalidTensor(f"{path} holds arrays of {sizes} numbers; the model has {wanted}")
    for (name, values), frame in zip(arrays.items(), frames, strict=True):
        _require_names(name, values, frame)
    return arrays


def write_arrays(path: Path, arrays: Sequence[Array]) -> None:
    """Write arrays to an npz file.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    try:
        with path.open("wb") as file:
            np.savez(file, *arrays)
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error


def _require_names(name: str, values: Array, frame: TensorFrame) -> None:
    if values.dtype.kind not in "biuf":
        raise InvalidTensor(f"{name} holds no numbers")
    alphabet = frame.alphabet
    if alphabet is None or alphabet.stays:
        return
    last = frame.low + alphabet.size - 1
    whole = values.astype(np.int64)
    if (whole != values).any() or whole.min() < frame.low or whole.max() > last:
        raise InvalidTensor(f"{name} must hold whole numbers from {frame.low} to {last}")
