"""Reads the structure of an ONNX file and leaves its weights on disk.

ONNX files are protocol buffers. Initialisers may lie inside the file, up to 2 GB of them; they are
skipped here, and what comes out is the same file with those initialisers turned into external data:
byte ranges of the file itself.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from onnx import GraphProto, ModelProto, StringStringEntryProto, TensorProto

from nesa.protocol.errors import InvalidModel

MAX_STRUCTURE_BYTES: Final = 32 * 2**20
"""Most bytes of an ONNX file besides the weights that are skipped."""

INLINE_BYTES: Final = 1024
"""Longest initialiser that counts as structure: shapes, axes and scales are read with the graph."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}

_GRAPH: Final = ModelProto.GRAPH_FIELD_NUMBER
_INITIALISER: Final = GraphProto.INITIALIZER_FIELD_NUMBER
_RAW_DATA: Final = TensorProto.RAW_DATA_FIELD_NUMBER


def read_structure(path: Path) -> bytes:
    """The ONNX file at `path`, its long initialisers replaced by references to byte ranges of it.

    Raises:
        InvalidModel: it cannot be read, is not a protocol buffer, or has too much structure.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return _Scanner(data, path.name).model()
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidModel):
            raise
        raise InvalidModel(f"{path} cannot be read, or is empty") from error


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its number and type, where its tag, its contents and its end are."""

    number: int
    wire_type: int
    start: int
    contents: int
    end: int


class _Scanner:
    def __init__(self, data: mmap.mmap, name: str) -> None:
        self._data = data
        self._name = name
        self._kept = 0

    def model(self) -> bytes:
        return self._message(0, len(self._data), (_GRAPH, _INITIALISER))

    def _message(self, place: int, end: int, inner: tuple[int, ...]) -> bytes:
        """The fields between two places; the path `inner` leads to the initialisers."""
        parts = []
        while place < end:
            field = self._field(place, end)
            if field.wire_type != _BYTES:
                parts.append(self._keep(field))
            elif inner and field.number == inner[0]:
                message = self._message(field.contents, field.end, inner[1:])
                parts.append(_delimited(field.number, message))
            elif not inner and field.number == _RAW_DATA and _is_long(field):
                parts.append(self._reference(field))
            else:
                parts.append(self._keep(field))
            place = field.end
        return b"".join(parts)

    def _field(self, place: int, end: int) -> _Field:
        tag, contents = self._varint(place, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, stop = self._varint(contents, end)
        elif wire_type == _BYTES:
            length, contents = self._varint(contents, end)
            stop = contents + length
        elif wire_type in _FIXED_BYTES:
            stop = contents + _FIXED_BYTES[wire_type]
        else:
            raise InvalidModel(f"{self._name} is not an ONNX file")
        if number == 0 or stop > end:
            raise InvalidModel(f"{self._name} is not an ONNX file, or its end is missing")
        return _Field(number, wire_type, place, contents, stop)

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if place >= end:
                raise InvalidModel(f"{self._name} is not an ONNX file, or its end is missing")
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
        raise InvalidModel(f"{self._name} is not an ONNX file")

    def _keep(self, field: _Field) -> bytes:
        self._spend(field.end - field.start)
        return self._data[field.start : field.end]

    def _reference(self, field: _Field) -> bytes:
        tensor = TensorProto(data_location=TensorProto.EXTERNAL)
        refer(tensor, self._name, field.contents, field.end - field.contents)
        reference: bytes = tensor.SerializeToString()
        self._spend(len(reference))
        return reference

    def _spend(self, size: int) -> None:
        self._kept += size
        if self._kept > MAX_STRUCTURE_BYTES:
            raise InvalidModel(
                f"{self._name} holds more than {MAX_STRUCTURE_BYTES} bytes besides the raw data "
                "of its initialisers"
            )


def refer(tensor: TensorProto, location: str, offset: int, nbytes: int) -> None:
    """Make `tensor` refer to `nbytes` bytes of the file `location` from `offset` on."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset), "length": str(nbytes)}
    del tensor.external_data[:]
    tensor.external_data.extend(
        StringStringEntryProto(key=key, value=value) for key, value in entries.items()
    )


def _is_long(field: _Field) -> bool:
    return field.end - field.contents > INLINE_BYTES


def _delimited(number: int, contents: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(contents)) + contents


def _encoded(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
