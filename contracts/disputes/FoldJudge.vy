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
from ..interfaces import IFoldJudge

implements: IJudge
implements: IFoldJudge

from ..lib import edge_type
from ..lib import judging
from ..lib import opened_leaves
from ..lib import operator_row

MAX_PART: constant(uint256) = 256
MAX_LEAVES: constant(uint256) = 16

WHOLE: constant(uint256) = 0
SUM: constant(uint256) = 1
LARGEST: constant(uint256) = 2


@external
@pure
def operands(question: IJudge.Question) -> (uint256, uint256):
    """
    @notice How an element is put together, for a court that bisects it.
    @param question The element.
    @return 0 when it is judged at once, 1 when it is the sum of its parts, 2 when the largest of
            them; and how many operands can be cut into parts.
    """
    row: operator_row.Row = judging.row(question)
    return self._fold(row.opcode), operator_row.operands(row)


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
    @return The sum or the largest of the part; the element where it is judged at once.
    """
    row: operator_row.Row = judging.row(question)
    columns: uint256 = len(row.types) + len(row.roots)
    assert len(openings) == columns, "judge: wrong number of columns"
    assert first < stop and stop <= operator_row.operands(row), "judge: no such operands"
    assert stop - first <= MAX_PART, "judge: too many operands"

    fold: uint256 = self._fold(row.opcode)
    assert fold != WHOLE, "judge: is judged at once"
    judging.expect_tensor(row, question.tensors, 0, openings[0])
    values: int256[MAX_PART] = self._values(
        operator_row.first_column(row, question.element), row.types[0], openings[0], first, stop
    )
    if columns == 1:
        return self._folded(fold, values, stop - first)

    total: int256 = 0
    factors: operator_row.Window = empty(operator_row.Window)
    edge: bytes32 = judging.WEIGHTS
    if row.opcode == operator_row.MATMUL:
        judging.expect_tensor(row, question.tensors, 1, openings[1])
        factors = operator_row.second_column(row, question.element)
        edge = row.types[1]
    else:
        channel: uint256 = operator_row.channel(row, question.element)
        size: uint256 = operator_row.operands(row)
        channels: uint256 = operator_row.channels(row)
        judging.expect_weights(openings[1], size, channel, channels, row.roots[0])
        factors = operator_row.line(0, 1, size)
        judging.expect_constants(openings[2], 4 * channels, row.roots[1])
        if first == 0:
            total = opened_leaves.value(openings[2], judging.BIASES, channel)
    return total + self._dot(
        values, self._values(factors, edge, openings[1], first, stop), stop - first
    )


@external
@pure
def combine(fold: uint256, left: int256, right: int256) -> int256:
    """
    @notice The value of two adjacent parts of an element.
    @param fold 1 when the element is the sum of its parts, 2 when it is the largest of them.
    @param left Value of one part.
    @param right Value of the other.
    @return Their sum, or the larger one.
    """
    assert fold == SUM or fold == LARGEST, "judge: no such fold"
    if fold == SUM:
        return left + right
    return max(left, right)


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
    # Operands first <= k < stop of a column, in order. Their leaves ascend with them, so one pass
    # over the opened leaves finds them all.
    kind: edge_type.EdgeType = edge_type.unpack(edge)
    stride: int256 = convert(column.step * kind.itemsize, int256)
    unused: uint256 = 256 - 8 * kind.itemsize
    middle: uint256 = 0
    if kind.signed:
        middle = 1 << (8 * kind.itemsize - 1)
    bias: int256 = convert(middle, int256)
    width: int256 = convert(column.width, int256)
    data: Bytes[4128] = concat(opening.data, empty(bytes32))

    values: int256[MAX_PART] = empty(int256[MAX_PART])
    found: uint256 = 0  # place in the list of the leaf that was read last
    leaf: uint256 = max_value(uint256)  # its index
    line: uint256 = first // column.wide
    left: uint256 = first % column.wide  # places of the line that were passed
    is_inside: bool = False
    origin: int256 = 0  # of the first place of the line, in bytes
    is_new: bool = True
    for i: uint256 in range(stop - first, bound=MAX_PART):
        if is_new:
            is_new = False
            y: int256 = convert(line % column.tall, int256) + column.top
            is_inside = y >= 0 and y < convert(column.height, int256)
            if is_inside:
                above: uint256 = line // column.tall * column.height + convert(y, uint256)
                start: uint256 = column.base + above * column.width * column.step
                origin = convert(start * kind.itemsize, int256) + column.left * stride
        x: int256 = unsafe_add(column.left, convert(left, int256))
        if is_inside and x >= 0 and x < width:
            byte: uint256 = convert(origin + convert(left, int256) * stride, uint256)
            if byte // 256 != leaf:
                leaf = byte // 256
                for _: uint256 in range(MAX_LEAVES + 1):  # the last one finds the end
                    assert found < len(opening.leaves), "judge: an operand is not opened"
                    if opening.leaves[found] == leaf:
                        break
                    found = unsafe_add(found, 1)
            start: uint256 = unsafe_add(found << 8, byte & 255)
            bits: uint256 = convert(extract32(data, start), uint256) >> unused
            if kind.itemsize == 2:
                bits = (bits >> 8) | ((bits & 255) << 8)
            elif kind.itemsize == 4:
                bits = (
                    (bits >> 24)
                    | ((bits >> 8) & 65280)
                    | ((bits & 65280) << 8)
                    | ((bits & 255) << 24)
                )
            value: int256 = unsafe_sub(convert(bits ^ middle, int256), bias)
            assert kind.low <= value and value <= kind.high, "judge: operand out of range"
            values[i] = value
        left = unsafe_add(left, 1)
        if left == column.wide:
            left = 0
            line = unsafe_add(line, 1)
            is_new = True
    return values
