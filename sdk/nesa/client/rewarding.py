"""Has everybody who worked for a final query credited with new NES."""

from __future__ import annotations

from nesa.chain.abi import ContractCall
from nesa.chain.committees import DrawnCommittees, drawn_committees
from nesa.chain.connection import Connection, RpcRefused
from nesa.chain.contracts import Contracts
from nesa.chain.economy import RewardEmitter
from nesa.chain.events import VersionRegistered
from nesa.chain.history import QueryHistory, find_query, find_versions
from nesa.client.answers import AnyQuery
from nesa.client.submissions import find_submitted
from nesa.protocol.errors import Incompatible, InvalidInput, Unavailable
from nesa.protocol.ids import Address, VersionId, VersionRoot
from nesa.protocol.outcomes import members_digest
from nesa.protocol.queries import Outcome, Query


async def reward_call(connection: Connection, query: AnyQuery) -> ContractCall:
    """The call that rewards a query's work; whether it is final the chain says.

    Raises:
        InvalidInput: the market knows no such query, or it is not answered.
        Unavailable: the node has forgotten which seats the query drew.
    """
    submitted = await find_submitted(connection, query)
    history = await find_query(connection, submitted.query.query_id)
    outcome = history.outcome
    if outcome is None:
        number = history.requested.query_id
        raise InvalidInput(f"query {number} is not answered, so nobody worked for it yet")
    version = await _version(connection, history.query.version_id)
    members = await _members(connection, history, outcome)
    root = VersionRoot(version.root)
    emitter = RewardEmitter.of(connection)
    return emitter.reward(history.query, outcome, members, version.developer, root)


async def _version(connection: Connection, version_id: VersionId) -> VersionRegistered:
    for version in await find_versions(connection):
        if version.version_id == version_id:
            return version
    raise Incompatible(f"the registry never announced version 0x{version_id.hex()}")


async def _members(
    connection: Connection, history: QueryHistory, outcome: Outcome
) -> list[list[Address]]:
    """Signers of every shard in draw order, as many as the outcome's digests are of."""
    drawn = await _committees(connection, history, outcome)
    found = [[seat.signer for seat in shard] for shard in drawn.shards]
    lists = [_lone(history.query, signers, outcome, i) for i, signers in enumerate(found)]
    if [members_digest(signers) for signers in lists] != [s.members_digest for s in outcome.shards]:
        raise Unavailable(
            f"the seats that query {history.query.query_id} drew are others now; "
            "ask a node that keeps the state of old blocks"
        )
    return lists


def _lone(query: Query, signers: list[Address], outcome: Outcome, shard: int) -> list[Address]:
    """Spares stand behind the members; the outcome knows them up to the last that it pays."""
    return signers[: max(query.replicas, outcome.shards[shard].paid.bit_length())]


async def _committees(
    connection: Connection, history: QueryHistory, outcome: Outcome
) -> DrawnCommittees:
    """The draw as of the answer; a node that keeps no old state is asked for the newest."""
    assert history.fulfilled is not None
    deployment = connection.deployment
    vault = Contracts(connection).vault
    head = (vault, deployment.chain_id, deployment.market, history.query, outcome.seed)
    try:
        return await drawn_committees(*head, history.fulfilled.log.block_number)
    except RpcRefused:
        return await drawn_committees(*head, "latest")
