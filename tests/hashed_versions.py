"""Versions whose circuits hash, with stand-in verifiers, and reports of queries to them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from eth_utils.crypto import keccak

from nesa.protocol.circuits import CircuitKind, ShownEdge
from nesa.protocol.digests import boundary_digest
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, report_words
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier, true_proof
from tests.deployment import key_of, next_epoch, register_version, with_hashed_circuits
from tests.market import OUTPUT_EDGE, TENSORS, World, edges, facts, pass_blocks, seed_of
from tests.reports import shard_works

HASHED, HASHED_ANSWER = CircuitKind.HASHED, CircuitKind.HASHED_ANSWER
ANSWER = TENSORS[2][-1]
SEALED_ANSWER = b"ciphertext of an answer"


def digest(name: str) -> bytes:
    """Stands for what a proof shows of a tensor."""
    return bytes(1) + keccak(text=name)[1:]


INPUT, MIDDLE, OUTPUT = map(digest, ("input", "middle", "output"))


class HashedVersion:
    """A version of two shards whose circuits hash, and its operators."""

    def __init__(self, world: World, kind: CircuitKind) -> None:
        self.world, self.kind = world, kind
        verifier = deploy_verifier(Behaviour.CHECKS)
        shards = with_hashed_circuits(facts(2), code_hash(verifier), kind)
        registry = world.lower.registry
        self.id = register_version(
            registry, world.developer, shards, (verifier,) * 2, operators_root=kind.encode() * 2
        )
        keys = [keccak(key_of(shard)) for shard in range(2)]
        registry.declare_hashed(self.id, kind is CircuitKind.HASHED_ANSWER, keys)
        for shard in range(2):
            corner = self.shown()[shard : shard + 2]
            registry.prove_corner(self.id, shard, *corner, self.proofs()[shard])
        for number in range(8):
            world.operator(f"{kind}-{number}", [(self.id, number % 2)])
        next_epoch()
        pass_blocks(1, 0)

    def within(self, world: World) -> HashedVersion:
        """The same in a copy of its world."""
        version = copy(self)
        version.world = world
        return version

    def shown(self, first: bytes = INPUT, middle: bytes = MIDDLE) -> tuple[bytes, ...]:
        """What the chain gets of every boundary."""
        hides_answer = self.kind is CircuitKind.HASHED_ANSWER
        return (first, middle, OUTPUT if hides_answer else ANSWER)

    def proofs(self, first: bytes = INPUT, middle: bytes = MIDDLE) -> list[bytes]:
        """What the stand-in verifiers accept."""
        data = self.shown(first, middle)
        hidden = [True, True, self.kind is CircuitKind.HASHED_ANSWER]
        shown = [ShownEdge(*pair) for pair in zip(edges(2), hidden, strict=True)]
        return [true_proof(shown[i : i + 2], data[i : i + 2]) for i in range(2)]

    def request(self, client: str, input_digest: bytes = INPUT, **changes: Any) -> Query:
        """Asks."""
        order: dict[str, Any] = {
            "version_id": self.id,
            "assurance": Assurance.PROVED,
            "privacy": Privacy.SEALED,
            "input_digest": input_digest,
        }
        return self.world.request(client, 2, input=b"ciphertext", **(order | changes))

    def fulfil(
        self,
        query: Query,
        middle: bytes = MIDDLE,
        shown: Sequence[bytes] = (),
        proofs: Sequence[bytes] | None = None,
        output: bytes | None = None,
    ) -> Outcome:
        """Reports what the provers signed; honest but for what is given."""
        world = self.world
        payload = ANSWER if output is None else output
        out = OUTPUT if output is not None else boundary_digest([OUTPUT_EDGE], [ANSWER])
        works = shard_works(
            world.chain_id,
            world.market.address,
            query,
            seed_of(query),
            [world.drawn(query, shard, 1) for shard in range(2)],
            [middle, out],
            payload,
        )
        world.market.fulfil_proved(
            query.as_abi(),
            report_words([work.report() for work in works]),
            payload,
            list(shown or (query.input_digest, middle)),
            self.proofs() if proofs is None else list(proofs),
            sender=world.oracle(query),
        )
        return world.fulfilled()
