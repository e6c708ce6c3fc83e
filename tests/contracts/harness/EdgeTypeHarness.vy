# pragma version ~=0.4.3
"""
@title Edge Type Harness
@license AGPL-3.0-only
@notice Opens the edge_type module to tests.
"""
from contracts.lib import edge_type


@external
@pure
def is_canonical(edge: bytes32) -> bool:
    return edge_type.is_canonical(edge)


@external
@pure
def unpack(edge: bytes32) -> edge_type.EdgeType:
    return edge_type.unpack(edge)


@external
@pure
def byte_length(edge: bytes32) -> uint256:
    return edge_type.byte_length(edge)
