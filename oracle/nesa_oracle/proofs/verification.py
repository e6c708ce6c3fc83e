"""Asks the chain's own proof router about a proof before anything is paid for.

The router's answer is what counts in the end. Asking it through `eth_call` needs neither the
model's files nor the prover's library, and a proof that it takes now it takes in the report too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nesa.chain.contracts import Contracts, ProofTerms
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import VersionId
from nesa.protocol.queries import Query
from nesa_oracle.report import Report


class ProofChecker:
    """Checks proofs shard by shard; what the registry says of a version is read once."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._terms: dict[tuple[VersionId, int], ProofTerms] = {}

    async def terms(self, query: Query) -> tuple[ProofTerms, ...]:
        """What the router is asked about each shard.

        Raises:
            Rejected: a shard cannot be proved.
            Unavailable: the node does not answer.
        """
        shards = range(query.shards)
        return tuple([await self._shard_terms(query.version_id, shard) for shard in shards])

    async def input_edges(self, query: Query) -> tuple[ShownEdge, ...]:
        """Each shard's input as proofs show it."""
        return tuple(terms.input_edge for terms in await self.terms(query))

    async def refused(self, query: Query, report: Report) -> tuple[int, ...]:
        """Shards whose proof the chain would refuse."""
        terms = await self.terms(query)
        boundaries = (*report.tensors, report.output)
        answers = await asyncio.gather(
            *(
                self._accepts(terms[shard], boundaries[shard : shard + 2], report.proofs[shard])
                for shard in range(query.shards)
            )
        )
        return tuple(shard for shard, accepted in enumerate(answers) if not accepted)

    async def _accepts(self, terms: ProofTerms, values: Sequence[bytes], proof: bytes) -> bool:
        try:
            return await self._contracts.router.accepts(
                terms, values[0], values[1], proof, "latest"
            )
        except Rejected:
            return False

    async def _shard_terms(self, version_id: VersionId, shard: int) -> ProofTerms:
        key = (version_id, shard)
        if key not in self._terms:
            registry = self._contracts.registry
            self._terms[key] = await registry.proof_terms(version_id, shard, "latest")
        return self._terms[key]
