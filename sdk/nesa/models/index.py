"""The file `model.json`: everything about a compiled model but its constants and ONNX files."""

from __future__ import annotations

import math
from io import SEEK_END, BytesIO
from typing import Annotated, BinaryIO, Literal

import numpy as np
from pydantic import Field, ValidationError

from nesa.models.canonical import canonical_json
from nesa.models.card import AnyCard, EdgeWord, Part
from nesa.models.graph import FORMAT, Opcode, Parameter, ParameterKind, Row, Table
from nesa.models.validation import first_problem
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import Digest

Word = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1, lt=2**32)]
Number = Annotated[int, Field(ge=0, lt=2**32)]
Attribute = Annotated[int, Field(ge=-(2**63), lt=2**63)]
FilePath = Annotated[str, Field(pattern=r"^(shards/)?[a-z0-9_.]+$")]


class ParameterEntry(Part):
    """Constants of one row; their bytes lie in `parameters.bin` in the order of the entries."""

    kind: str
    shape: tuple[Size, ...]
    root: Word


class RowEntry(Part):
    """One operator."""

    opcode: str
    attributes: tuple[Attribute, ...]
    inputs: tuple[Number, ...]
    output_type: EdgeWord
    parameters: tuple[ParameterEntry, ...]


class ShardEntry(Part):
    """What proving adds to a shard; zero where there is no circuit."""

    circuit_digest: Word
    verifier_code_hash: Word


class Index(Part):
    """The whole file. `files` maps every other file to its Merkle root over 256-byte leaves."""

    format: Literal["int-v1"]
    root: Word
    operators_root: Word
    metadata_digest: Word
    card: AnyCard
    inputs: tuple[EdgeWord, ...]
    rows: tuple[RowEntry, ...]
    outputs: tuple[Number, ...]
    cuts: tuple[Number, ...]
    shards: tuple[ShardEntry, ...]
    files: dict[FilePath, Word]

    def encode(self) -> bytes:
        """The file's bytes."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"


def decode_index(data: bytes) -> Index:
    """The index in `data`.

    Raises:
        InvalidModel: not the index of a compiled model.
    """
    try:
        return Index.model_validate_json(data)
    except ValidationError as error:
        place, problem = first_problem(error, "the file")
        raise InvalidModel(f"model.json: {place}: {problem}") from error


def word(data: bytes) -> str:
    """32 bytes as 0x-prefixed hex."""
    return f"0x{data.hex()}"


def unword(text: str) -> bytes:
    """32 bytes from 0x-prefixed hex."""
    return bytes.fromhex(text.removeprefix("0x"))


def row_entries(table: Table) -> tuple[RowEntry, ...]:
    """The rows of a table without their constants."""
    return tuple(
        RowEntry(
            opcode=row.opcode.name,
            attributes=row.attributes,
            inputs=row.inputs,
            output_type=word(row.output_type.pack()),
            parameters=tuple(_parameter_entry(parameter) for parameter in row.parameters),
        )
        for row in table.rows
    )


def constants(table: Table) -> bytes:
    """The bytes of `parameters.bin`."""
    return b"".join(parameter.data for row in table.rows for parameter in row.parameters)


def read_table(index: Index, data: bytes) -> Table:
    """The table of an index and its constants.

    Raises:
        InvalidModel: an unknown opcode or kind of constants, or an illegal table.
        IntegrityError: constants that do not match their roots.
    """
    held = _constants_of(index, BytesIO(data), range(len(index.rows)))
    rows = tuple(
        _read_row(entry, parameters=held[number]) for number, entry in enumerate(index.rows)
    )
    return _table(index, rows)


def read_outline(index: Index) -> Table:
    """The table of an index without any constants: operators, types, cuts and the stated roots.

    Raises:
        InvalidModel: an unknown opcode, or an illegal table.
        IntegrityError: its rows make another root than the index states.
    """
    table = _table(index, tuple(map(_stated_row, index.rows)))
    if table.operators_root != unword(index.operators_root):
        raise IntegrityError(f"the table of {index.card.name} is not that of its index")
    return table


def read_definition(index: Index, file: BinaryIO, shard: int) -> Table:
    """The table of an index with the constants of one shard's rows, the others known by root.

    Of `file`, which has the constants of all, the other rows are not read: this takes the time and
    the memory of the shard.

    Raises:
        InvalidModel: an unknown opcode or kind of constants, an illegal table, or no such shard.
        IntegrityError: another table, or constants that do not match their roots.
    """
    outline = read_outline(index)
    if not 0 <= shard < len(outline.shards):
        raise InvalidModel(f"{index.card.name} has no shard {shard}")
    place = outline.shards[shard]
    held = _constants_of(index, file, range(place.first, place.end))
    rows = tuple(
        _read_row(index.rows[number], parameters=held[number]) if number in held else row
        for number, row in enumerate(outline.rows)
    )
    return _table(index, rows)


def _table(index: Index, rows: tuple[Row, ...]) -> Table:
    inputs = tuple(EdgeType.unpack(unword(text)) for text in index.inputs)
    return Table(inputs, rows, index.outputs, index.cuts)


def _constants_of(index: Index, file: BinaryIO, rows: range) -> dict[int, tuple[Parameter, ...]]:
    """Constants of some rows, compared with their roots."""
    sizes = [sum(map(_size_of, entry.parameters)) for entry in index.rows]
    if file.seek(0, SEEK_END) != sum(sizes):
        raise IntegrityError("parameters.bin has another length than its rows")
    file.seek(sum(sizes[: rows.start]))
    return {
        number: tuple(_read_parameter(item, file) for item in index.rows[number].parameters)
        for number in rows
    }


def _parameter_entry(parameter: Parameter) -> ParameterEntry:
    shape = tuple(int(size) for size in parameter.values.shape)
    return ParameterEntry(kind=parameter.kind.name, shape=shape, root=word(parameter.root))


def _kind_of(entry: ParameterEntry) -> ParameterKind:
    if entry.kind not in ParameterKind.__members__:
        raise InvalidModel(f"{entry.kind!r} is not a kind of constants of {FORMAT}")
    return ParameterKind[entry.kind]


def _size_of(entry: ParameterEntry) -> int:
    return math.prod(entry.shape) * _kind_of(entry).dtype.itemsize


def _read_parameter(entry: ParameterEntry, file: BinaryIO) -> Parameter:
    data = file.read(_size_of(entry))
    values = np.frombuffer(data, _kind_of(entry).dtype).reshape(entry.shape)
    parameter = Parameter(_kind_of(entry), values)
    if word(parameter.root) != entry.root:
        raise IntegrityError(f"{entry.kind.lower()} in parameters.bin do not match their root")
    return parameter


def _stated_row(entry: RowEntry) -> Row:
    return _read_row(entry, stated=tuple(Digest(unword(item.root)) for item in entry.parameters))


def _read_row(
    entry: RowEntry, parameters: tuple[Parameter, ...] = (), stated: tuple[Digest, ...] = ()
) -> Row:
    if entry.opcode not in Opcode.__members__:
        raise InvalidModel(f"{entry.opcode!r} is not an opcode of {FORMAT}")
    edge = EdgeType.unpack(unword(entry.output_type))
    return Row(Opcode[entry.opcode], entry.attributes, entry.inputs, edge, parameters, stated)
