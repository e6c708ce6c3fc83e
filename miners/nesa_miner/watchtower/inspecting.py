"""Runs an answered query again, shard by shard, until one comes out otherwise."""

from __future__ import annotations

import asyncio

import structlog

from nesa.chain.court import NO_VIEW, View
from nesa.chain.history import QueryHistory
from nesa.models.judging import Witness
from nesa.privacy.sealing import blind
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, InvalidTensor, NotEntitled
from nesa.protocol.ids import Digest
from nesa.protocol.queries import Outcome, Privacy
from nesa_miner.disputes.inputs import outputs_of
from nesa_miner.surroundings import Runner, WitnessLibrary
from nesa_miner.watchtower.cases import Right, Sealed, Unseen, Verdict, Wrong
from nesa_miner.work import Task, Tensors, is_proved_sealed, requested_input

log = structlog.get_logger("nesa_miner")


async def inspect(
    history: QueryHistory,
    outcome: Outcome,
    library: WitnessLibrary,
    content_key: bytes | None = None,
) -> Verdict:
    """What is to be said of an answer; a sealed query is seen with its content key.

    Shards are run as miners run them. One that seems wrong is computed again by the definition of
    its table, which alone is the law: a machine that errs accuses nobody. Where a shard reads a
    value out of its range, every output is wrong: no honest member has signed one.

    Raises:
        InvalidInput: the version is none that this program knows.
        Unavailable: neither the node nor a store answers.
        IntegrityError: a file was changed, or this machine cannot run the version.
    """
    query = history.query
    if query.privacy is not Privacy.OPEN and content_key is None:
        return Sealed()
    if is_proved_sealed(query):
        return Unseen("its proofs are the evidence: the court opens no digests of hashed circuits")
    try:
        tensors = await _requested(history, library, content_key)
    except NotEntitled as error:
        return Unseen(str(error))
    except (InvalidMessage, InvalidTensor) as error:
        return Unseen(f"its input cannot be used: {error}")
    for shard in range(query.shards):
        task = Task(query, shard, content_key)
        signed = outcome.shards[shard].out_digest
        facts, runner = await library.runner(query.version_id, shard)
        outputs = await _run(runner, tensors)
        if outputs is None or task.digest(shard + 1, facts.output_edges, outputs) != signed:
            witness = await library.witness(query.version_id, shard, tensors)
            if (
                witness.undefined
                or task.signed(shard + 1, _output_digest(witness, shard)) != signed
            ):
                return Wrong(shard)
            if outputs is not None:
                log.error("this machine errs", query=query.query_id, shard=shard)
            outputs = outputs_of(witness, shard)
        tensors = outputs
    return Right()


async def _run(runner: Runner, tensors: Tensors) -> Tensors | None:
    """What a runner makes of tensors; None where one of them is out of its range."""
    try:
        return await asyncio.to_thread(runner.run, tensors)
    except InvalidTensor:
        return None


async def view_of(
    history: QueryHistory, shard: int, library: WitnessLibrary, content_key: bytes | None
) -> View:
    """How the digest of a shard's input comes about, given that all shards before it were right.

    Raises:
        InvalidMessage, InvalidTensor: the request is no input of the version.
        Unavailable, IntegrityError: as `inspect`.
    """
    if content_key is None:
        return NO_VIEW
    version_id = history.query.version_id
    tensors = await _requested(history, library, content_key)
    for number in range(shard):
        _, runner = await library.runner(version_id, number)
        outputs = await _run(runner, tensors)
        if outputs is None:
            outputs = outputs_of(await library.witness(version_id, number, tensors), number)
        tensors = outputs
    facts, _ = await library.runner(version_id, shard)
    return View(boundary_digest(facts.input_edges, tensors), blind(content_key, shard))


async def _requested(
    history: QueryHistory, library: WitnessLibrary, content_key: bytes | None
) -> Tensors:
    facts, _ = await library.runner(history.query.version_id, 0)
    return requested_input(Task(history.query, 0, content_key), facts, history.requested.input)


def _output_digest(witness: Witness, shard: int) -> Digest:
    edges = witness.table.types_of(witness.table.shards[shard].outputs)
    return boundary_digest(edges, outputs_of(witness, shard))
