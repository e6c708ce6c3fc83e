"""What passes for everybody to see while a sealed query is answered, with one member a shard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from eth_keys.datatypes import PrivateKey

from nesa.models.folder import CompiledModel
from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner
from nesa.privacy import sealing
from nesa.privacy.envelopes import Deployment, Receiver, seal_envelope
from nesa.privacy.keys import generate_key
from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    set_digest,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.envelopes import decode_envelope
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.messages import ContentKey, Handoff
from nesa.protocol.queries import SignedResult
from nesa.protocol.signatures import sign_digest
from nesa.protocol.versions import ShardFacts

CHAIN: Final = 31337
MARKET: Final = Address("0x" + "11" * 20)
VERSION: Final = VersionId(bytes(32))
FIRST: Final = 1 << 12
"""Number of the first query: so many have been asked that the next ones are written as long."""
DEADLINE: Final = Timestamp(2_000_000_000)

Tensors = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """Of one query: the sealed `request` and `answer`, the blinded `digests` that members sign, and
    the envelopes in which the content key went to them, `keys`, and tensors from shard to shard,
    `handed`."""

    request: bytes
    digests: tuple[Digest, ...]
    answer: bytes
    keys: tuple[bytes, ...]
    handed: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        parts = (self.request, *self.digests, self.answer, *self.keys, *self.handed)
        return sum(map(len, parts))


class SealedNetwork:
    """A client of a model, and the member of each of its shards."""

    def __init__(self, model: CompiledModel, draws: np.random.Generator) -> None:
        table, self._draws = model.table, draws
        self._runners = [_runner(table, shard) for shard in table.shards]
        self._client = PrivateKey(draws.bytes(32))
        self._signers = [PrivateKey(draws.bytes(32)) for _ in self._runners]
        self._members = [
            Receiver(_address(signer), generate_key().public_key()) for signer in self._signers
        ]

    def passed(self, number: int, data: bytes) -> Passed:
        """What passes for an input, canonical bytes, as the query with this number, counted from 0,
        under a key of its own."""
        content_key, query = self._draws.bytes(32), QueryId(FIRST + number)
        tensors: list[Tensors] = [(data,)]
        for runner in self._runners:
            tensors.append(runner.run(tensors[-1]))
        digests = self._digests(content_key, tensors)
        return Passed(
            request=sealing.seal_input(content_key, VERSION, data),
            digests=digests,
            answer=sealing.seal_answer(content_key, VERSION, digests[0], tensors[-1][0]),
            keys=tuple(self._key(content_key, query, member) for member in self._members),
            handed=tuple(
                self._handed(query, shard, digests, tensors[shard + 1])
                for shard in range(len(self._runners) - 1)
            ),
        )

    def _digests(self, content_key: bytes, tensors: list[Tensors]) -> tuple[Digest, ...]:
        edges = [self._runners[0].facts.input_edges]
        edges += [runner.facts.output_edges for runner in self._runners]
        return tuple(
            sealing.sealed_digest(content_key, place, boundary_digest(*boundary))
            for place, boundary in enumerate(zip(edges, tensors, strict=True))
        )

    def _key(self, content_key: bytes, query: QueryId, member: Receiver) -> bytes:
        context = sealing.WrapContext(CHAIN, MARKET, query, 0, member.address)
        wrapped = sealing.wrap_content_key(content_key, member.key, context)
        message = ContentKey(CHAIN, MARKET, query, 0, wrapped)
        return self._sealed(message, self._client, member)

    def _handed(
        self, query: QueryId, shard: int, digests: tuple[Digest, ...], tensors: Tensors
    ) -> bytes:
        context = ShardContext(CHAIN, MARKET, query, 0, ZERO_DIGEST, shard)
        given, made = digests[shard : shard + 2]
        salt, signer = self._draws.bytes(32), self._signers[shard]
        own = (commitment(context, 0, _address(signer), given, made, salt),)
        said = Attestation(
            query, 0, shard, 0, given, made, ZERO_DIGEST, set_digest(context, 0, own)
        )
        signature = sign_digest(signer, attestation_hash(CHAIN, MARKET, said))
        result = SignedResult(0, salt, *signature)
        message = Handoff(context, 0, given, made, own, (result,), tensors)
        return self._sealed(message, signer, self._members[shard + 1])

    def _sealed(self, message: ContentKey | Handoff, signer: PrivateKey, to: Receiver) -> bytes:
        return seal_envelope(
            message,
            deployment=Deployment(CHAIN, MARKET),
            signer=signer,
            receiver=to,
            nonce=self._draws.bytes(16),
            deadline=DEADLINE,
        )


def noise(envelope: bytes) -> bytes:
    """What an envelope hides its message in, without the byte of the one-time X25519 key of which
    a bit is always 0."""
    ciphertext = decode_envelope(envelope).ciphertext
    return ciphertext[:31] + ciphertext[32:]


def _address(signer: PrivateKey) -> Address:
    return Address(signer.public_key.to_checksum_address())


def _runner(table: Table, shard: Shard) -> ShardRunner:
    edges = table.types_of(shard.inputs), table.types_of(shard.outputs)
    facts = ShardFacts(*edges, ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(runtime_model(table, shard), facts, is_own=True)
