# pragma version ~=0.4.3
# pragma optimize codesize
# pragma evm-version prague
"""
@title Element Game
@license AGPL-3.0-only
@notice The rules of the element game; see `IElementGame` for what each function promises.
@dev No state, no owner, no calls; `view` because a pure function may not name a flag. The court
     keeps a position's hash and asks here what follows.
@custom:invariant 1. Every move leads where the Python rules lead, and no other is taken:
    tests/conformance/test_element_game.py::test_the_walk_is_that_of_the_python_rules
@custom:kill No switch. It is replaced with the court that asks it.
"""
from ..interfaces import IElementGame
from ..interfaces import IJudge

implements: IElementGame

from ..lib import edge_type
from ..lib import opened_leaves
from ..lib import operator_row
from ..lib import tensor_digest

# What a leaf of a table says, in the order of `nesa.models.graph.ROW_ABI`.
struct Leaf:
    index: uint256
    opcode: uint256
    attributes: DynArray[int64, 12]
    inputs: DynArray[uint32, 16]
    written: uint256
    output: bytes32

SHARD: constant(uint256) = 255
STEP_LEVELS: constant(uint256) = 4
MAX_SHOWN: constant(uint256) = 16
LARGEST_VALUE: constant(int256) = 2**63 - 1
MAX_HEIGHT: constant(uint256) = 40


# === Defender ===


@external
@view
def defend(
    position: IElementGame.Position, defence: IElementGame.Defence
) -> IElementGame.Position:
    """
    @notice The position after a defence; see `IElementGame`.
    """
    assert position.phase == IElementGame.Phase.OPENED, "game: not just opened"
    charge: IElementGame.Charge = position.charge
    last: Leaf = self._leaf(defence.last.data)
    # Only the last leaf has all of its siblings on the left, so only its index is right here.
    leaves: uint256 = last.index + 1
    self._expect_leaf(charge.operators_root, leaves, last.index, defence.last)
    shard: Leaf = self._leaf(defence.shard.data)
    self._expect_leaf(charge.operators_root, leaves, shard.index, defence.shard)
    assert shard.opcode == SHARD, "game: not a shard"
    assert shard.index + charge.shards == leaves + charge.shard, "game: another shard"
    row: Leaf = self._leaf(defence.first.data)
    self._expect_leaf(charge.operators_root, leaves, row.index, defence.first)
    first: uint256 = convert(shard.attributes[0], uint256)
    assert row.opcode != SHARD and row.index == first, "game: not the first row"
    assert tensor_digest.edges_digest(defence.inputs) == charge.in_digest, "game: other input"
    assert tensor_digest.edges_digest(defence.outputs) == charge.out_digest, "game: other output"

    trace: IElementGame.Trace = IElementGame.Trace(
        leaves=leaves,
        inputs=[],
        first=first,
        end=convert(shard.attributes[1], uint256),
        base=row.written,
        root=self._merkle_root(defence.nodes),
    )
    for number: uint32 in shard.inputs:
        trace.inputs.append(convert(number, uint256))
    self._expect_ends(trace, shard, defence)
    shown: IElementGame.Position = position
    shown.trace = trace
    shown.phase = IElementGame.Phase.VALUES_SHOWN
    return self._with_top(shown, self._values(trace), defence.nodes)


@external
@view
def show(
    position: IElementGame.Position, nodes: DynArray[bytes32, 16]
) -> IElementGame.Position:
    """
    @notice The position after nodes are shown; see `IElementGame`.
    """
    shown: IElementGame.Position = position
    if position.phase == IElementGame.Phase.VALUES_ASKED:
        shown.phase = IElementGame.Phase.VALUES_SHOWN
    else:
        assert position.phase == IElementGame.Phase.TENSOR_ASKED, "game: no node is asked for"
        shown.phase = IElementGame.Phase.TENSOR_SHOWN
    assert self._merkle_root(nodes) == position.nodes[0], "game: other nodes"
    return self._below(shown, nodes)


