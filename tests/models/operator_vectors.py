"""Reads docs/operator-vectors.json as somebody would who has nothing but the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nesa.models.graph import Opcode, Parameter, ParameterKind, Row, Table
from nesa.protocol.edges import EdgeType

PATH = Path(__file__).resolve().parents[2] / "docs" / "operator-vectors.json"


@dataclass(frozen=True)
class Answer:
    """Tensors that go in and those that must come out, as canonical bytes."""

    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    output_digest: bytes


@dataclass(frozen=True)
class Vector:
    """One entry of the file."""

    name: str
    table: Table
    operators_root: bytes
    answers: tuple[Answer, ...]


def vectors() -> dict[str, Vector]:
    """Every entry by its name."""
    entries = json.loads(PATH.read_text())["vectors"]
    return {entry["name"]: _vector(entry) for entry in entries}


def _vector(entry) -> Vector:
    inputs = tuple(EdgeType.unpack(data) for data in map(_bytes, entry["inputs"]))
    table = Table(inputs, tuple(map(_row, entry["rows"])), tuple(entry["outputs"]))
    answers = tuple(map(_answer, entry["answers"]))
    return Vector(entry["name"], table, _bytes(entry["operators_root"]), answers)


def _row(entry) -> Row:
    return Row(
        Opcode[entry["opcode"]],
        tuple(entry["attributes"]),
        tuple(entry["inputs"]),
        EdgeType.unpack(_bytes(entry["output_type"])),
        tuple(map(_parameter, entry["parameters"])),
    )


def _parameter(entry) -> Parameter:
    kind = ParameterKind[entry["kind"]]
    values = np.frombuffer(_bytes(entry["data"]), kind.dtype).astype(np.int64)
    return Parameter(kind, values.reshape(entry["shape"]))


def _answer(entry) -> Answer:
    inputs, outputs = (tuple(map(_bytes, entry[side])) for side in ("inputs", "outputs"))
    return Answer(inputs, outputs, _bytes(entry["output_digest"]))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
