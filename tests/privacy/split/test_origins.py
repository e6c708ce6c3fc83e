"""Which values tell of single elements of the input: by the rows, and by trying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.folder import load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.privacy.split.origins import told_alone
from nesa.protocol.edges import DType, EdgeType
from tests.models.encoder import encoder
from tests.privacy.split.trying import told_alone_by_trying

MODELS = Path(__file__).parents[3] / "models"
IDS = EdgeType(DType.INT16, (1, 4), 0, 9)


def by_rows(table: Table) -> set[int]:
    return {value for value, alone in enumerate(told_alone(table)) if alone}


def windows() -> Table:
    """Pixels through windows of one, a window of two by two that leaves a corner alone, and pools.

    The corner pixel of a padded window is the only one in it.
    """
    draws, image = np.random.default_rng(3), EdgeType(DType.INT8, (1, 1, 4, 4), -127, 127)
    builder = TableBuilder([image])

    def convolved(value: int, size: int, pad: int, stride: int, channels: int) -> int:
        shape = builder.type_of(value).shape
        taken = shape[1] * size * size
        constants = [
            Parameter(ParameterKind.WEIGHTS, draws.integers(1, 60, (channels, taken))),
            Parameter(ParameterKind.BIASES, draws.integers(-9, 9, channels)),
        ]
        window = (*shape[1:], 1, size, size, stride, stride, pad, pad, pad, pad)
        sums = builder.add(Opcode.CONV, [value], window, constants)
        edge = EdgeType(DType.INT8, builder.type_of(sums).shape, -127, 127)
        return builder.rescale(sums, [8], 1, edge)

    each = convolved(0, 1, 0, 1, 2)
    convolved(0, 2, 1, 2, 2)  # corners
    inner = convolved(each, 2, 0, 2, 3)
    for code in (Opcode.MAX_POOL, Opcode.SUM_POOL):
        builder.add(code, [each], (2, 4, 4, 2, 2, 2, 2))
    flat = builder.reshaped(inner, (1, builder.type_of(inner).elements))
    return builder.table([flat])


def test_windows() -> None:
    table = windows()
    found = by_rows(table)
    assert found == told_alone_by_trying(table, np.random.default_rng(1))
    assert found == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_only_the_input_of_these_models_is_told_alone(name: str) -> None:
    assert by_rows(load(MODELS / name).table) == {0}


def test_an_encoder_tells_of_single_tokens_up_to_its_first_attention() -> None:
    """Also through the dense layers of queries, keys and values, and on the diagonal of the
    scores."""
    table = encoder()
    found = by_rows(table)
    tried = told_alone_by_trying(table, np.random.default_rng(1), 12)
    assert found == tried
    scores = next(i for i, row in enumerate(table.rows) if row.opcode is Opcode.MATMUL)
    assert table.output_of(scores) in found
    dense = [i for i, row in enumerate(table.rows) if row.opcode is Opcode.LINEAR]
    assert sum(table.output_of(index) in found for index in dense) >= 3


def looked_up(builder: TableBuilder, read: int, *entries: int) -> int:
    """A number for each of ten ids."""
    held = Parameter(ParameterKind.WEIGHTS, np.array(entries)[:, None])
    return builder.add(Opcode.EMBEDDING, [read], (10, 1), [held])


def are(*ids: int) -> list[int]:
    """1 for these ids, and 0 for others."""
    return [int(one in ids) for one in range(10)]


PADDING = are(0)
OTHERS = [[5 * one for one in PADDING], [1 - one for one in PADDING]]
"""The same classes in other numbers, as masks in front of an attention and of a mean have them."""


@pytest.mark.parametrize(("entries", "alone"), [([*range(10)], True), (PADDING, False)])
def test_a_mask_of_the_padding_tells_no_token(entries: list[int], alone: bool) -> None:
    builder = TableBuilder([IDS])
    made = looked_up(builder, 0, *entries)
    assert by_rows(builder.table([made])) == ({0, made} if alone else {0})


def test_two_entries_tell_an_input_of_two_values() -> None:
    builder = TableBuilder([EdgeType(DType.INT8, (1, 4), 0, 1)])
    held = Parameter(ParameterKind.WEIGHTS, np.array([[3], [8]]))
    made = builder.add(Opcode.EMBEDDING, [0], (2, 1), [held])
    assert by_rows(builder.table([made])) == {0, made}


def test_a_table_of_few_entries_tells_tokens() -> None:
    """Also where they are far fewer than ids."""
    builder = TableBuilder([IDS])
    made = looked_up(builder, 0, *[one // 4 for one in range(10)])
    assert made in by_rows(builder.table([made]))


def test_an_element_for_each_id_tells_tokens() -> None:
    """Each of them is in two classes, and all together are the id."""
    builder = TableBuilder([IDS])
    held = Parameter(ParameterKind.WEIGHTS, np.eye(10, dtype=np.int64))
    made = builder.add(Opcode.EMBEDDING, [0], (10, 10), [held])
    assert made in by_rows(builder.table([made]))


def test_masks_of_the_same_classes_tell_no_more() -> None:
    """Nor does a table whose entries are all the same, in front of them."""
    builder = TableBuilder([IDS])
    view = builder.reshaped(0, (4, 1))
    reads = zip((0, 0, view, 0), ([7] * 10, PADDING, *OTHERS), strict=True)
    masks = [looked_up(builder, read, *each) for read, each in reads]
    assert by_rows(builder.table(masks)) == {0, view}


@pytest.mark.parametrize("viewed", [False, True])
def test_masks_of_several_classes_together_tell_tokens(viewed: bool) -> None:
    """`x == k` for every `k` is `x`: the first is a mask, and the others are not."""
    builder = TableBuilder([IDS])
    view = builder.reshaped(0, (4, 1)) if viewed else 0
    masks = [looked_up(builder, read, *are(one)) for one, read in enumerate((0, view, 0))]
    found = by_rows(builder.table(masks))
    assert masks[0] not in found
    assert set(masks[1:]) <= found


def test_numbers_in_two_classes_are_told() -> None:
    """A picture with a threshold leaves pixel by pixel."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, 4), -127, 127)])
    signs = builder.rescale(0, [128], 1, EdgeType(DType.INT8, (1, 4), 0, 1))
    assert by_rows(builder.table([signs])) == {0, signs}


def test_a_concatenation_with_the_input_tells_it() -> None:
    builder = TableBuilder([EdgeType(DType.INT8, (1, 4), -127, 127)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, np.full((4, 4), 9)),
        Parameter(ParameterKind.BIASES, np.zeros(4, np.int64)),
    ]
    sums = builder.add(Opcode.LINEAR, [0], (4, 4), constants)
    dense = builder.rescale(sums, [64], 1, EdgeType(DType.INT8, (1, 4), -127, 127))
    both = builder.joined([dense, builder.add(Opcode.SLICE, [0], (1, 0, 1))], 1)
    assert by_rows(builder.table([both])) == {0, both - 1, both}
