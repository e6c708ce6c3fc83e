# pragma version ~=0.4.3
"""
@title Element Claims
@license AGPL-3.0-only
@notice What the element game and a conviction share: leaves of the table, the claims that a
        defender made, and values bound to its commitment; the same as `nesa.models.disputes.traces`.
"""
from ..interfaces import IElementGame

from . import edge_type
from . import opened_leaves
from . import operator_row

# What a leaf of a table says, in the order of `nesa.models.graph.ROW_ABI`.
struct Leaf:
    index: uint256
    opcode: uint256
    attributes: DynArray[int64, 12]
    inputs: DynArray[uint32, 16]
    written: uint256
    output: bytes32

# Nodes that a step shows, parts of a claim, inputs of a row.
MAX_SHOWN: constant(uint256) = 16


@internal
@pure
def leaf(data: Bytes[1856]) -> Leaf:
    """
    @notice What a leaf of a table says.
    @param data The leaf as `nesa.models.graph.ROW_ABI`.
    @return What a game needs of it.
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
        data,
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
    return Leaf(
        index=convert(index, uint256),
        opcode=convert(opcode, uint256),
        attributes=attributes,
        inputs=inputs,
        written=convert(written, uint256),
        output=output,
    )


@internal
@pure
def expect_leaf(
    operators_root: bytes32, leaves: uint256, index: uint256, proof: IElementGame.LeafProof
):
    """
    @notice Reverts unless a leaf is one of the version.
    @param operators_root Root of the table.
    @param leaves How many it has.
    @param index Which one.
    @param proof The leaf and its siblings.
    """
    leaf: bytes32 = self.leaf_hash(proof.data)
    root: bytes32 = opened_leaves.path_root(leaf, index, leaves, proof.path)
    assert root == operators_root, "game: no leaf of the version"


@internal
@pure
def expect_row(leaf_hash: bytes32, row: Bytes[1856]):
    """
    @notice Reverts unless this is the row in dispute.
    @param leaf_hash The leaf hash of the row in dispute.
    @param row The leaf.
    """
    assert self.leaf_hash(row) == leaf_hash, "game: not the row in dispute"


@internal
@pure
def leaf_hash(data: Bytes[1856]) -> bytes32:
    """
    @notice Hash of a leaf of a table.
    @param data The leaf.
    @return Its node at the bottom of the table's tree.
    """
    return keccak256(concat(b"\x00", data))


@internal
@view
def claim(
    position: IElementGame.Position, row: Bytes[1856], data: Bytes[256], choice: uint256
) -> IElementGame.Claim:
    """
    @notice What a defender claims: one element of the leaf that was shown, or one of the parts that
            were stated.
    @param position Where the game stands.
    @param row The row in dispute.
    @param data Bytes of the leaf that was shown; not read where parts were stated.
    @param choice Which claim.
    @return The claim.
    """
    self.expect_row(position.row, row)
    claim: IElementGame.Claim = position.claim
    if position.phase == IElementGame.Phase.PARTS_STATED:
        assert choice < len(position.values), "game: no such part"
        size: uint256 = self.part_size(position.claim)
        claim.first += size * choice
        claim.stop = min(claim.first + size, position.claim.stop)
        claim.value = position.values[choice]
        return claim
    assert position.phase == IElementGame.Phase.LEAF_SHOWN, "game: nothing is claimed"
    assert keccak256(concat(b"\x00", data)) == position.descent.nodes[0], "game: not the leaf shown"
    leaf: Leaf = self.leaf(row)
    kind: edge_type.EdgeType = edge_type.unpack(leaf.output)
    assert choice < len(data) // kind.itemsize, "game: no such element"
    claim.element = position.descent.place * 256 // kind.itemsize + choice
    # How many operands there are follows from opcode and attributes alone.
    shape: operator_row.Row = empty(operator_row.Row)
    shape.opcode = leaf.opcode
    shape.attributes = leaf.attributes
    claim.stop = operator_row.operands(shape)
    claim.value = self._integer(data, choice * kind.itemsize, kind.itemsize, kind.signed)
    return claim


@internal
@pure
def part_size(claim: IElementGame.Claim) -> uint256:
    """
    @notice Operands of each part of a claim but the last.
    @param claim The claim.
    @return How many.
    """
    return (claim.stop - claim.first + MAX_SHOWN - 1) // MAX_SHOWN


@internal
@pure
def values(trace: IElementGame.Trace) -> uint256:
    """
    @notice Values of a shard: its inputs and what its rows write.
    @param trace The commitment.
    @return How many.
    """
    return len(trace.inputs) + trace.end - trace.first


@internal
@pure
def expect_values(
    trace: IElementGame.Trace,
    numbers: DynArray[uint256, MAX_SHOWN],
    digests: DynArray[bytes32, MAX_SHOWN],
    siblings: DynArray[bytes32, 128],
):
    """
    @notice Reverts unless values have these digests. Their places are put in order; a value that is
            named twice has one digest.
    @param trace The commitment.
    @param numbers Numbers of the values.
    @param digests A digest for each.
    @param siblings What leads to the root of the values.
    """
    places: DynArray[uint256, MAX_SHOWN] = []
    nodes: DynArray[bytes32, MAX_SHOWN] = []
    for i: uint256 in range(len(numbers), bound=MAX_SHOWN):
        place: uint256 = self._place_of(trace, numbers[i])
        at: uint256 = len(places)
        for _: uint256 in range(MAX_SHOWN):
            if at == 0 or places[at - 1] < place:
                break
            at -= 1
        if at < len(places) and places[at] == place:
            assert nodes[at] == digests[i], "game: a value has two digests"
            continue
        places.append(place)
        nodes.append(digests[i])
        for k: uint256 in range(MAX_SHOWN):
            behind: uint256 = len(places) - 1 - k
            if behind == at:
                break
            places[behind] = places[behind - 1]
            nodes[behind] = nodes[behind - 1]
        places[at] = place
        nodes[at] = digests[i]
    # A call among the arguments of another would copy them once more.
    width: uint256 = self.values(trace)
    root: bytes32 = opened_leaves._root(places, nodes, width, siblings)
    assert root == trace.root, "game: other values"


@internal
@pure
def _integer(data: Bytes[256], start: uint256, size: uint256, signed: bool) -> int256:
    # Little-endian, and in no range but its type's: whoever claims more than that is wrong.
    bits: uint256 = 0
    for i: uint256 in range(size, bound=4):
        bits |= convert(slice(data, start + i, 1), uint256) << (8 * i)
    number: int256 = convert(bits, int256)
    half: uint256 = 1 << (8 * size - 1)
    if signed and bits >= half:
        number -= convert(2 * half, int256)
    return number


@internal
@pure
def _place_of(trace: IElementGame.Trace, number: uint256) -> uint256:
    count: uint256 = len(trace.inputs)
    for i: uint256 in range(count, bound=4):
        if trace.inputs[i] == number:
            return i
    assert number >= trace.base, "game: not of this shard"
    assert number - trace.base < trace.end - trace.first, "game: behind this shard"
    return count + number - trace.base
