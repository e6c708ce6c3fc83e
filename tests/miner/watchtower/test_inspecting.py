"""Real shards are run again, and the first that comes out otherwise is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from nesa.chain.court import NO_VIEW
from nesa.chain.history import QueryHistory
from nesa.models.build import TableBuilder
from nesa.models.disputes.traces import Charge
from nesa.models.folder import CompiledModel, load
from nesa.models.graph import Opcode, Table
from nesa.models.judging import Witness
from nesa.models.judging.undefined import Undefined
from nesa.privacy.sealing import input_digest, seal_input, sealed_digest
from nesa.protocol.digests import blinded_digest, boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import NotEntitled
from nesa.protocol.ids import ZERO_DIGEST, Digest, Timestamp, VersionId
from nesa.protocol.queries import Assurance, Outcome, Privacy, ShardOutcome
from nesa_miner.disputes.inputs import outputs_of, recompute
from nesa_miner.watchtower.cases import Right, Sealed, Unseen, Wrong
from nesa_miner.watchtower.inspecting import inspect, view_of
from nesa_miner.work import Task
from tests.miner.committee_network import (
    DEPLOYMENT,
    MODEL,
    MemoryLibrary,
    open_request,
    request_with,
    sealed_request,
)
from tests.miner.wide_model import model_of

LIBRARY = MemoryLibrary(load(MODEL))
REQUEST = open_request(LIBRARY.model, 3)
HISTORY = QueryHistory(REQUEST, REQUEST.query)
CONTENT_KEY = bytes(range(32))
SEALED_REQUEST = sealed_request(LIBRARY.model, 3, CONTENT_KEY)
SEALED = QueryHistory(SEALED_REQUEST, SEALED_REQUEST.query)


async def true_digests() -> list[Digest]:
    tensors: tuple[bytes, ...] = (REQUEST.input,)
    found = []
    for shard, facts in enumerate(LIBRARY.model.shards):
        _, runner = await LIBRARY.runner(VersionId(b""), shard)
        tensors = runner.run(tensors)
        found.append(boundary_digest(facts.output_edges, tensors))
    return found


def outcome(digests: Sequence[Digest]) -> Outcome:
    shards = tuple(ShardOutcome(0, one, ZERO_DIGEST, ZERO_DIGEST, 15) for one in digests)
    head = (ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, DEPLOYMENT.market, Timestamp(0))
    return Outcome(*head, shards)


async def test_an_honest_answer_is_right() -> None:
    assert await inspect(HISTORY, outcome(await true_digests()), LIBRARY) == Right()


@pytest.mark.parametrize("wrong", [0, 1])
async def test_the_first_wrong_shard_is_named_and_no_later_one(wrong: int) -> None:
    digests = await true_digests()
    lies = [*digests[:wrong], *(Digest(b"\1" * 32) for _ in digests[wrong:])]
    assert await inspect(HISTORY, outcome(lies), LIBRARY) == Wrong(wrong)


async def test_what_is_no_input_is_left_alone() -> None:
    digests = outcome(await true_digests())
    bare = replace(HISTORY, requested=replace(REQUEST, input=b""))
    said = await inspect(bare, digests, LIBRARY)
    assert isinstance(said, Unseen)
    assert "its input cannot be used" in said.why


def asking(model: CompiledModel, data: bytes) -> QueryHistory:
    query = replace(REQUEST.query, input_digest=boundary_digest([model.input_edge], [data]))
    return QueryHistory(replace(REQUEST, query=query, input=data), query)


async def test_any_answer_to_an_input_out_of_range_is_wrong() -> None:
    """Also the one that the nearest input within would get."""
    history = asking(LIBRARY.model, b"\x80" + REQUEST.input[1:])
    nearest = Witness.of_shard(LIBRARY.model.table, 0, (history.requested.input,))
    edges = LIBRARY.model.shards[0].output_edges
    plausible = boundary_digest(edges, outputs_of(nearest, 0))
    for first in (plausible, Digest(b"\1" * 32)):
        digests = [first, *(await true_digests())[1:]]
        assert await inspect(history, outcome(digests), LIBRARY) == Wrong(0)


def passing_on() -> Table:
    """The second of two values in one shard, beside both in the other."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, 2), -127, 127)])
    second = builder.add(Opcode.SLICE, [0], (1, 1, 2))
    return replace(builder.table([builder.add(Opcode.CONCAT, [0, second], (1,))]), cuts=(1,))


