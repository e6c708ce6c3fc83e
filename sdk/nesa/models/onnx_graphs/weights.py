"""Where the bytes of a tensor lie: in the graph, or as a byte range of a file beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from onnx import TensorProto

from nesa.protocol.errors import InvalidModel

BITS: Final[Mapping[int, int]] = {
    TensorProto.INT2: 2,
    TensorProto.UINT2: 2,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.BOOL: 8,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8,
    TensorProto.FLOAT8E8M0: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT32: 32,
    TensorProto.UINT32: 32,
    TensorProto.FLOAT: 32,
    TensorProto.INT64: 64,
    TensorProto.UINT64: 64,
    TensorProto.DOUBLE: 64,
    TensorProto.COMPLEX64: 64,
    TensorProto.COMPLEX128: 128,
}
"""Bits of one element, for every type that has a fixed width."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`nbytes` bytes of the file at `path`, from `offset` on."""

    path: Path
    offset: int
    nbytes: int

    def read(self) -> bytes:
        """The bytes; only for short ranges.

        Raises:
            InvalidModel: the file cannot be read or has become shorter.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.nbytes)
        except OSError as error:
            raise InvalidModel(f"{self.path} cannot be read") from error
        if len(data) != self.nbytes:
            raise InvalidModel(f"{self.path} has become shorter")
        return data


def tensor_bytes(tensor: TensorProto) -> int:
    """Bytes of a tensor of a fixed-width type, from its type and dimensions alone.

    Raises:
        InvalidModel: a negative dimension or an unknown type.
    """
    if tensor.data_type == TensorProto.STRING:
        return int(sum(len(text) for text in tensor.string_data))
    if tensor.data_type not in BITS:
        raise InvalidModel(f"the tensor {tensor.name!r} has the unknown type {tensor.data_type}")
    if any(size < 0 for size in tensor.dims):
        raise InvalidModel(f"the tensor {tensor.name!r} has a negative dimension")
    return -(-int(math.prod(tensor.dims)) * BITS[tensor.data_type] // 8)


def is_external(tensor: TensorProto) -> bool:
    """Whether the bytes lie outside the graph."""
    return tensor.data_location == TensorProto.EXTERNAL


def byte_range(tensor: TensorProto, model: Path) -> ByteRange:
    """Where the bytes of an external tensor of the ONNX file `model` lie.

    Raises:
        InvalidModel: outside the folder of the model, behind a link, beyond the end of the file,
            or not as many bytes as type and dimensions need.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) != len(tensor.external_data):
        raise InvalidModel(f"the tensor {tensor.name!r} gives its place twice")
    path = _inside(model, entries.get("location", ""), tensor.name)
    needed = tensor_bytes(tensor)
    offset = _number(entries.get("offset", "0"), tensor.name)
    length = _number(entries.get("length", str(needed)), tensor.name)
    if tensor.data_type == TensorProto.STRING or length != needed:
        raise InvalidModel(f"the tensor {tensor.name!r} needs {needed} bytes, not {length}")
    if offset + length > path.stat().st_size:
        raise InvalidModel(f"the tensor {tensor.name!r} lies beyond the end of {path.name}")
    return ByteRange(path, offset, length)


def stays_inside(location: str) -> bool:
    """Whether a path is relative and leads to no place outside the folder that it starts from."""
    path = PurePosixPath(location)
    absolute = path.is_absolute() or PureWindowsPath(location).drive
    return bool(path.parts) and not (
        absolute or ".." in path.parts or "\\" in location or "\0" in location
    )


def _inside(model: Path, location: str, name: str) -> Path:
    if location == model.name:
        return model
    if not stays_inside(location):
        raise InvalidModel(f"the tensor {name!r} lies outside the model's folder: {location!r}")
    path = model.parent
    for part in PurePosixPath(location).parts:
        path = path / part
        if path.is_symlink():
            raise InvalidModel(f"the tensor {name!r} lies behind a link: {location!r}")
    if not path.is_file():
        raise InvalidModel(f"the tensor {name!r} lies in {location!r}, which is no file")
    return path


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise InvalidModel(f"the tensor {name!r} gives the place {text[:40]!r}")
    return int(text)