@external
@view
def show_row(
    position: IElementGame.Position,
    row: IElementGame.LeafProof,
    nodes: DynArray[bytes32, 16],
) -> IElementGame.Position:
    """
    @notice The position after a row is shown; see `IElementGame`.
    """
    assert position.phase == IElementGame.Phase.ROW_NAMED, "game: no value is picked"
    trace: IElementGame.Trace = position.trace
    leaf: Leaf = self._leaf(row.data)
    self._expect_leaf(position.charge.operators_root, trace.leaves, leaf.index, row)
    assert leaf.index + len(trace.inputs) == trace.first + position.place, "game: another row"
    root: bytes32 = self._merkle_root(nodes)
    digest: bytes32 = keccak256(concat(tensor_digest.TENSOR_DOMAIN, leaf.output, root))
    assert digest == position.nodes[0], "game: tree of another value"

    shown: IElementGame.Position = position
    shown.phase = IElementGame.Phase.TENSOR_SHOWN
    shown.row = keccak256(concat(b"\x00", row.data))
    size: uint256 = edge_type.byte_length(leaf.output)
    return self._with_top(shown, (size + 255) // 256, nodes)


@external
@view
def show_leaf(
    position: IElementGame.Position, row: Bytes[1856], data: Bytes[256]
) -> IElementGame.Position:
    """
    @notice The position after a leaf is shown; see `IElementGame`.
    """
    assert position.phase == IElementGame.Phase.LEAF_NAMED, "game: no leaf is picked"
    self._expect_row(position, row)
    size: uint256 = edge_type.byte_length(self._leaf(row).output)
    assert len(data) == min(256, size - 256 * position.place), "game: wrong length of a leaf"
    assert keccak256(concat(b"\x00", data)) == position.nodes[0], "game: other bytes"
    shown: IElementGame.Position = position
    shown.phase = IElementGame.Phase.LEAF_SHOWN
    return shown


@external
@view
def state_parts(
    position: IElementGame.Position, row: Bytes[1856], values: DynArray[int256, 16]
) -> IElementGame.Position:
    """
    @notice The position after the parts of a claim are stated; see `IElementGame`.
    """
    assert position.phase == IElementGame.Phase.PARTS_ASKED, "game: nothing is contested"
    self._expect_row(position, row)
    opcode: uint256 = self._leaf(row).opcode
    is_largest: bool = operator_row.is_largest(opcode)
    assert is_largest or operator_row.is_sum(opcode), "game: has no parts"
    size: uint256 = self._part_size(position.claim)
    count: uint256 = (position.claim.stop - position.claim.first + size - 1) // size
    assert len(values) == count, "game: wrong number of parts"
    total: int256 = 0
    for i: uint256 in range(count, bound=MAX_SHOWN):
        assert abs(values[i]) <= LARGEST_VALUE, "game: too large a part"
        if i == 0 or (is_largest and values[i] > total):
            total = values[i]
        elif not is_largest:
            total += values[i]
    assert total == position.claim.value, "game: parts make another value"
    stated: IElementGame.Position = position
    stated.phase = IElementGame.Phase.PARTS_STATED
    stated.values = values
    return stated


# === Challenger ===


@external
@view
def contest(
    position: IElementGame.Position, row: Bytes[1856], data: Bytes[256], choice: uint256
) -> IElementGame.Position:
    """
    @notice The position after a claim is contested; see `IElementGame`.
    """
    claim: IElementGame.Claim = self._claim(position, row, data, choice)
    assert claim.stop - claim.first > 1, "game: one operand has no parts"
    asked: IElementGame.Position = position
    asked.phase = IElementGame.Phase.PARTS_ASKED
    asked.claim = claim
    asked.values = []
    return asked


@external
@view
def accuse(
    position: IElementGame.Position,
    row: IElementGame.LeafProof,
    data: Bytes[256],
    choice: uint256,
    tensors: DynArray[bytes32, 16],
    siblings: DynArray[bytes32, 128],
) -> (IElementGame.Claim, IJudge.Question):
    """
    @notice What a judge has to be asked; see `IElementGame`.
    """
    claim: IElementGame.Claim = self._claim(position, row.data, data, choice)
    numbers: DynArray[uint256, MAX_SHOWN] = []
    for number: uint32 in self._leaf(row.data).inputs:
        numbers.append(convert(number, uint256))
    assert len(tensors) == len(numbers), "game: a digest for each input"
    self._expect_values(position.trace, numbers, tensors, siblings)
    question: IJudge.Question = IJudge.Question(
        operators_root=position.charge.operators_root,
        rows=position.trace.leaves,
        row=row.data,
        path=row.path,
        element=claim.element,
        tensors=tensors,
    )
    return claim, question



@external
@view
def pick(position: IElementGame.Position, choice: uint256) -> IElementGame.Position:
    """
    @notice The position after a node is picked; see `IElementGame`.
    """
    assert choice < len(position.nodes), "game: no such choice"
    asked: IElementGame.Position = position
    asked.place += choice
    asked.nodes = [position.nodes[choice]]
    if position.phase == IElementGame.Phase.VALUES_SHOWN:
        behind: uint256 = (asked.place + 1) << position.level
        given: uint256 = len(position.trace.inputs)
        assert min(behind, position.width) > given, "game: inputs are given"
        asked.phase = IElementGame.Phase.VALUES_ASKED
        if position.level == 0:
            asked.phase = IElementGame.Phase.ROW_NAMED
        return asked
    assert position.phase == IElementGame.Phase.TENSOR_SHOWN, "game: nothing is shown"
    asked.phase = IElementGame.Phase.TENSOR_ASKED
    if position.level == 0:
        asked.phase = IElementGame.Phase.LEAF_NAMED
    return asked


# === Internals ===


@internal
@pure
def _leaf(data: Bytes[1856]) -> Leaf:
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
def _expect_leaf(
    operators_root: bytes32, leaves: uint256, index: uint256, proof: IElementGame.LeafProof
):
    leaf: bytes32 = keccak256(concat(b"\x00", proof.data))
    root: bytes32 = opened_leaves.path_root(leaf, index, leaves, proof.path)
    assert root == operators_root, "game: no leaf of the version"


@internal
@pure
def _expect_row(position: IElementGame.Position, row: Bytes[1856]):
    assert keccak256(concat(b"\x00", row)) == position.row, "game: not the row in dispute"


@internal
@view
def _claim(
    position: IElementGame.Position, row: Bytes[1856], data: Bytes[256], choice: uint256
) -> IElementGame.Claim:
    # One of the parts that were stated, or one element of the leaf that was shown.
    self._expect_row(position, row)
    claim: IElementGame.Claim = position.claim
    if position.phase == IElementGame.Phase.PARTS_STATED:
        assert choice < len(position.values), "game: no such part"
        size: uint256 = self._part_size(position.claim)
        claim.first += size * choice
        claim.stop = min(claim.first + size, position.claim.stop)
        claim.value = position.values[choice]
        return claim
    assert position.phase == IElementGame.Phase.LEAF_SHOWN, "game: nothing is claimed"
    assert keccak256(concat(b"\x00", data)) == position.nodes[0], "game: not the leaf shown"
    leaf: Leaf = self._leaf(row)
    kind: edge_type.EdgeType = edge_type.unpack(leaf.output)
    assert choice < len(data) // kind.itemsize, "game: no such element"
    claim.element = position.place * 256 // kind.itemsize + choice
    # How many operands there are follows from opcode and attributes alone.
    shape: operator_row.Row = empty(operator_row.Row)
    shape.opcode = leaf.opcode
    shape.attributes = leaf.attributes
    claim.stop = operator_row.operands(shape)
    claim.value = self._integer(data, choice * kind.itemsize, kind.itemsize, kind.signed)
    return claim


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
def _part_size(claim: IElementGame.Claim) -> uint256:
    return (claim.stop - claim.first + MAX_SHOWN - 1) // MAX_SHOWN


@internal
@pure
def _values(trace: IElementGame.Trace) -> uint256:
    return len(trace.inputs) + trace.end - trace.first


@internal
@pure
def _expect_ends(
    trace: IElementGame.Trace, shard: Leaf, defence: IElementGame.Defence
):
    # Inputs and outputs of the shard are committed to; an output may be an input.
    assert len(defence.inputs) == len(trace.inputs), "game: wrong number of inputs"
    outputs: uint256 = len(shard.attributes) - 2
    assert len(defence.outputs) == outputs, "game: wrong number of outputs"
    numbers: DynArray[uint256, MAX_SHOWN] = []
    digests: DynArray[bytes32, MAX_SHOWN] = []
    for i: uint256 in range(len(trace.inputs), bound=4):
        numbers.append(trace.inputs[i])
        digests.append(defence.inputs[i])
    for i: uint256 in range(outputs, bound=4):
        numbers.append(convert(shard.attributes[i + 2], uint256))
        digests.append(defence.outputs[i])
    self._expect_values(trace, numbers, digests, defence.siblings)


@internal
@pure
def _expect_values(
    trace: IElementGame.Trace,
    numbers: DynArray[uint256, MAX_SHOWN],
    digests: DynArray[bytes32, MAX_SHOWN],
    siblings: DynArray[bytes32, 128],
):
    # These are the digests of the values with these numbers. Their places are put in order; a value
    # that is named twice has one digest.
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
    root: bytes32 = opened_leaves._root(places, nodes, self._values(trace), siblings)
    assert root == trace.root, "game: other values"


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


@internal
@pure
def _with_top(
    position: IElementGame.Position, width: uint256, nodes: DynArray[bytes32, MAX_SHOWN]
) -> IElementGame.Position:
    # The root of a tree is asked for, and the first nodes below it are shown.
    top: IElementGame.Position = position
    top.width = width
    top.level = 0
    top.place = 0
    for _: uint256 in range(MAX_HEIGHT):
        if (width - 1) >> top.level == 0:
            break
        top.level += 1
    return self._below(top, nodes)


@internal
@pure
def _below(
    position: IElementGame.Position, nodes: DynArray[bytes32, MAX_SHOWN]
) -> IElementGame.Position:
    # As many nodes as lie up to four levels below the one that was asked for; a leaf shows itself.
    levels: uint256 = min(position.level, STEP_LEVELS)
    shown: IElementGame.Position = position
    shown.level -= levels
    shown.place = position.place << levels
    row_width: uint256 = ((position.width - 1) >> shown.level) + 1
    count: uint256 = min(shown.place + (1 << levels), row_width) - shown.place
    assert len(nodes) == count, "game: wrong number of nodes"
    shown.nodes = nodes
    return shown


@internal
@pure
def _merkle_root(nodes: DynArray[bytes32, MAX_SHOWN]) -> bytes32:
    level: DynArray[bytes32, MAX_SHOWN] = nodes
    width: uint256 = len(nodes)
    assert width != 0, "game: no nodes"
    for _: uint256 in range(STEP_LEVELS):
        if width == 1:
            break
        for i: uint256 in range(width // 2, bound=8):
            level[i] = keccak256(concat(b"\x01", level[2 * i], level[2 * i + 1]))
        if width % 2 == 1:
            level[width // 2] = level[width - 1]
        width = (width + 1) // 2
    return level[0]
