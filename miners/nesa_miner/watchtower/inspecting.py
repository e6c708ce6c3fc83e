"""Runs an answered query again, shard by shard, until one comes out otherwise."""

from __future__ import annotations

import asyncio

import structlog

from nesa.chain.history import QueryHistory
from nesa.models.judging import Witness
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidTensor
from nesa.protocol.ids import Digest
from nesa.protocol.queries import Outcome, Privacy
from nesa_miner.disputes.inputs import outputs_of
from nesa_miner.surroundings import WitnessLibrary
from nesa_miner.watchtower.cases import Right, Unseen, Verdict, Wrong
from nesa_miner.work import Tensors

log = structlog.get_logger("nesa_miner")


async def inspect(history: QueryHistory, outcome: Outcome, library: WitnessLibrary) -> Verdict:
    """What is to be said of an answer.

    Shards are run as miners run them. One that seems wrong is computed again by the definition of
    its table, which alone is the law: a machine that errs accuses nobody.

    Raises:
        InvalidInput: the version is none that this program knows.
        Unavailable: neither the node nor a store answers.
        IntegrityError: a file was changed, or this machine cannot run the version.
    """
    query = history.query
    if query.privacy is not Privacy.OPEN:
        return Unseen(f"its privacy is {query.privacy.name}")
    tensors: Tensors = (history.requested.input,)
    for shard in range(query.shards):
        facts, runner = await library.runner(query.version_id, shard)
        try:
            outputs = await asyncio.to_thread(runner.run, tensors)
        except InvalidTensor:
            return Unseen("its input is not on the chain, or none of the version")
        signed = outcome.shards[shard].out_digest
        if boundary_digest(facts.output_edges, outputs) != signed:
            witness = await library.witness(query.version_id, shard, tensors)
            if _output_digest(witness, shard) != signed:
                return Wrong(shard)
            log.error("this machine errs", query=query.query_id, shard=shard)
            outputs = outputs_of(witness, shard)
        tensors = outputs
    return Right()


def _output_digest(witness: Witness, shard: int) -> Digest:
    edges = witness.table.types_of(witness.table.shards[shard].outputs)
    return boundary_digest(edges, outputs_of(witness, shard))
