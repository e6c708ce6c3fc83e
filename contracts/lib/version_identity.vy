# pragma version ~=0.4.3
"""
@title Version Identity
@license AGPL-3.0-only
@notice What a version's root and id are hashes of; the same as `nesa.protocol.versions`.
"""

VERSION_ROOT_DOMAIN: constant(bytes32) = keccak256("nesa.version-root.v1")
VERSION_ID_DOMAIN: constant(bytes32) = keccak256("nesa.version-id.v1")


@internal
@pure
def version_root(
    operators_root: bytes32, shards_digest: bytes32, metadata_digest: bytes32
) -> bytes32:
    """
    @notice What a version computes, and what is said about it.
    @param operators_root Merkle root over the rows of the operator table.
    @param shards_digest keccak-256 of the ABI encoding of the shards.
    @param metadata_digest Hash of the model card.
    @return The root.
    """
    return keccak256(concat(VERSION_ROOT_DOMAIN, operators_root, shards_digest, metadata_digest))


@internal
@pure
def version_id(developer: address, root: bytes32) -> bytes32:
    """
    @notice The id of a version, which nobody but its developer can register.
    @param developer Who registered it.
    @param root The version's root.
    @return The id.
    """
    return keccak256(abi_encode(VERSION_ID_DOMAIN, developer, root))