async def test_a_shard_that_does_not_read_what_is_out_of_range_is_not_accused_of_it() -> None:
    """It passes its input on; the next one, which reads it, can be convicted."""
    table, data = passing_on(), b"\x80\x01"
    library = MemoryLibrary(model_of(table))
    history = asking(library.model, data)
    passed = outputs_of(Witness.of_shard(table, 0, (data,)), 0)
    assert set(passed) == {data, b"\x01"}
    true = boundary_digest(library.model.shards[0].output_edges, passed)
    assert await inspect(history, outcome([true, ZERO_DIGEST]), library) == Wrong(1)
    assert await inspect(history, outcome([ZERO_DIGEST, ZERO_DIGEST]), library) == Wrong(0)
    charge = Charge(table.operators_root, 1, 2, true, ZERO_DIGEST)
    found = await recompute(library, Task(history.query, 1, None), data, charge)
    assert found.witness.undefined == Undefined(1, 0, 0)


async def test_the_view_behind_a_value_out_of_range_is_that_of_what_was_passed_on() -> None:
    table, data = passing_on(), b"\x80\x01"
    library = MemoryLibrary(model_of(table))
    plain = boundary_digest([library.model.input_edge], [data])
    digest = input_digest(CONTENT_KEY, plain)
    sent = seal_input(CONTENT_KEY, SEALED.query.version_id, data)
    request = request_with(Privacy.SEALED, digest, sent)
    view = await view_of(QueryHistory(request, request.query), 1, library, CONTENT_KEY)
    passed = outputs_of(Witness.of_shard(table, 0, (data,)), 0)
    assert view.in_digest == boundary_digest(library.model.shards[1].input_edges, passed)


async def test_a_private_version_is_left_to_its_operators() -> None:
    """A watchtower without its weights notes that it did not look, and does not try again."""

    class Private(MemoryLibrary):
        async def runner(self, version_id: VersionId, shard: int) -> NoReturn:
            raise NotEntitled("the weights of triage are for its operators only")

    said = await inspect(HISTORY, outcome(await true_digests()), Private(LIBRARY.model))
    assert said == Unseen("the weights of triage are for its operators only")


async def test_a_machine_that_errs_accuses_nobody() -> None:
    """Its own shards come out otherwise, and the definition of the table tells it so."""
    broken = MemoryLibrary(LIBRARY.model, tampers=True)
    assert await inspect(HISTORY, outcome(await true_digests()), broken) == Right()


def sealed(digests: Sequence[Digest]) -> Outcome:
    return outcome([sealed_digest(CONTENT_KEY, k + 1, one) for k, one in enumerate(digests)])


async def test_a_sealed_answer_is_seen_with_its_key_only() -> None:
    digests = await true_digests()
    assert await inspect(SEALED, sealed(digests), LIBRARY) == Sealed()
    assert await inspect(SEALED, sealed(digests), LIBRARY, CONTENT_KEY) == Right()
    assert isinstance(await inspect(SEALED, sealed(digests), LIBRARY, bytes(32)), Unseen)


@pytest.mark.parametrize("wrong", [0, 1])
async def test_a_wrong_shard_of_a_sealed_query_is_named(wrong: int) -> None:
    digests = await true_digests()
    lies = [*digests[:wrong], *(Digest(b"\1" * 32) for _ in digests[wrong:])]
    assert await inspect(SEALED, sealed(lies), LIBRARY, CONTENT_KEY) == Wrong(wrong)


async def test_the_view_of_a_shard_is_that_of_its_input() -> None:
    first, second = [await view_of(SEALED, k, LIBRARY, CONTENT_KEY) for k in (0, 1)]
    digests = await true_digests()
    assert blinded_digest(first.in_digest, first.blind) == SEALED.query.input_digest
    assert second.in_digest == digests[0]
    hidden = blinded_digest(second.in_digest, second.blind)
    assert hidden == sealed(digests).shards[0].out_digest
    assert await view_of(HISTORY, 0, LIBRARY, None) == NO_VIEW


async def test_what_hashed_circuits_prove_is_not_accused() -> None:
    """The court opens blinded digests only, so a challenge of these could not even begin."""
    query = replace(SEALED.query, assurance=Assurance.PROVED, replicas=1)
    history = QueryHistory(replace(SEALED_REQUEST, query=query), query)
    lies = outcome([Digest(b"\1" * 32)] * 2)
    said = await inspect(history, lies, LIBRARY, CONTENT_KEY)
    assert isinstance(said, Unseen)
    assert "proofs are the evidence" in said.why
    assert await inspect(history, lies, LIBRARY) == Sealed()
