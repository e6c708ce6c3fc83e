"""Long inputs and answers that this miner can hand out, by what the chain says that they go by.

Nothing is handed out that is not public: of a sealed query the same ciphertext that its client
published, or that its committee attested.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence, decode_evidence
from nesa.protocol.ids import Digest
from nesa.protocol.queries import Query, decode_query
from nesa_miner.agreement.records import Agreed, Computed, decode_record
from nesa_miner.boundaries import decode_boundary
from nesa_miner.jobs import Job, WorkKey
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import Task, is_sealed

Content: TypeAlias = Callable[[], bytes]
"""Makes the bytes that are handed out; slow where they are long and have to be sealed again."""


def kept_content(around: Surroundings, query_id: int, name: Digest) -> Content | None:
    """The content of a query that goes by `name`; None where it is not here, or not any more."""
    for job in around.journal.attempts(query_id):
        query = decode_query(job.query)
        if job.seed is None or job.shard is None:
            continue
        task = _task(around, query, job.shard)
        if task is None:
            continue
        if name == query.input_digest:
            found = _input(around, job, task)
        else:
            found = _answer(around, job, task, name)
        if found is not None:
            return found
    return None


def _task(around: Surroundings, query: Query, shard: int) -> Task | None:
    """What the job is about; None of a sealed query whose key is not here."""
    try:
        content_key = around.content_key(query)
    except InvalidMessage:
        return None
    if is_sealed(query) and content_key is None:
        return None
    return Task(query, shard, content_key)


def _input(around: Surroundings, job: Job, task: Task) -> Content | None:
    if job.shard != 0 or job.seed is None:
        return None
    work = WorkKey(job.key, job.seed, task.query.input_digest)
    kept = around.journal.boundary(work)
    return None if kept is None else partial(task.sealed, decode_boundary(kept)[0])


def _answer(around: Surroundings, job: Job, task: Task, name: Digest) -> Content | None:
    if not task.is_last:
        return None
    for body in around.journal.evidence(job.key, task.shard):
        evidence = decode_evidence(body)
        if evidence.payload == name:
            output = _output(around, job, evidence)
            return None if output is None else partial(task.answer, output)
    return None


def _output(around: Surroundings, job: Job, evidence: ShardEvidence) -> bytes | None:
    """The tensor that a settled last shard put out."""
    assert job.seed is not None
    work = WorkKey(job.key, job.seed, evidence.in_digest)
    for record in map(decode_record, around.journal.records(work)):
        match record:
            case Computed(result) if result.out_digest == evidence.out_digest:
                return result.tensors[0]
            case Agreed(tensors=tensors) if tensors:
                return tensors[0]
            case _:
                pass
    return None
