"""An index defines rows of its table, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.models.folder import INDEX, PARAMETERS, load
from nesa.models.index import (
    Index,
    decode_index,
    read_outline,
    require_definition,
    require_root,
    word,
)
from nesa.protocol.errors import IntegrityError

MODEL = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"


@pytest.fixture(scope="module")
def index() -> Index:
    return decode_index((MODEL / INDEX).read_bytes())


@pytest.fixture(scope="module")
def constants() -> bytes:
    return load(MODEL).files[PARAMETERS]


def rows(index: Index, shard: int) -> range:
    found = read_outline(index).shards[shard]
    return range(found.first, found.end)


def test_every_shard_is_defined(index, constants):
    for shard in range(len(index.shards)):
        require_definition(index, constants, rows(index, shard))


def test_a_changed_constant_is_missed_only_where_it_is_not_read(index, constants):
    """The last byte belongs to the last shard."""
    changed = constants[:-1] + bytes([constants[-1] ^ 1])
    require_definition(index, changed, rows(index, 0))
    with pytest.raises(IntegrityError, match="do not match their root"):
        require_definition(index, changed, rows(index, len(index.shards) - 1))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_constants_of_another_length_are_refused(index, constants, change):
    with pytest.raises(IntegrityError, match=r"parameters\.bin"):
        require_definition(index, change(constants), rows(index, 0))


def test_rows_that_make_another_root_are_refused(index, constants):
    other = index.model_copy(update={"operators_root": word(bytes(32))})
    for check in (
        lambda: require_root(other),
        lambda: require_definition(other, constants, rows(index, 0)),
    ):
        with pytest.raises(IntegrityError, match="is not that of its index"):
            check()


def test_stated_roots_make_the_root_of_the_whole_table(index):
    model = load(MODEL)
    assert word(model.table.operators_root) == index.operators_root
    require_root(index)
