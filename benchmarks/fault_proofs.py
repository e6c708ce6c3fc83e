"""Gas of showing a fault by a proof, beside what the proof's verifier takes alone.

The verifiers and corner proofs of the shipped models; a committee signed another output. Every call
is a transaction on cold storage, calldata and intrinsic gas included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from benchmarks.courtroom import CHALLENGER, METADATA, OWNER, Answer, Courtroom
from nesa.chain.abi import interface
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.models.disputes.traces import Charge
from nesa.models.folder import CompiledModel, load
from nesa.models.proving.artefacts import ProvableShard, read_provable_shard
from nesa.protocol.digests import boundary_digest
from nesa.protocol.versions import shards_digest
from tests.contracts.verifiers import instances
from tests.revm import RevmContract

MODELS: Final = Path(__file__).parents[1] / "models"
NAMES: Final = ("breast-cancer-mlp", "digits-cnn")
VERIFY_PROOF: Final = keccak(text="verifyProof(bytes,uint256[])")[:4]

# Showing a fault should cost so many times the bare verifier at most, and so much gas more.
RATIO: Final = 1.05
ADDED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Gas of one proof: by its verifier alone, through the router, and in court."""

    shard: str
    proof_bytes: int
    values: int
    bare: int
    routed: int
    shown: int

    @property
    def target(self) -> int:
        """What `shown` should be at most."""
        return int(RATIO * self.bare) + ADDED


def measured_faults() -> Iterator[Fault]:
    """One for every provable shard of the shipped models."""
    for name in NAMES:
        model = load(MODELS / name)
        shards = [
            read_provable_shard(MODELS / name, model, number) for number in range(len(model.shards))
        ]
        for number in range(len(shards)):
            yield _measured(model, shards, number)


def page_of_faults(faults: Iterable[Fault]) -> str:
    """The table in markdown."""
    lines = [
        f"| {one.shard} | {one.proof_bytes:,} | {one.values} | {one.bare:,} | {one.routed:,} "
        f"| {one.shown:,} | {one.shown / one.bare:.3f} | {one.shown - one.target:+,} |"
        for one in faults
    ]
    return f"""
# Gas of a fault proof

A real proof of another output than four members signed: by its verifier alone, through
`ProofRouter`, and as the challenge that `show_fault` opens, after an announcement. The target is
{RATIO} times the bare verifier and {ADDED:,}.

| circuit | proof, B | public values | bare verifier | router | show_fault | ratio | above target |
|---|---:|---:|---:|---:|---:|---:|---:|
{chr(10).join(lines)}
"""


def _measured(model: CompiledModel, shards: list[ProvableShard], number: int) -> Fault:
    room = Courtroom()
    verifiers = [_deployed(room, shard) for shard in shards]
    _register(room, model, verifiers)
    corner, facts = shards[number].corner, model.shards[number]
    values = instances((facts.input_edges[0], facts.output_edges[0]), (corner.input, corner.output))
    bare = VERIFY_PROOF + encode(["bytes", "uint256[]"], [corner.proof, values])
    edges = (facts.input_edges[0].pack(), facts.output_edges[0].pack())
    asked = (verifiers[number], *edges, corner.input, corner.output, corner.proof)
    routed = interface("ProofRouter").function("verify", len(asked)).encode(asked)
    return Fault(
        f"{model.name}, shard {number}",
        len(corner.proof),
        len(values),
        _gas(room, verifiers[number], bare),
        _gas(room, room.router.address, routed),
        _shown(room, model, shards, number),
    )


def _shown(room: Courtroom, model: CompiledModel, shards: list[ProvableShard], number: int) -> int:
    """Gas of the challenge against an answer whose output is another one than the proof's."""
    facts, corner = model.shards[number], shards[number].corner
    given, wrong = boundary_digest(facts.input_edges, [corner.input]), keccak(text="wrong")
    charge = Charge(model.operators_root, number, len(shards), given, wrong)
    answer = Answer.about(room, charge, shards_digest(model.shards))
    answer.announce(number)
    evidence = (corner.input, corner.output, corner.proof)
    accusation = answer.accusation(answer.outcome, number)
    gas, _ = room.send(CHALLENGER, "show_fault", *accusation, *evidence)
    return gas


def _deployed(room: Courtroom, shard: ProvableShard) -> str:
    address = room.chain.evm.deploy(deployer=OWNER, code=shard.creation)
    return RevmContract(room.chain, address, []).address


def _register(room: Courtroom, model: CompiledModel, verifiers: list[str]) -> None:
    shards: list[Any] = [facts.as_abi() for facts in model.shards]
    terms = (model.operators_root, METADATA, shards, verifiers, 1, 1, 1, ZERO_ADDRESS)
    room.registry.register(model.name, "", *terms, sender=OWNER)


def _gas(room: Courtroom, to: str, data: bytes) -> int:
    room.chain.cool()
    room.chain.send(CHALLENGER, to, data)
    return room.chain.gas_used
