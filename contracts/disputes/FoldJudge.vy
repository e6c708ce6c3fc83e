# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Fold Judge
@license AGPL-3.0-only
@notice The last word on operators that add or compare many operands: Linear, Conv, MatMul, the pools,
        RowSum and RowMax. Long ones are judged in parts.
@dev No state, no owner, no calls. Trusts the caller for the operators root of a version and for the
     digests that the defender committed. A table that `nesa.models.check` refuses may revert here;
     nobody takes a seat for one.
@custom:invariant 1. Every element of every operator is judged as its module defines it:
    tests/conformance/test_judges.py::test_judges_agree_on_every_operator
    2. No field of a question or of an opening can be changed:
    tests/contracts/disputes/test_fold_judge.py::test_no_field_may_change
    3. Parts make the whole, wherever they are cut:
    tests/conformance/test_judges.py::test_parts_make_the_whole
@custom:kill No switch. It is replaced with the court that asks it.
"""
from ..interfaces import IJudge

implements: IJudge

from ..lib import byte_lanes
from ..lib import edge_type
from ..lib import judging
from ..lib import opened_leaves
from ..lib import operator_row

MAX_PART: constant(uint256) = 256
MAX_LEAVES: constant(uint256) = 16

TOP_BYTE: constant(uint256) = 255 << 248
NEXT_BYTE: constant(uint256) = 255 << 240

WHOLE: constant(uint256) = 0
SUM: constant(uint256) = 1
LARGEST: constant(uint256) = 2


@external
@pure
def evaluate(
    question: IJudge.Question,
    first: uint256,
    stop: uint256,
    openings: DynArray[IJudge.Opening, 3],
) -> int256:
    """
    @notice What operands `first <= k < stop` make of an element: the element itself when they are
            all of its operands. A bias counts in the part that begins with operand 0. Not for
            ArgMax, which `is_refuted` judges.
    @dev Reverts for anything but the operands of this very element, all of them opened.
    @param question The element.
    @param first The first operand.
    @param stop The operand behind the last, at most 256 further on.
    @param openings The leaves of each column: inputs, then constants, in the order of the row, at
           most 16 a column. A column that has nothing to add here is opened with no leaves.
    @return The sum or the largest of the part; the element where it is judged at once; the least
            integer of all, which nobody can claim, where an operand is out of its range.
    """
    row: operator_row.Row = judging.row(question)
    columns: uint256 = len(row.types) + len(row.roots)
    assert len(openings) == columns, "judge: wrong number of columns"
    assert first < stop and stop <= operator_row.operands(row), "judge: no such operands"
    assert stop - first <= MAX_PART, "judge: too many operands"

    fold: uint256 = self._fold(row.opcode)
    assert fold != WHOLE, "judge: is judged at once"
    judging.expect_tensor(row.types[0], question.tensors[0], openings[0])
    element: uint256 = question.element
    column: operator_row.Window = operator_row.first_column(row, element)
    bias: int256 = 0
    if row.opcode == operator_row.MATMUL:
        judging.expect_tensor(row.types[1], question.tensors[1], openings[1])
    elif columns != 1:
        channel: uint256 = operator_row.channel(row, element)
        channels: uint256 = operator_row.channels(row)
        size: uint256 = operator_row.operands(row)
        judging.expect_weights(openings[1], size, channel, channels, row.roots[0])
        judging.expect_constants(openings[2], 4 * channels, row.roots[1])
        if first == 0:
            bias = opened_leaves.value(openings[2], judging.BIASES, channel)
        kind: edge_type.EdgeType = edge_type.unpack(row.types[0])
        if row.opcode == operator_row.LINEAR and kind.itemsize == 1:
            bytes_of_x: byte_lanes.ByteKind = byte_lanes.ByteKind(
                signed=kind.signed, low=kind.low, high=kind.high
            )
            found: int256 = byte_lanes.dot(
                openings[0], column.base + first, openings[1], first, stop - first, bytes_of_x
            )
            return found if found == opened_leaves.NO_INTEGER else bias + found

    x: int256[MAX_PART] = self._values(column, row.types[0], openings[0], first, stop)
    if x[0] == opened_leaves.NO_INTEGER:
        return opened_leaves.NO_INTEGER
    if columns == 1:
        return self._folded(fold, x, stop - first)
    edge: bytes32 = judging.WEIGHTS
    column = operator_row.line(0, 1, operator_row.operands(row))
    if row.opcode == operator_row.MATMUL:
        edge = row.types[1]
        column = operator_row.second_column(row, element)
    z: int256[MAX_PART] = self._values(column, edge, openings[1], first, stop)
    if z[0] == opened_leaves.NO_INTEGER:
        return opened_leaves.NO_INTEGER
    return bias + self._dot(x, z, stop - first)


# === Internals ===


@internal
@pure
def _fold(opcode: uint256) -> uint256:
    if operator_row.is_sum(opcode):
        return SUM
    if operator_row.is_largest(opcode):
        return LARGEST
    return WHOLE


@internal
@pure
def _folded(fold: uint256, values: int256[MAX_PART], count: uint256) -> int256:
    total: int256 = values[0]
    for k: uint256 in range(1, count, bound=MAX_PART):
        if fold == SUM:
            total += values[k]
        else:
            total = max(total, values[k])
    return total


@internal
@pure
def _dot(x: int256[MAX_PART], z: int256[MAX_PART], count: uint256) -> int256:
    # Operands have four bytes at most, so nothing here can overflow.
    total: int256 = 0
    for k: uint256 in range(count, bound=MAX_PART):
        total = unsafe_add(total, unsafe_mul(x[k], z[k]))
    return total


@internal
@pure
def _values(
    column: operator_row.Window,
    edge: bytes32,
    opening: IJudge.Opening,
    first: uint256,
    stop: uint256,
) -> int256[MAX_PART]:
    # Operands first <= k < stop of a column, in order; padding is 0. Their leaves ascend with them,
    # so one pass over the opened leaves finds them all. Where one is out of range, the first is no
    # integer.
    values: int256[MAX_PART] = empty(int256[MAX_PART])
    kind: edge_type.EdgeType = edge_type.unpack(edge)
    stride: uint256 = column.step * kind.itemsize
    count: uint256 = stop - first
    line: uint256 = first // column.wide
    passed: uint256 = first % column.wide  # places of the line
    found: uint256 = 0  # place in the list of the leaf that is read
    done: uint256 = 0
    for _: uint256 in range(MAX_PART):  # a turn for each stretch of a line inside of one leaf
        if done == count:
            break
        length: uint256 = min(column.wide - passed, count - done)
        y: int256 = convert(line % column.tall, int256) + column.top
        x: int256 = convert(passed, int256) + column.left
        if x < 0:
            length = min(length, convert(-x, uint256))
        elif y >= 0 and y < convert(column.height, int256) and x < convert(column.width, int256):
            length = min(length, column.width - convert(x, uint256))
            above: uint256 = line // column.tall * column.height + convert(y, uint256)
            place: uint256 = (above * column.width + convert(x, uint256)) * column.step
            start: uint256 = (column.base + place) * kind.itemsize
            length = min(length, (255 - start % 256) // stride + 1)
            for ahead: uint256 in range(MAX_LEAVES + 1):  # the last one finds the end
                assert found + ahead < len(opening.leaves), "judge: an operand is not opened"
                if opening.leaves[found + ahead] == start // 256:
                    found += ahead
                    break
            start = start % 256 + 256 * found
            for k: uint256 in range(length, bound=MAX_PART):
                word: uint256 = opening.words[start >> 5]
                word = word << ((start & 31) << 3)
                value: int256 = 0
                if kind.itemsize != 1:
                    value = self._integer(word, kind.itemsize)
                elif kind.signed:
                    value = convert(convert(word, bytes32), int256) >> 248
                else:
                    value = convert(word >> 248, int256)
                if value < kind.low or kind.high < value:
                    values[0] = opened_leaves.NO_INTEGER
                    return values
                values[unsafe_add(done, k)] = value
                start = unsafe_add(start, stride)
        done += length
        passed += length
        if passed == column.wide:
            passed = 0
            line += 1
    assert done == count, "judge: too many stretches"
    return values


@internal
@pure
def _integer(word: uint256, itemsize: uint256) -> int256:
    # The little-endian integer of two or four bytes, always signed, at the head of a word.
    if itemsize == 2:
        pair: uint256 = (word << 8) & TOP_BYTE | (word >> 8) & NEXT_BYTE
        return convert(convert(pair, bytes32), int256) >> 240
    turned: uint256 = (word << 24) & TOP_BYTE
    turned |= (word << 8) & NEXT_BYTE
    turned |= (word >> 8) & (NEXT_BYTE >> 8)
    turned |= (word >> 24) & (NEXT_BYTE >> 16)
    return convert(convert(turned, bytes32), int256) >> 224
