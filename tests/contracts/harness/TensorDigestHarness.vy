# pragma version ~=0.4.3
"""
@title Tensor Digest Harness
@license AGPL-3.0-only
@notice Opens the tensor_digest module to tests.
"""
from contracts.lib import tensor_digest


@external
@pure
def boundary_digest(edge: bytes32, data: Bytes[4096]) -> bytes32:
    return tensor_digest.boundary_digest(edge, data)


@external
@pure
def tensor_digest_of(edge: bytes32, data: Bytes[4096]) -> bytes32:
    return tensor_digest.tensor_digest(edge, data)


@external
@pure
def edges_digest(tensors: DynArray[bytes32, 4]) -> bytes32:
    return tensor_digest.edges_digest(tensors)


@external
@pure
def bytes_root(data: Bytes[4096]) -> bytes32:
    return tensor_digest.bytes_root(data)


@external
@pure
def blinded(digest: bytes32, blind: bytes32) -> bytes32:
    return tensor_digest.blinded(digest, blind)
