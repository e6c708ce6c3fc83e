# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Element Judge
@license AGPL-3.0-only
@notice The last word on operators that are judged at once: Rescale, AddRescale, Table, the searches,
        Embedding, ArgMax and the views.
@dev No state, no owner, no calls. Trusts the caller for the operators root of a version and for the
     digests that the defender committed. A table that `nesa.models.check` refuses may revert here;
     nobody takes a seat for one.
@custom:invariant 1. Every element of every operator is judged as its module defines it:
    tests/conformance/test_judges.py::test_judges_agree_on_every_operator
    2. No field of a question or of an opening can be changed:
    tests/contracts/disputes/test_element_judge.py::test_no_field_may_change
@custom:kill No switch. It is replaced with the court that asks it.
"""
from ..interfaces import IJudge
from ..interfaces import IElementJudge

implements: IJudge
implements: IElementJudge

from ..lib import edge_type
from ..lib import judging
from ..lib import opened_leaves
from ..lib import operator_row


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
    is_folded: bool = operator_row.is_sum(row.opcode) or operator_row.is_largest(row.opcode)
    assert not is_folded, "judge: is judged in parts"
    columns: uint256 = 1
    if row.opcode < operator_row.RESHAPE:
        columns = len(row.types) + len(row.roots)
    assert first == 0 and stop == 1, "judge: has no parts"
    assert len(openings) == columns, "judge: a column is missing"

    x: int256 = self._operand(row, question.tensors, openings[0], question.element, 0)
    z: int256 = 0
    if row.opcode == operator_row.ADD_RESCALE:
        z = self._operand(row, question.tensors, openings[1], question.element, 1)
    if x == opened_leaves.NO_INTEGER or z == opened_leaves.NO_INTEGER:
        return opened_leaves.NO_INTEGER
    if len(row.roots) == 0:
        return self._from_operand(row, x)
    return self._from_constants(row, question.element, x, z, openings[columns - 1])


@external
@pure
def is_refuted(
    question: IJudge.Question, claimed: int256, place: uint256, opening: IJudge.Opening
) -> bool:
    """
    @notice Whether one operand shows that a claimed ArgMax is wrong.
    @param question The element, of an ArgMax.
    @param claimed The place that it is claimed to be.
    @param place A place that is better: its value is larger, or equal and further to the front.
    @param opening The leaves that hold both values.
    @return True when `place` beats the claimed one, or that is no place at all, or one of both
            values is out of range.
    """
    row: operator_row.Row = judging.row(question)
    assert row.opcode == operator_row.ARG_MAX, "judge: not an ArgMax"
    size: uint256 = operator_row.attribute(row, 0)
    if claimed < 0 or claimed >= convert(size, int256):
        return True
    assert place < size, "judge: no such place"

    assert claimed != convert(place, int256), "judge: the claimed place"

    judging.expect_tensor(row.types[0], question.tensors[0], opening)
    base: uint256 = question.element * size
    best: uint256 = convert(claimed, uint256)
    held: int256 = opened_leaves.value(opening, row.types[0], base + best)
    found: int256 = opened_leaves.value(opening, row.types[0], base + place)
    if held == opened_leaves.NO_INTEGER or found == opened_leaves.NO_INTEGER:
        return True
    return found > held or (found == held and place < best)


# === Internals ===


@internal
@pure
def _operand(
    row: operator_row.Row,
    tensors: DynArray[bytes32, 16],
    opening: IJudge.Opening,
    element: uint256,
    column: uint256,
) -> int256:
    # The only activation in a column of an operator that is judged at once.
    source: uint256 = column
    place: uint256 = element
    if row.opcode >= operator_row.RESHAPE:
        source, place = operator_row.moved_from(row, element)
    elif row.opcode == operator_row.ADD_RESCALE:
        place = operator_row.repeated(row, source, element)
    elif row.opcode == operator_row.EMBEDDING:
        place = element // operator_row.attribute(row, 1)
    judging.expect_tensor(row.types[source], tensors[source], opening)
    return opened_leaves.value(opening, row.types[source], place)


@internal
@pure
def _from_operand(row: operator_row.Row, x: int256) -> int256:
    # A view moves it. A search finds the largest r with r * x <= 2**power, or r**2 * x: for whole
    # numbers r**2 * x <= y holds exactly when r is at most the root of y // x.
    if row.opcode >= operator_row.RESHAPE:
        return x
    is_root: bool = row.opcode == operator_row.ROOT_SEARCH
    assert is_root or row.opcode == operator_row.DIVIDE_SEARCH, "judge: not judged by value"
    largest: uint256 = (1 << operator_row.attribute(row, 1)) - 1
    if x <= 0:
        return convert(largest, int256)
    found: uint256 = (1 << operator_row.attribute(row, 0)) // convert(x, uint256)
    if is_root:
        found = isqrt(found)
    return convert(min(found, largest), int256)


@internal
@pure
def _from_constants(
    row: operator_row.Row, element: uint256, x: int256, z: int256, constants: IJudge.Opening
) -> int256:
    if row.opcode == operator_row.EMBEDDING:
        width: uint256 = operator_row.attribute(row, 1)
        entries: uint256 = operator_row.attribute(row, 0)
        judging.expect_weights(constants, width, convert(x, uint256), entries, row.roots[0])
        return opened_leaves.value(constants, judging.WEIGHTS, element % width)
    if row.opcode == operator_row.TABLE:
        judging.expect_constants(constants, judging.ENTRY_BYTES, row.roots[0])
        entry: int256 = x + convert(row.attributes[0], int256)
        return opened_leaves.value(constants, judging.ENTRIES, convert(entry, uint256))

    channel: uint256 = 0
    channels: uint256 = len(row.types)
    if row.opcode == operator_row.RESCALE and row.attributes[1] >= 0:
        axis: uint256 = operator_row.attribute(row, 1)
        place: uint256[5] = edge_type.coordinates(row.output, element)
        channel = place[axis]
        channels = edge_type.dimension(row.output, axis)
    judging.expect_constants(constants, 4 * channels, row.roots[0])
    total: int256 = x * opened_leaves.value(constants, judging.MULTIPLIERS, channel)
    if row.opcode == operator_row.ADD_RESCALE:
        total += z * opened_leaves.value(constants, judging.MULTIPLIERS, 1)
    return self._rounded(row, total)


@internal
@pure
def _rounded(row: operator_row.Row, total: int256) -> int256:
    # To the nearest multiple of 128**h, half up, within the declared range.
    places: uint256 = 7 * operator_row.attribute(row, 0)
    half: int256 = convert(1 << (places - 1), int256)
    output: edge_type.EdgeType = edge_type.unpack(row.output)
    return min(max((total + half) >> places, output.low), output.high)
