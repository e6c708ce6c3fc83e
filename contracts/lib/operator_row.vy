# pragma version ~=0.4.3
"""
@title Operator Row
@license AGPL-3.0-only
@notice One row of a table of `int-v1`, and where the operands of an element of its output lie: the
        index functions of `nesa.models.opcodes`.
"""
from . import edge_type

# What a judge needs of a row. Encoded with it are its number and those of the values.
struct Row:
    opcode: uint256
    attributes: DynArray[int64, 12]
    types: DynArray[bytes32, 16]
    output: bytes32
    roots: DynArray[bytes32, 2]

# One column of operands in an image of `height` lines, [.., height, width]: a window that begins
# at (top, left), goes over `tall` lines of `wide` places, and goes on in the next channel. Places
# beside the image are padding. `base` counts in places from the start of the tensor, `step` is the
# distance of two places.
struct Window:
    base: uint256
    step: uint256
    height: uint256
    width: uint256
    tall: uint256
    wide: uint256
    top: int256
    left: int256

LINEAR: constant(uint256) = 1
CONV: constant(uint256) = 2
MATMUL: constant(uint256) = 3
RESCALE: constant(uint256) = 4
ADD_RESCALE: constant(uint256) = 5
TABLE: constant(uint256) = 6
MAX_POOL: constant(uint256) = 7
SUM_POOL: constant(uint256) = 8
ROW_SUM: constant(uint256) = 9
ROW_MAX: constant(uint256) = 10
DIVIDE_SEARCH: constant(uint256) = 11
ROOT_SEARCH: constant(uint256) = 12
EMBEDDING: constant(uint256) = 13
ARG_MAX: constant(uint256) = 14
RESHAPE: constant(uint256) = 15
TRANSPOSE: constant(uint256) = 16
CONCAT: constant(uint256) = 17
SLICE: constant(uint256) = 18

MAX_INPUTS: constant(uint256) = 16
MAX_RANK: constant(uint256) = 5


@internal
@pure
def decode(encoded: Bytes[1856]) -> (uint256, Row):
    """
    @notice A row from its leaf.
    @param encoded The leaf as `nesa.models.graph.ROW_ABI`.
    @return Its number and the row.
    """
    index: uint32 = 0
    opcode: uint16 = 0
    attributes: DynArray[int64, 12] = []
    inputs: DynArray[uint32, 16] = []
    types: DynArray[bytes32, 16] = []
    written: uint32 = 0
    output: bytes32 = empty(bytes32)
    roots: DynArray[bytes32, 2] = []
    index, opcode, attributes, inputs, types, written, output, roots = abi_decode(
        encoded,
        (
            uint32,
            uint16,
            DynArray[int64, 12],
            DynArray[uint32, 16],
            DynArray[bytes32, 16],
            uint32,
            bytes32,
            DynArray[bytes32, 2],
        ),
    )
    row: Row = Row(
        opcode=convert(opcode, uint256),
        attributes=attributes,
        types=types,
        output=output,
        roots=roots,
    )
    return convert(index, uint256), row


@internal
@pure
def is_sum(opcode: uint256) -> bool:
    """
    @notice Whether an element is the sum of its parts.
    @param opcode The opcode.
    @return True when it is.
    """
    if opcode <= MATMUL:
        return opcode >= LINEAR
    return opcode == SUM_POOL or opcode == ROW_SUM


@internal
@pure
def is_largest(opcode: uint256) -> bool:
    """
    @notice Whether an element is the largest of its parts.
    @param opcode The opcode.
    @return True when it is.
    """
    return opcode == MAX_POOL or opcode == ROW_MAX


@internal
@pure
def operands(row: Row) -> uint256:
    """
    @notice How many operands can be cut into parts.
    @param row The row.
    @return Operands of the first column, 1 where the element is judged at once.
    """
    opcode: uint256 = row.opcode
    if opcode == LINEAR or opcode == ROW_SUM or opcode == ROW_MAX:
        return convert(row.attributes[0], uint256)
    if opcode == MATMUL:
        return convert(row.attributes[1], uint256)
    if opcode == CONV:
        each: uint256 = convert(row.attributes[0], uint256) // convert(row.attributes[3], uint256)
        return each * convert(row.attributes[4], uint256) * convert(row.attributes[5], uint256)
    if opcode == MAX_POOL or opcode == SUM_POOL:
        return convert(row.attributes[3], uint256) * convert(row.attributes[4], uint256)
    return 1


@internal
@pure
def attribute(row: Row, index: uint256) -> uint256:
    """
    @notice An attribute that is not negative.
    @param row The row.
    @param index Its place.
    @return The attribute.
    """
    return convert(row.attributes[index], uint256)


@internal
@pure
def channel(row: Row, element: uint256) -> uint256:
    """
    @notice Output channel of an element of a Linear or Conv.
    @param row The row.
    @param element Flat index of the element.
    @return The channel.
    """
    if row.opcode == LINEAR:
        return element % convert(row.attributes[1], uint256)
    return element // (edge_type.dimension(row.output, 2) * edge_type.dimension(row.output, 3))


