"""A version root commits to every fact of a version."""

from __future__ import annotations

from dataclasses import replace

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import Address, Digest, VersionRoot
from nesa.protocol.versions import SHARD_ABI, ShardFacts, version_id, version_root

EDGE = EdgeType(DType.UINT8, (4,), 0, 255)
OTHER = EdgeType(DType.INT16, (1, 2), -5, 5)
SHARD = ShardFacts((EDGE,), (OTHER,), *(Digest(bytes([n]) * 32) for n in (1, 2, 3)))
ALICE = Address("0x00000000000000000000000000000000000A11cE")
BOB = Address("0x0000000000000000000000000000000000000B0b")


def test_the_root_is_the_hash_that_a_contract_computes():
    shards = [(*SHARD.as_abi(),)]
    inner = keccak(encode([f"{SHARD_ABI}[]"], [shards]))
    expected = keccak(keccak(text="nesa.version-root.v1") + b"\7" * 32 + inner + b"\x08" * 32)
    assert version_root(b"\7" * 32, [SHARD], b"\x08" * 32) == expected


def test_every_fact_changes_the_root():
    zero = bytes(32)
    roots = [
        version_root(zero, [SHARD], zero),
        version_root(b"\1" * 32, [SHARD], zero),
        version_root(zero, [SHARD], b"\1" * 32),
        version_root(zero, [SHARD, SHARD], zero),
        version_root(zero, [replace(SHARD, input_edges=(OTHER,))], zero),
        version_root(zero, [replace(SHARD, output_edges=(OTHER, OTHER))], zero),
        version_root(zero, [replace(SHARD, file_digest=Digest(zero))], zero),
        version_root(zero, [replace(SHARD, circuit_digest=Digest(zero))], zero),
        version_root(zero, [replace(SHARD, verifier_code_hash=Digest(zero))], zero),
    ]
    assert len(set(roots)) == len(roots)


def test_two_developers_hold_two_versions_of_one_root():
    root = VersionRoot(b"\5" * 32)
    assert version_id(ALICE, root) != version_id(BOB, root)
    assert version_id(ALICE, root) != version_id(ALICE, VersionRoot(b"\6" * 32))
