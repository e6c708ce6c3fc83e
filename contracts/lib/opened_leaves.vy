# pragma version ~=0.4.3
"""
@title Opened Leaves
@license AGPL-3.0-only
@notice Leaves of a Merkle tree, opened several at once, and the integers in them; the same as
        `nesa.protocol.openings`. The tree is that of `tensor_digest`.
"""
from ..interfaces import IJudge
from . import edge_type

LEAF_BYTES: constant(uint256) = 256
WORDS: constant(uint256) = 8
MAX_OPENED: constant(uint256) = 16
MAX_DEPTH: constant(uint256) = 40

# What is found where an operand is out of its range; no claim is equal to it. No honest member
# signs for such an input, and nobody may be safe behind one.
NO_INTEGER: constant(int256) = min_value(int256)


@internal
@pure
def data_root(opening: IJudge.Opening, size: uint256) -> bytes32:
    """
    @notice Root of the bytes whose leaves are opened.
    @param opening The leaves.
    @param size How many bytes there are in all.
    @return The root; zero when nothing is opened, which proves nothing and reads nothing.
    """
    width: uint256 = (size + LEAF_BYTES - 1) // LEAF_BYTES
    hashes: DynArray[bytes32, MAX_OPENED] = []
    least: uint256 = 0
    # Offset and length, then the words.
    encoded: Bytes[4160] = abi_encode(opening.words)
    assert len(opening.words) == WORDS * len(opening.leaves), "opening: wrong number of words"
    if len(opening.leaves) == 0:
        assert len(opening.siblings) == 0, "opening: names no leaves"
        return empty(bytes32)
    for i: uint256 in range(len(opening.leaves), bound=MAX_OPENED):
        place: uint256 = opening.leaves[i]
        assert place < width, "opening: no such leaf"
        assert place >= least, "opening: leaves must ascend"
        least = place + 1
        length: uint256 = min(LEAF_BYTES, size - place * LEAF_BYTES)
        # What fills the last leaf of a tree up is no part of it, and nobody may say anything there.
        leaf: Bytes[LEAF_BYTES] = slice(encoded, 64 + LEAF_BYTES * i, LEAF_BYTES)
        if length != LEAF_BYTES:
            rest: uint256 = LEAF_BYTES - length
            zeros: Bytes[LEAF_BYTES] = abi_encode(empty(uint256[WORDS]))
            is_filled: bool = slice(leaf, length, rest) == slice(zeros, 0, rest)
            assert is_filled, "opening: a leaf is longer"
            leaf = slice(leaf, 0, length)
        hashes.append(keccak256(concat(b"\x00", leaf)))
    return self._root(opening.leaves, hashes, width, opening.siblings)


@internal
@pure
def path_root(
    node: bytes32, place: uint256, width: uint256, path: DynArray[bytes32, 32]
) -> bytes32:
    """
    @notice Root of a tree from one of its nodes at the bottom.
    @param node The node.
    @param place Its index.
    @param width How many there are.
    @param path Siblings from the bottom up.
    @return The root.
    """
    assert place < width, "opening: no such place"
    return self._root([place], [node], width, path)


@internal
@pure
def value(opening: IJudge.Opening, edge: bytes32, place: uint256) -> int256:
    """
    @notice One integer of the opened leaves.
    @param opening The leaves.
    @param edge Packed type; its dtype and range count, its shape does not.
    @param place Index of the integer.
    @return The integer, `NO_INTEGER` when it is out of the edge's range.
    """
    kind: edge_type.EdgeType = edge_type.unpack(edge)
    first: uint256 = place * kind.itemsize
    start: uint256 = max_value(uint256)
    for i: uint256 in range(len(opening.leaves), bound=MAX_OPENED):
        if opening.leaves[i] == first // LEAF_BYTES:
            start = i * LEAF_BYTES + first % LEAF_BYTES
    assert start != max_value(uint256), "opening: a place is not opened"

    word: uint256 = opening.words[start // 32]
    bits: uint256 = 0
    for i: uint256 in range(kind.itemsize, bound=4):
        byte: uint256 = (word >> (248 - 8 * (start % 32 + i))) & 255
        bits |= byte << (8 * i)
    number: int256 = convert(bits, int256)
    half: uint256 = 1 << (8 * kind.itemsize - 1)
    if kind.signed and bits >= half:
        number -= convert(2 * half, int256)
    if number < kind.low or kind.high < number:
        return NO_INTEGER
    return number


@internal
@pure
def _root(
    places: DynArray[uint256, MAX_OPENED],
    hashes: DynArray[bytes32, MAX_OPENED],
    leaves: uint256,
    siblings: DynArray[bytes32, 128],
) -> bytes32:
    # Places ascend and lie below `leaves`, so every level ends with fewer nodes, the last with one.
    at: DynArray[uint256, MAX_OPENED] = places
    nodes: DynArray[bytes32, MAX_OPENED] = hashes
    count: uint256 = len(places)
    assert (leaves - 1) >> MAX_DEPTH == 0, "opening: the tree is too deep"
    used: uint256 = 0
    for level: uint256 in range(MAX_DEPTH):
        width: uint256 = ((leaves - 1) >> level) + 1
        if width == 1:
            break
        kept: uint256 = 0
        i: uint256 = 0
        for _: uint256 in range(MAX_OPENED):
            if i == count:
                break
            place: uint256 = at[i]
            node: bytes32 = nodes[i]
            i = unsafe_add(i, 1)
            if place & 1 == 1:
                assert used < len(siblings), "opening: a node is missing"
                node = keccak256(concat(b"\x01", siblings[used], node))
                used = unsafe_add(used, 1)
            elif unsafe_add(place, 1) != width:
                if i < count and at[i] == unsafe_add(place, 1):
                    node = keccak256(concat(b"\x01", node, nodes[i]))
                    i = unsafe_add(i, 1)
                else:
                    assert used < len(siblings), "opening: nodes are missing"
                    node = keccak256(concat(b"\x01", node, siblings[used]))
                    used = unsafe_add(used, 1)
            at[kept] = place >> 1
            nodes[kept] = node
            kept = unsafe_add(kept, 1)
        count = kept
    assert used == len(siblings), "opening: too many nodes"
    return nodes[0]
