"""What a shard was given is found in the journal, or computed again from the request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.models.disputes.parties import Defender
from nesa.models.folder import load
from nesa.models.judging import Witness
from nesa.privacy.sealing import sealed_digest
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import Unavailable
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa_miner.at_rest import AtRest
from nesa_miner.boundaries import encode_boundary
from nesa_miner.disputes.inputs import kept_inputs, outputs_of, recompute
from nesa_miner.jobs import JobKey, WorkKey
from nesa_miner.journal import Journal
from nesa_miner.work import Task
from tests.miner.committee_network import MODEL, MemoryLibrary, open_request, sealed_request

LIBRARY = MemoryLibrary(load(MODEL))
TABLE = LIBRARY.model.table
REQUEST = open_request(LIBRARY.model, 3)
KEY = JobKey((REQUEST.query_id, 0))
SEED = b"\5" * 32
FIRST = Witness.of_shard(TABLE, 0, (REQUEST.input,))
MIDDLE = outputs_of(FIRST, 0)
SECOND = Defender(Witness.of_shard(TABLE, 1, MIDDLE), 1)
WRONG = (bytes([MIDDLE[0][0] ^ 1]) + MIDDLE[0][1:],)
AFTER_WRONG = Defender(Witness.of_shard(TABLE, 1, WRONG), 1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    at_rest = AtRest(X25519PrivateKey.from_private_bytes(bytes(range(32))))
    journal = Journal(tmp_path / "journal.sqlite", b"identity", at_rest)
    journal.add_job(KEY, b"log", b"query", REQUEST.input)
    journal.draw(KEY, SEED, 1, 0)
    return journal


def digest_of(tensors: tuple[bytes, ...]) -> Digest:
    return boundary_digest(LIBRARY.model.shards[1].input_edges, tensors)


async def recomputed(charge, kept=()) -> Defender:
    task = Task(REQUEST.query, charge.shard, None)
    found = await recompute(LIBRARY, task, REQUEST.input, charge, kept)
    return Defender(found.witness, charge.shard, found.blind)


@pytest.mark.parametrize("shard", [0, 1])
async def test_the_request_is_enough_where_everybody_was_honest(shard: int) -> None:
    honest = SECOND if shard else Defender(FIRST, 0)
    assert (await recomputed(honest.charge)).charge == honest.charge


async def test_honest_work_on_a_wrong_input_needs_what_was_kept(journal: Journal) -> None:
    charge = AFTER_WRONG.charge
    assert (await recomputed(charge)).charge != charge
    work = WorkKey(KEY, SEED, digest_of(WRONG))
    journal.keep_boundary(work, encode_boundary(WRONG))
    kept = list(kept_inputs(journal, KEY[0], digest_of(WRONG)))
    assert (await recomputed(charge, kept)).charge == charge


async def test_evidence_has_the_input_too(journal: Journal) -> None:
    head = (0, digest_of(WRONG), ZERO_DIGEST, (ZERO_DIGEST,), ())
    evidence = replace(ShardEvidence(*head), tensors_in=WRONG)
    work = WorkKey(KEY, SEED, digest_of(WRONG))
    journal.keep_evidence(work, 1, encode_evidence(evidence))
    kept = list(kept_inputs(journal, KEY[0], digest_of(WRONG)))
    assert kept == [WRONG]


async def test_what_is_kept_under_another_digest_is_not_used() -> None:
    kept = [(b"short",), (), WRONG]
    assert (await recomputed(SECOND.charge, kept)).charge == SECOND.charge


def test_tensors_stay_while_they_may_be_disputed(journal: Journal) -> None:
    work = WorkKey(KEY, SEED, digest_of(WRONG))
    journal.keep_boundary(work, encode_boundary(WRONG))
    journal.conclude(KEY[0], b"answer", 1_000)
    journal.keep_longer(KEY[0], 5_000)
    journal.keep_longer(KEY[0], 2_000)
    journal.prune(4_999)
    assert journal.boundary(work) is not None
    journal.prune(5_001)
    assert journal.boundary(work) is None


CONTENT_KEY = bytes(range(32))
SEALED = sealed_request(LIBRARY.model, 3, CONTENT_KEY)


@pytest.mark.parametrize("shard", [0, 1])
async def test_a_sealed_query_is_computed_again_by_who_holds_its_key(shard: int) -> None:
    honest = SECOND if shard else Defender(FIRST, 0)
    found = await recompute(
        LIBRARY, Task(SEALED.query, shard, CONTENT_KEY), SEALED.input, honest.charge
    )
    charge = Defender(found.witness, shard, found.blind).charge
    assert charge.in_digest == honest.charge.in_digest
    assert charge.out_digest == sealed_digest(CONTENT_KEY, shard + 1, honest.charge.out_digest)


async def test_without_its_key_a_sealed_query_waits() -> None:
    with pytest.raises(Unavailable, match="content key"):
        await recompute(
            LIBRARY, Task(SEALED.query, 0, None), SEALED.input, Defender(FIRST, 0).charge
        )
