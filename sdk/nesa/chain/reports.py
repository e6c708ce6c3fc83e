"""What members signed, as reports and claims brought it to the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from nesa.chain.abi import interface
from nesa.chain.connection import Connection, data_bytes
from nesa.chain.events import LogKey
from nesa.chain.history import QueryHistory
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import Unavailable
from nesa.protocol.evidence import Reported, ShardEvidence
from nesa.protocol.ids import Address, Digest
from nesa.protocol.queries import Assurance, Query, SignedResult

_REPORTS: Final = (("fulfil", 3), ("fulfil_proved", 5))
_CLAIMS: Final = (("claim_slot", 5),)


async def reported_evidence(
    connection: Connection, history: QueryHistory, members: Sequence[Sequence[Address]]
) -> tuple[tuple[int, ShardEvidence], ...]:
    """(shard, evidence) of everything that was signed in an answer's report and in its claims.

    `members` are the signers drawn for each shard. What was sent through another contract is left
    out: its calldata is not the market's. Nothing is checked but its form.

    Raises:
        Unavailable: the node does not answer.
    """
    if history.fulfilled is None:
        return ()
    report = await _arguments(connection, history.fulfilled.log, _REPORTS)
    found: list[tuple[int, ShardEvidence]] = []
    if report is not None:
        found += enumerate(_shards(connection, history, members, report[1]))
    for claim in history.claims:
        claimed = await _arguments(connection, claim.log, _CLAIMS)
        if claimed is not None:
            found.append((claimed[2], _claimed(history, claimed)))
    return tuple(found)


async def _arguments(
    connection: Connection, log: LogKey, functions: Sequence[tuple[str, int]]
) -> tuple[Any, ...] | None:
    """Arguments of the call of the market that a log came of."""
    sent = await connection.request("eth_getTransactionByHash", f"0x{log.tx_hash.hex()}")
    if not isinstance(sent, dict):
        raise Unavailable(f"the node does not have transaction 0x{log.tx_hash.hex()}")
    if str(sent.get("to")).lower() != connection.deployment.market.lower():
        return None
    calldata = data_bytes(sent.get("input"))
    known = (interface("QueryMarket").function(*function) for function in functions)
    decoded = (function.arguments(calldata) for function in known)
    return next((arguments for arguments in decoded if arguments is not None), None)


def _shards(
    connection: Connection,
    history: QueryHistory,
    members: Sequence[Sequence[Address]],
    words: Sequence[bytes],
) -> list[ShardEvidence]:
    query, fulfilled = history.query, history.fulfilled
    assert fulfilled is not None
    deployment, seed = connection.deployment, fulfilled.outcome.seed
    ids = (deployment.chain_id, deployment.market, query.query_id, query.attempt, seed)
    found, in_digest = [], query.input_digest
    for shard, drawn in enumerate(members):
        payload = fulfilled.output if shard == query.shards - 1 else b""
        head = (ShardContext(*ids, shard), drawn, _set_size(query), in_digest)
        evidence, words = Reported(*head, payload).read(words)
        found.append(evidence)
        in_digest = evidence.out_digest
    return found


def _set_size(query: Query) -> int:
    return 1 if query.assurance is Assurance.PROVED else query.replicas


def _claimed(history: QueryHistory, arguments: tuple[Any, ...]) -> ShardEvidence:
    query, fulfilled = history.query, history.fulfilled
    assert fulfilled is not None
    _, _, shard, commitments, result = arguments
    shards = fulfilled.outcome.shards
    settled = shards[shard]
    given = query.input_digest if shard == 0 else shards[shard - 1].out_digest
    payload = fulfilled.output if shard == query.shards - 1 else b""
    entries = tuple(map(Digest, commitments))
    results = (SignedResult(*result),)
    return ShardEvidence(settled.round, given, settled.out_digest, entries, results, payload)
