"""The file `model.json`: everything about a compiled model but its constants and ONNX files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError

from nesa.models.canonical import canonical_json
from nesa.models.card import AnyCard, EdgeWord, Part
from nesa.models.graph import FORMAT, Opcode, Parameter, ParameterKind, Row, Shard, Table
from nesa.models.validation import first_problem
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import Digest

Word = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1, lt=2**32)]
Number = Annotated[int, Field(ge=0, lt=2**32)]
Attribute = Annotated[int, Field(ge=-(2**63), lt=2**63)]
FilePath = Annotated[str, Field(pattern=r"^((known_answers|parameters|shards)/)?[a-z0-9_.]+$")]


class ParameterEntry(Part):
    """Constants of one row; their bytes lie in their shard's file in the order of the entries."""

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


class KeyRelease(Part):
    """Where the developer of a private model hands out the keys of its shards.

    `signer` signs what is answered there, `encryption_key` is the X25519 key that requests are
    sealed to.
    """

    url: Annotated[str, Field(max_length=256, pattern=r"^https?://[!-~]+$")]
    signer: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    encryption_key: Word


class PrivateFiles(Part):
    """Files that were published encrypted, by path: Merkle root of the ciphertext of each."""

    release: KeyRelease
    files: dict[FilePath, Word]


class Index(Part):
    """The whole file. `files` maps every other file to its Merkle root over 256-byte leaves,
    whether it was published as it is or encrypted."""

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
    private: Annotated[PrivateFiles | None, Field(exclude_if=lambda found: found is None)] = None

    def encode(self) -> bytes:
        """The file's bytes."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @property
    def weights(self) -> int:
        """How many constants all rows have together."""
        return sum(math.prod(one.shape) for row in self.rows for one in row.parameters)


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


def constants_path(shard: int) -> str:
    """Path of a shard's constants inside a model's folder; a shard without any has no such file."""
    return f"parameters/{shard}.bin"


def constants(table: Table, shard: Shard) -> bytes:
    """Constants of a shard's rows, one behind the other."""
    rows = table.rows[shard.first : shard.end]
    return b"".join(parameter.data for row in rows for parameter in row.parameters)


def read_table(index: Index, files: Sequence[bytes]) -> Table:
    """The table of an index and the constants of each of its shards.

    Raises:
        InvalidModel: an unknown opcode or kind of constants, or an illegal table.
        IntegrityError: constants that do not match their roots.
    """
    outline = _outline(index)
    if len(files) != len(outline.shards):
        raise InvalidModel(f"model.json lists {len(files)} shards for {len(outline.shards)}")
    return _with_constants(index, outline, dict(enumerate(files)))


def read_outline(index: Index) -> Table:
    """The table of an index without any constants: operators, types, cuts and the stated roots.

    Raises:
        InvalidModel: an unknown opcode, or an illegal table.
        IntegrityError: its rows make another root than the index states.
    """
    table = _outline(index)
    if table.operators_root != unword(index.operators_root):
        raise IntegrityError(f"the table of {index.card.name} is not that of its index")
    return table


def read_definition(index: Index, data: bytes, shard: int) -> Table:
    """The table of an index with the constants of one shard's rows, the others known by root.

    `data` are the shard's constants, which the table goes on reading from.

    Raises:
        InvalidModel: an unknown opcode or kind of constants, an illegal table, or no such shard.
        IntegrityError: another table, or constants that do not match their roots.
    """
    outline = read_outline(index)
    if not 0 <= shard < len(outline.shards):
        raise InvalidModel(f"{index.card.name} has no shard {shard}")
    return _with_constants(index, outline, {shard: data})


def _outline(index: Index) -> Table:
    inputs = tuple(EdgeType.unpack(unword(text)) for text in index.inputs)
    rows = tuple(map(_stated_row, index.rows))
    return Table(inputs, rows, index.outputs, index.cuts)


def _with_constants(index: Index, outline: Table, files: Mapping[int, bytes]) -> Table:
    rows = list(outline.rows)
    for number, data in files.items():
        place = outline.shards[number]
        entries = index.rows[place.first : place.end]
        if sum(_size_of(item) for entry in entries for item in entry.parameters) != len(data):
            raise IntegrityError(f"{constants_path(number)} has another length than its rows")
        rows[place.first : place.end] = _read_rows(entries, data)
    return replace(outline, rows=tuple(rows))


def _read_rows(entries: Sequence[RowEntry], data: bytes) -> list[Row]:
    """Rows with their constants, compared with their roots."""
    found, offset = [], 0
    for entry in entries:
        parameters = []
        for item in entry.parameters:
            parameters.append(_read_parameter(item, data, offset))
            offset += _size_of(item)
        found.append(_read_row(entry, parameters=tuple(parameters)))
    return found


def _parameter_entry(parameter: Parameter) -> ParameterEntry:
    shape = tuple(int(size) for size in parameter.values.shape)
    return ParameterEntry(kind=parameter.kind.name, shape=shape, root=word(parameter.root))


def _kind_of(entry: ParameterEntry) -> ParameterKind:
    if entry.kind not in ParameterKind.__members__:
        raise InvalidModel(f"{entry.kind!r} is not a kind of constants of {FORMAT}")
    return ParameterKind[entry.kind]


def _size_of(entry: ParameterEntry) -> int:
    return math.prod(entry.shape) * _kind_of(entry).dtype.itemsize


def _read_parameter(entry: ParameterEntry, data: bytes, offset: int) -> Parameter:
    count = math.prod(entry.shape)
    values = np.frombuffer(data, _kind_of(entry).dtype, count, offset).reshape(entry.shape)
    parameter = Parameter(_kind_of(entry), values)
    if word(parameter.root) != entry.root:
        raise IntegrityError(f"{entry.kind.lower()} of a shard do not match their root")
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
