"""Stand-ins for generated verifiers, and proofs that they accept."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import EdgeType
from tests.deployment import load_harness

FIELD: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617


class Behaviour(IntEnum):
    """Flags of the harness `StubVerifier`."""

    CHECKS = 1
    SAYS_NO = 2
    ACCEPTS_ALL = 4
    IGNORES_INSTANCES = 8
    IGNORES_PROOF = 16
    BURNS_GAS = 32
    ANSWERS_LONG = 64
    ANSWERS_TWO = 128
    NEEDS_ALL_GAS = 256


def deploy_verifier(behaviour: Behaviour) -> VyperContract:
    """A verifier that behaves so."""
    return load_harness("StubVerifier", behaviour)


def code_hash(verifier: VyperContract) -> bytes:
    """Hash of the deployed code."""
    return keccak(boa.env.get_code(verifier.address))


def instances(edges: Sequence[EdgeType | ShownEdge], tensors: Sequence[bytes]) -> list[int]:
    """Public instances of a circuit: every value of every tensor as a residue, or its digest."""
    found: list[int] = []
    for edge, data in zip(edges, tensors, strict=True):
        shown = edge if isinstance(edge, ShownEdge) else ShownEdge(edge)
        values = [int.from_bytes(data[:32], "big")]
        if not shown.is_hashed:
            values = [int(value) for value in shown.edge.decode(data).ravel()]
        found += [value % FIELD for value in values]
    return found


def true_proof(edges: Sequence[EdgeType | ShownEdge], tensors: Sequence[bytes]) -> bytes:
    """What a stand-in accepts as a proof of these tensors."""
    return keccak(encode(["uint256[]"], [instances(edges, tensors)]))
