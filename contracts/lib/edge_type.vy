# pragma version ~=0.4.3
"""
@title Edge Type
@license AGPL-3.0-only
@notice Types of the tensors that cross a shard boundary, packed into one word each; the same as
        `nesa.protocol.edges`. A word is: format (1 byte) | dtype (1) | rank (1) | zero (1) |
        lowest value (4, signed) | highest value (4, signed) | up to five dimensions (4 each).
        Format 2 instead of 1 stands for a tensor that a proof shows hashed.
"""

# What a reader of canonical bytes needs of an edge.
struct EdgeType:
    itemsize: uint256  # bytes of one element
    signed: bool
    low: int256
    high: int256
    elements: uint256

EDGE_FORMAT: constant(uint256) = 1
HASHED_FORMAT: constant(uint256) = 2
MAX_RANK: constant(uint256) = 5
WORD_MASK: constant(uint256) = 2**32 - 1
SIGN_BIT: constant(uint256) = 2**31

INT8: constant(uint256) = 1
UINT8: constant(uint256) = 2
INT16: constant(uint256) = 3
INT32: constant(uint256) = 4


@internal
@pure
def is_canonical(edge: bytes32) -> bool:
    """
    @notice Whether `edge` is a word that `nesa.protocol.edges` accepts.
    @param edge The word.
    @return True when it is.
    """
    word: uint256 = convert(edge, uint256)
    dtype: uint256 = (word >> 240) & 255
    rank: uint256 = (word >> 232) & 255
    if word >> 248 != EDGE_FORMAT or (word >> 224) & 255 != 0:
        return False
    if dtype < INT8 or dtype > INT32 or rank < 1 or rank > MAX_RANK:
        return False
    for i: uint256 in range(MAX_RANK):
        is_zero: bool = self._dimension(word, i) == 0
        if is_zero != (i >= rank):
            return False

    low: int256 = self._signed(word >> 192)
    high: int256 = self._signed(word >> 160)
    least: int256 = 0
    greatest: int256 = 255
    if dtype != UINT8:
        greatest = convert((1 << (8 * self._itemsize(dtype) - 1)) - 1, int256)
        least = -greatest - 1
    return least <= low and low <= high and high <= greatest


@internal
@pure
def hashed(edge: bytes32) -> bytes32:
    """
    @notice The word for the same tensor where a proof shows it hashed.
    @param edge A canonical word.
    @return The word.
    """
    return convert(convert(edge, uint256) ^ ((EDGE_FORMAT ^ HASHED_FORMAT) << 248), bytes32)


@internal
@pure
def is_hashed(edge: bytes32) -> bool:
    """
    @notice Whether a proof shows the tensor hashed.
    @param edge A word that `is_canonical` or `hashed` knows.
    @return True when it does.
    """
    return convert(edge, uint256) >> 248 == HASHED_FORMAT


@internal
@pure
def unpack(edge: bytes32) -> EdgeType:
    """
    @notice Fields of an edge.
    @param edge A canonical word.
    @return The fields.
    """
    word: uint256 = convert(edge, uint256)
    dtype: uint256 = (word >> 240) & 255
    return EdgeType(
        itemsize=self._itemsize(dtype),
        signed=dtype != UINT8,
        low=self._signed(word >> 192),
        high=self._signed(word >> 160),
        elements=self.elements(edge),
    )


@internal
@pure
def elements(edge: bytes32) -> uint256:
    """
    @notice Number of elements.
    @param edge A canonical word.
    @return The product of the dimensions.
    """
    word: uint256 = convert(edge, uint256)
    rank: uint256 = (word >> 232) & 255
    dimensions: uint256 = word >> (160 - 32 * rank)
    count: uint256 = 1
    for _: uint256 in range(rank, bound=MAX_RANK):
        count *= dimensions & WORD_MASK
        dimensions >>= 32
    return count


@internal
@pure
def byte_length(edge: bytes32) -> uint256:
    """
    @notice Length of the canonical bytes.
    @param edge A canonical word.
    @return Bytes.
    """
    return self.elements(edge) * self._itemsize((convert(edge, uint256) >> 240) & 255)


@internal
@pure
def dimension(edge: bytes32, axis: uint256) -> uint256:
    """
    @notice Size of one axis.
    @param edge A canonical word.
    @param axis The axis, below 5.
    @return Its size, zero from the rank on.
    """
    assert axis < MAX_RANK, "edge: no such axis"
    return self._dimension(convert(edge, uint256), axis)


@internal
@pure
def coordinates(edge: bytes32, place: uint256) -> uint256[5]:
    """
    @notice Where an element stands.
    @param edge A canonical word.
    @param place Flat index of the element in C order.
    @return Its coordinates, zero from the rank on.
    """
    word: uint256 = convert(edge, uint256)
    rank: uint256 = (word >> 232) & 255
    found: uint256[5] = empty(uint256[5])
    rest: uint256 = place
    for i: uint256 in range(rank, bound=MAX_RANK):
        axis: uint256 = rank - 1 - i
        size: uint256 = self._dimension(word, axis)
        found[axis] = rest % size
        rest //= size
    return found


@internal
@pure
def flat_index(edge: bytes32, place: uint256[5]) -> uint256:
    """
    @notice Flat index of an element in C order.
    @param edge A canonical word.
    @param place Coordinates.
    @return The index.
    """
    word: uint256 = convert(edge, uint256)
    index: uint256 = 0
    for axis: uint256 in range((word >> 232) & 255, bound=MAX_RANK):
        index = index * self._dimension(word, axis) + place[axis]
    return index


@internal
@pure
def _itemsize(dtype: uint256) -> uint256:
    if dtype <= UINT8:
        return 1
    if dtype == INT16:
        return 2
    return 4


@internal
@pure
def _dimension(word: uint256, index: uint256) -> uint256:
    return (word >> (128 - 32 * index)) & WORD_MASK


@internal
@pure
def _signed(bits: uint256) -> int256:
    # Two's complement of the lowest four bytes.
    return convert((bits & WORD_MASK) ^ SIGN_BIT, int256) - convert(SIGN_BIT, int256)
