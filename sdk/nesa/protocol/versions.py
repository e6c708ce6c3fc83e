"""What identifies a version of a model, on every chain and as registered on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import Address, Digest, VersionId, VersionRoot

VERSION_ROOT_DOMAIN: Final = keccak(text="nesa.version-root.v1")
VERSION_ID_DOMAIN: Final = keccak(text="nesa.version-id.v1")

MAX_SHARDS: Final = 8
MAX_EDGES: Final = 4

SHARD_ABI: Final = "(bytes32[],bytes32[],bytes32,bytes32,bytes32)"


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What the chain knows of one shard.

    `file_digest` is the Merkle root of the shard's ONNX file, `circuit_digest` the hash of its
    verifying key, `verifier_code_hash` keccak-256 of the deployed verifier; the last two are zero
    where the shard cannot be proved.
    """

    input_edges: tuple[EdgeType, ...]
    output_edges: tuple[EdgeType, ...]
    file_digest: Digest
    circuit_digest: Digest
    verifier_code_hash: Digest

    def as_abi(self) -> tuple[list[bytes], list[bytes], bytes, bytes, bytes]:
        """Fields in the order of the contract's struct `Shard`."""
        return (
            [edge.pack() for edge in self.input_edges],
            [edge.pack() for edge in self.output_edges],
            self.file_digest,
            self.circuit_digest,
            self.verifier_code_hash,
        )


def version_root(
    operators_root: bytes, shards: Sequence[ShardFacts], metadata_digest: bytes
) -> VersionRoot:
    """Commitment to the whole version.

    `operators_root` is the Merkle root over the rows of the operator table, `metadata_digest` the
    hash of the model card (scales, accuracies, reference string).
    """
    shown = operators_root + shards_digest(shards) + metadata_digest
    return VersionRoot(keccak(VERSION_ROOT_DOMAIN + shown))


def shards_digest(shards: Sequence[ShardFacts]) -> Digest:
    """What a version's root holds of its shards: keccak-256 of their ABI encoding."""
    return Digest(keccak(encode([f"{SHARD_ABI}[]"], [[shard.as_abi() for shard in shards]])))


def version_id(developer: Address, root: VersionRoot) -> VersionId:
    """Key of a version in the registry; holds the developer so that nobody can register first."""
    return VersionId(
        keccak(encode(["bytes32", "address", "bytes32"], [VERSION_ID_DOMAIN, developer, root]))
    )