@internal
@pure
def channels(row: Row) -> uint256:
    """
    @notice Output channels of a Linear or Conv.
    @param row The row.
    @return Their number.
    """
    if row.opcode == LINEAR:
        return convert(row.attributes[1], uint256)
    return edge_type.dimension(row.output, 1)


@internal
@pure
def first_column(row: Row, element: uint256) -> Window:
    """
    @notice The operands in the first input of an operator that is folded.
    @param row The row.
    @param element Flat index of the element.
    @return Their column.
    """
    opcode: uint256 = row.opcode
    if opcode == CONV:
        return self._conv(row, element)
    if opcode == MAX_POOL or opcode == SUM_POOL:
        return self._pool(row, element)
    size: uint256 = self.operands(row)
    if opcode == LINEAR:
        return self.line(element // convert(row.attributes[1], uint256) * size, 1, size)
    if opcode == MATMUL:
        return self.line(element // convert(row.attributes[2], uint256) * size, 1, size)
    return self.line(element * size, 1, size)


@internal
@pure
def second_column(row: Row, element: uint256) -> Window:
    """
    @notice The operands in the second input of a MatMul.
    @param row The row.
    @param element Flat index of the element.
    @return Their column.
    """
    height: uint256 = convert(row.attributes[0], uint256)
    size: uint256 = convert(row.attributes[1], uint256)
    width: uint256 = convert(row.attributes[2], uint256)
    batch: uint256 = element // (height * width)
    return self.line(batch * size * width + element % width, width, size)


@internal
@pure
def line(base: uint256, step: uint256, size: uint256) -> Window:
    """
    @notice Places at equal distances.
    @param base The first.
    @param step Their distance.
    @param size How many.
    @return The column.
    """
    return Window(
        base=base, step=step, height=1, width=size, tall=1, wide=size, top=0, left=0
    )


@internal
@pure
def _conv(row: Row, element: uint256) -> Window:
    place: uint256[5] = edge_type.coordinates(row.output, element)
    channels: uint256 = edge_type.dimension(row.output, 1)
    each: uint256 = convert(row.attributes[0], uint256) // convert(row.attributes[3], uint256)
    group: uint256 = place[1] // (channels // convert(row.attributes[3], uint256))
    height: uint256 = convert(row.attributes[1], uint256)
    width: uint256 = convert(row.attributes[2], uint256)
    return Window(
        base=group * each * height * width,
        step=1,
        height=height,
        width=width,
        tall=convert(row.attributes[4], uint256),
        wide=convert(row.attributes[5], uint256),
        top=convert(place[2] * convert(row.attributes[6], uint256), int256)
        - convert(convert(row.attributes[8], uint256), int256),
        left=convert(place[3] * convert(row.attributes[7], uint256), int256)
        - convert(convert(row.attributes[9], uint256), int256),
    )


@internal
@pure
def _pool(row: Row, element: uint256) -> Window:
    place: uint256[5] = edge_type.coordinates(row.output, element)
    height: uint256 = convert(row.attributes[1], uint256)
    width: uint256 = convert(row.attributes[2], uint256)
    return Window(
        base=place[1] * height * width,
        step=1,
        height=height,
        width=width,
        tall=convert(row.attributes[3], uint256),
        wide=convert(row.attributes[4], uint256),
        top=convert(place[2] * convert(row.attributes[5], uint256), int256),
        left=convert(place[3] * convert(row.attributes[6], uint256), int256),
    )


@internal
@pure
def moved_from(row: Row, element: uint256) -> (uint256, uint256):
    """
    @notice The element that a view moves.
    @param row The row, of a Reshape, Transpose, Concat or Slice.
    @param element Flat index of the element in the output.
    @return Which input it comes from, and its flat index there.
    """
    if row.opcode == RESHAPE:
        return 0, element
    place: uint256[5] = edge_type.coordinates(row.output, element)
    source: uint256 = 0
    if row.opcode == TRANSPOSE:
        turned: uint256[5] = empty(uint256[5])
        for i: uint256 in range(len(row.attributes), bound=MAX_RANK):
            turned[convert(row.attributes[i], uint256)] = place[i]
        place = turned
    elif row.opcode == SLICE:
        place[convert(row.attributes[0], uint256)] += convert(row.attributes[1], uint256)
    else:
        assert row.opcode == CONCAT, "row: unknown opcode"
        axis: uint256 = convert(row.attributes[0], uint256)
        for edge: bytes32 in row.types:
            size: uint256 = edge_type.dimension(edge, axis)
            if place[axis] < size:
                break
            place[axis] -= size
            source += 1
    return source, edge_type.flat_index(row.types[source], place)


@internal
@pure
def repeated(row: Row, source: uint256, element: uint256) -> uint256:
    """
    @notice The operand of an AddRescale; an axis of size 1 counts for every place of the output.
    @param row The row.
    @param source Which input.
    @param element Flat index of the element in the output.
    @return Its flat index in the input.
    """
    edge: bytes32 = row.types[source]
    place: uint256[5] = edge_type.coordinates(row.output, element)
    for axis: uint256 in range(MAX_RANK):
        if edge_type.dimension(edge, axis) <= 1:
            place[axis] = 0
    return edge_type.flat_index(edge, place)
