"""An index defines the shards of its table, or it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.disputes.game import Opened
from nesa.models.disputes.moves import DefenderMove
from nesa.models.disputes.parties import Defender
from nesa.models.folder import INDEX, CompiledModel, load
from nesa.models.graph import ParameterKind, Table
from nesa.models.index import (
    Index,
    constants_path,
    decode_index,
    read_definition,
    read_outline,
    read_table,
    word,
)
from nesa.models.judging import Witness
from nesa.models.reference import run
from nesa.protocol.errors import IntegrityError, InvalidModel

MODEL = Path(__file__).parents[2] / "models" / "digits-cnn"


@pytest.fixture(scope="module")
def index() -> Index:
    return decode_index((MODEL / INDEX).read_bytes())


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return load(MODEL)


@pytest.fixture(scope="module")
def constants(model: CompiledModel) -> list[bytes]:
    return [model.files[constants_path(shard)] for shard in range(len(model.shards))]


def opened(table: Table, shard: int, tensors: tuple[bytes, ...]) -> tuple[DefenderMove, Witness]:
    """The first move of whoever defends a shard, and all that may be asked of it later."""
    witness = Witness.of_shard(table, shard, tensors)
    defender = Defender(witness, shard)
    return defender.reply(Opened(defender.charge)), witness


def test_a_shard_is_defended_with_its_own_constants_alone(index, model, constants):
    """Every move opens the same bytes as with the whole table."""
    tensors: tuple[bytes, ...] = (model.input_edge.encode(model.test_rows().inputs[0]),)
    for number, shard in enumerate(model.table.shards):
        definition = read_definition(index, constants[number], number)
        found, witness = opened(definition, number, tensors)
        expected, whole = opened(model.table, number, tensors)
        assert found == expected
        for row in range(shard.first, shard.end):
            assert witness.question(row, 0) == whole.question(row, 0)
            part = witness.parts(row, 0)[0]
            assert witness.openings(row, 0, *part) == whole.openings(row, 0, *part)
        tensors = tuple(witness.encoded(value) for value in shard.outputs)


def test_a_definition_holds_no_other_constants(index, constants):
    for number in range(len(index.shards)):
        table = read_definition(index, constants[number], number)
        place = table.shards[number]
        for position, (row, entry) in enumerate(zip(table.rows, index.rows, strict=True)):
            is_own = place.first <= position < place.end
            assert len(row.parameters) == (len(entry.parameters) if is_own else 0)
            assert [word(root) for root in row.roots] == [item.root for item in entry.parameters]


def test_constants_are_held_as_narrow_as_they_are(index, constants):
    """A model of a hundred megabytes must not take eight hundred."""
    table = read_table(index, constants)
    held = [parameter.values for row in table.rows for parameter in row.parameters]
    assert sum(values.nbytes for values in held) == sum(map(len, constants))
    assert all(
        row.parameter(one.kind).dtype == np.int64 for row in table.rows for one in row.parameters
    )


def test_what_is_not_held_cannot_be_read(index, constants):
    outline = read_outline(index)
    row = next(row for row in outline.rows if row.stated)
    with pytest.raises(InvalidModel, match="has no weights"):
        row.parameter(ParameterKind.WEIGHTS)


def test_the_tables_of_an_index_have_one_root(index, model, constants):
    tables = (read_table(index, constants), read_outline(index), model.table)
    assert {word(table.operators_root) for table in tables} == {index.operators_root}
    first = model.input_edge.encode(model.test_rows().inputs[0])
    assert run(tables[0], (first,)) == run(model.table, (first,))


def test_a_changed_constant_is_found(index, constants):
    changed = constants[0][:-1] + bytes([constants[0][-1] ^ 1])
    with pytest.raises(IntegrityError, match="do not match their root"):
        read_definition(index, changed, 0)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_constants_of_another_length_are_refused(index, constants, change):
    for shard, data in enumerate(constants):
        files = [change(data) if number == shard else one for number, one in enumerate(constants)]
        with pytest.raises(IntegrityError, match=rf"parameters/{shard}\.bin has another length"):
            read_definition(index, change(data), shard)
        with pytest.raises(IntegrityError, match=rf"parameters/{shard}\.bin has another length"):
            read_table(index, files)


def test_constants_of_another_shard_are_refused(index, constants):
    with pytest.raises(IntegrityError):
        read_definition(index, constants[1], 0)
    with pytest.raises(InvalidModel, match="lists 1 shards for 2"):
        read_table(index, constants[:1])


@pytest.mark.parametrize("shard", [-1, 99])
def test_a_shard_that_is_not_there_has_no_definition(index, constants, shard):
    with pytest.raises(InvalidModel, match="has no shard"):
        read_definition(index, constants[0], shard)


def test_rows_that_make_another_root_are_refused(index, constants):
    other = index.model_copy(update={"operators_root": word(bytes(32))})
    for read in (lambda: read_outline(other), lambda: read_definition(other, constants[0], 0)):
        with pytest.raises(IntegrityError, match="is not that of its index"):
            read()
