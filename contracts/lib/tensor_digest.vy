# pragma version ~=0.4.3
"""
@title Tensor Digest
@license AGPL-3.0-only
@notice Digests of tensors: keccak-256 Merkle roots over 256-byte leaves, bound to dtype and shape.
        The tree is that of RFC 6962 with keccak-256; the same as `nesa.protocol.digests`.
"""

LEAF_BYTES: constant(uint256) = 256
MAX_BYTES: constant(uint256) = 4096
MAX_LEAVES: constant(uint256) = MAX_BYTES // LEAF_BYTES

TENSOR_DOMAIN: constant(bytes32) = keccak256("nesa.tensor.v1")
EDGES_DOMAIN: constant(bytes32) = keccak256("nesa.edges.v1")
BLIND_DOMAIN: constant(bytes32) = keccak256("nesa.blind.v1")


@internal
@pure
def boundary_digest(edge: bytes32, data: Bytes[4096]) -> bytes32:
    """
    @notice Digest of a shard boundary that a single tensor crosses.
    @param edge Packed type of the tensor.
    @param data Its canonical bytes, not empty; the caller checks length and range.
    @return The digest.
    """
    # Goes past `tensor_digest` because each pass copies the bytes.
    root: bytes32 = self.bytes_root(data)
    tensor: bytes32 = keccak256(concat(TENSOR_DOMAIN, edge, root))
    return keccak256(concat(EDGES_DOMAIN, tensor))


@internal
@pure
def tensor_digest(edge: bytes32, data: Bytes[4096]) -> bytes32:
    """
    @notice Digest of one tensor.
    @param edge Packed type of the tensor.
    @param data Its canonical bytes, not empty.
    @return The digest.
    """
    return keccak256(concat(TENSOR_DOMAIN, edge, self.bytes_root(data)))


@internal
@pure
def edges_digest(tensors: DynArray[bytes32, 4]) -> bytes32:
    """
    @notice Digest of an ordered list of tensor digests.
    @param tensors One to four digests.
    @return The digest.
    """
    # The first two words of the encoding are offset and length.
    digests: Bytes[192] = slice(abi_encode(tensors), 64, 32 * len(tensors))
    return keccak256(concat(EDGES_DOMAIN, digests))


@internal
@pure
def blinded(digest: bytes32, blind: bytes32) -> bytes32:
    """
    @notice What a sealed query shows of a boundary digest.
    @param digest The boundary digest.
    @param blind 32 bytes without which it cannot be guessed.
    @return The blinded digest.
    """
    return keccak256(concat(BLIND_DOMAIN, digest, blind))


@internal
@pure
def bytes_root(data: Bytes[4096]) -> bytes32:
    """
    @notice Merkle root over `data` in 256-byte leaves; the last leaf may be shorter.
    @param data Not empty.
    @return The root.
    """
    # Slices of a length that is known take no more memory than they need, and each caller pays for
    # the memory of all that it calls.
    size: uint256 = len(data)
    assert size != 0, "digest: no bytes"
    if size <= LEAF_BYTES:
        return self._leaf(convert(data, Bytes[LEAF_BYTES]))

    level: bytes32[MAX_LEAVES] = empty(bytes32[MAX_LEAVES])
    full: uint256 = size // LEAF_BYTES
    for i: uint256 in range(full, bound=MAX_LEAVES):
        level[i] = self._leaf(slice(data, i * LEAF_BYTES, LEAF_BYTES))
    rest: uint256 = size % LEAF_BYTES
    if rest == 0:
        return self._root(level, full)
    end: Bytes[LEAF_BYTES] = slice(data, size - LEAF_BYTES, LEAF_BYTES)
    level[full] = self._leaf(slice(end, LEAF_BYTES - rest, rest))
    return self._root(level, full + 1)


@internal
@pure
def _leaf(data: Bytes[LEAF_BYTES]) -> bytes32:
    return keccak256(concat(b"\x00", data))


@internal
@pure
def _root(leaves: bytes32[MAX_LEAVES], count: uint256) -> bytes32:
    level: bytes32[MAX_LEAVES] = leaves
    width: uint256 = count
    for _: uint256 in range(4):  # 2**4 is MAX_LEAVES
        if width == 1:
            break
        for i: uint256 in range(width // 2, bound=8):
            level[i] = keccak256(concat(b"\x01", level[2 * i], level[2 * i + 1]))
        if width % 2 == 1:
            level[width // 2] = level[width - 1]
        width = (width + 1) // 2
    return level[0]
