# pragma version ~=0.4.3
"""
@title Judging
@license AGPL-3.0-only
@notice What the judges share: the row that a question is about, and openings bound to the digests
        and roots that they must belong to.
"""
from ..interfaces import IJudge
from . import edge_type
from . import opened_leaves
from . import operator_row
from . import tensor_digest

# Types of constants as edges of one element: a judge reads their dtype and range alone.
WEIGHTS: constant(bytes32) = 0x01010100ffffff800000007f0000000100000000000000000000000000000000
BIASES: constant(bytes32) = 0x01040100800000007fffffff0000000100000000000000000000000000000000
MULTIPLIERS: constant(bytes32) = BIASES
ENTRIES: constant(bytes32) = 0x01030100ffff800000007fff0000000100000000000000000000000000000000

ENTRY_BYTES: constant(uint256) = 512


@internal
@pure
def row(question: IJudge.Question) -> operator_row.Row:
    """
    @notice The row that a question is about; reverts unless it is one of the version's.
    @param question The question.
    @return The row.
    """
    index: uint256 = 0
    row: operator_row.Row = empty(operator_row.Row)
    index, row = operator_row.decode(question.row)
    leaf: bytes32 = keccak256(concat(b"\x00", question.row))
    root: bytes32 = opened_leaves.path_root(leaf, index, question.rows, question.path)
    assert root == question.operators_root, "judge: no row of the version"
    assert question.element < edge_type.elements(row.output), "judge: no such element"
    assert len(question.tensors) == len(row.types), "judge: one digest an input"
    return row


@internal
@pure
def expect_tensor(edge: bytes32, digest: bytes32, opening: IJudge.Opening):
    """
    @notice Reverts unless leaves are those of a tensor.
    @param edge Packed type of the tensor.
    @param digest Its digest.
    @param opening The leaves; none are leaves of any tensor.
    """
    assert len(opening.path) == 0, "judge: only weights have a path"
    # A call among the arguments of another would copy the opening once more.
    size: uint256 = edge_type.byte_length(edge)
    root: bytes32 = opened_leaves.data_root(opening, size)
    if root != empty(bytes32):
        bound: bytes32 = keccak256(concat(tensor_digest.TENSOR_DOMAIN, edge, root))
        assert bound == digest, "judge: another tensor"


@internal
@pure
def expect_constants(opening: IJudge.Opening, size: uint256, root: bytes32):
    """
    @notice Reverts unless leaves are those of a row's constants, weights excepted.
    @param opening The leaves; none are leaves of any constants.
    @param size Bytes of the constants.
    @param root The root that the row names.
    """
    assert len(opening.path) == 0, "judge: a path to constants"
    found: bytes32 = opened_leaves.data_root(opening, size)
    assert found == empty(bytes32) or found == root, "judge: other constants"


@internal
@pure
def expect_weights(
    opening: IJudge.Opening, size: uint256, channel: uint256, channels: uint256, root: bytes32
):
    """
    @notice Reverts unless leaves are those of one channel of a row's weights.
    @param opening The leaves, and the path from the channel's root.
    @param size Bytes of a channel.
    @param channel The channel.
    @param channels How many there are.
    @param root The root that the row names.
    """
    node: bytes32 = opened_leaves.data_root(opening, size)
    found: bytes32 = opened_leaves.path_root(node, channel, channels, opening.path)
    assert found == root, "judge: other weights"
