"""Digests of tensors: keccak-256 Merkle roots over 256-byte leaves, bound to dtype and shape.

The tree is that of RFC 6962 (certificate transparency) with keccak-256: a leaf is hashed behind a
zero byte, an inner node behind a one byte, and a node without a sibling moves up unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from eth_hash.auto import keccak

from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import Digest

LEAF_BYTES: Final = 256

TENSOR_DOMAIN: Final = keccak(b"nesa.tensor.v1")
EDGES_DOMAIN: Final = keccak(b"nesa.edges.v1")
BLIND_DOMAIN: Final = keccak(b"nesa.blind.v1")


def leaf_hash(data: bytes) -> Digest:
    """Hash of one leaf (at most 256 bytes for tensors, any length for rows of a table)."""
    return Digest(keccak(b"\x00" + data))


def inner_hash(left: bytes, right: bytes) -> Digest:
    """Hash of the node above two 32-byte nodes."""
    return Digest(keccak(b"\x01" + left + right))


def merkle_root(leaves: Iterable[bytes]) -> Digest:
    """Root over leaf hashes (32 bytes each, at least one), of which a few are held at a time.

    Raises:
        ValueError: no leaves.
    """
    # Roots of the largest whole trees so far, by height, which descends.
    whole: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, root = 0, leaf
        while whole and whole[-1][0] == height:
            height, root = height + 1, inner_hash(whole.pop()[1], root)
        whole.append((height, root))
    if not whole:
        raise ValueError("a Merkle tree needs at least one leaf")
    _, last = whole.pop()
    while whole:
        last = inner_hash(whole.pop()[1], last)
    return Digest(last)


def bytes_root(data: bytes) -> Digest:
    """Merkle root over `data` in 256-byte leaves; the last leaf may be shorter."""
    starts = range(0, len(data), LEAF_BYTES)
    return merkle_root(leaf_hash(data[start : start + LEAF_BYTES]) for start in starts)


def tensor_digest(edge: EdgeType, data: bytes) -> Digest:
    """Digest of one tensor given as canonical bytes of type `edge`."""
    return Digest(keccak(TENSOR_DOMAIN + edge.pack() + bytes_root(data)))


def edges_digest(tensors: Sequence[bytes]) -> Digest:
    """Digest of an ordered list of tensor digests (32 bytes each), also when there is only one."""
    return Digest(keccak(EDGES_DOMAIN + b"".join(tensors)))


def boundary_digest(edges: Sequence[EdgeType], tensors: Sequence[bytes]) -> Digest:
    """Digest of everything that crosses one shard boundary, tensors given as canonical bytes."""
    pairs = zip(edges, tensors, strict=True)
    return edges_digest([tensor_digest(edge, data) for edge, data in pairs])


def blinded_digest(digest: bytes, blind: bytes) -> Digest:
    """What a sealed query shows of `digest`; without the 32-byte `blind` it cannot be guessed."""
    return Digest(keccak(BLIND_DOMAIN + digest + blind))
