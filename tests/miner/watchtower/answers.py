"""Answers on a real chain: reported, signed twice by somebody, and shown by members over HTTP."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from aiohttp import ClientSession, web
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.committees import DrawnCommittees
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.history import QueryHistory, find_query
from nesa.chain.sender import Sender
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa.protocol.faults import Equivocation, encode_fault, statements_in
from nesa.protocol.ids import ONE_NES, Address, Amount, Digest
from nesa.protocol.queries import Assurance, Query
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.watchtower.statements import Gatherer, HttpMembers
from tests.oracle.network import TENSORS, Network, evidence_of, operator_key, works
from tests.reports import Work

LIAR = 1
"""Position of the member that signs twice."""


@dataclass(frozen=True)
class Answered:
    """A query whose two shards were reported, by everybody but for `absent` in the first."""

    network: Network
    connection: Connection
    drawn: DrawnCommittees
    history: QueryHistory
    works: list[Work]

    def signer(self, shard: int = 0, position: int = LIAR) -> Address:
        return self.drawn.shards[shard][position].signer

    def operator(self, shard: int = 0, position: int = LIAR) -> Address:
        return self.drawn.shards[shard][position].operator

    def other_evidence(self, shard: int = 0) -> ShardEvidence:
        """What the liar signed besides, in the round after."""
        output = Digest(keccak(text="another output"))
        other = replace(self.works[shard], round=1, out_digest=output)
        return evidence_of(other, other.report(signers=(LIAR,)))

    def equivocation(self, shard: int = 0) -> Equivocation:
        """Both of its statements."""
        work = self.works[shard]
        shown = (evidence_of(work, work.report()), self.other_evidence(shard))
        first, second = (statements_in(work.context, one) for one in shown)
        sets = tuple(one.commitments for one in shown)
        return Equivocation(first[LIAR], second[0], *sets)

    async def stake(self, operator: Address) -> int:
        return (await Contracts(self.connection).vault.ledger(operator, "latest")).stake


async def answered(network: Network, connection: Connection) -> Answered:
    """A query that the oracle whose turn it is has reported."""
    return await reported(network, connection, await network.ask(connection, Assurance.AGREED))


async def reported(network: Network, connection: Connection, query: Query) -> Answered:
    """A query whose newest attempt the oracle whose turn it is has reported."""
    drawn = await network.committees(connection, query)
    made = works(network, drawn)
    reports = [work.report() for work in made]
    oracle = operator_key(network.name_of(drawn.oracles[0].signer))
    market = Contracts(connection).market
    await Sender(connection, oracle).send(market.fulfil(query, reports, TENSORS[-1]))
    return Answered(network, connection, drawn, await find_query(connection, query.query_id), made)


async def room_of(network: Network, connection: Connection, name: str, nes: int = 0) -> Courtroom:
    """The way to the court of an account with coin, and NES for bonds."""
    account = Account.from_key(keccak(text=name))
    network.anvil.rpc("anvil_setBalance", account.address, hex(10**20))
    if nes:
        from nesa.chain.anvil import development_account

        token = Contracts(connection).token
        bank = Sender(connection, development_account(0))
        await bank.send(token.transfer(Address(account.address), Amount(nes * ONE_NES)))
    return Courtroom.open(connection, Sender(connection, account))


def key_of(name: str) -> PrivateKey:
    return PrivateKey(keccak(text=name))


@contextlib.asynccontextmanager
async def gathering(
    network: Network,
    connection: Connection,
    evidence: Mapping[str, list[ShardEvidence]] | None = None,
    faults: Mapping[str, list[Equivocation]] | None = None,
) -> AsyncIterator[Gatherer]:
    """Members that show evidence and faults, by operator; the others do not answer."""

    async def show_evidence(request: web.Request) -> web.Response:
        pieces = (evidence or {}).get(request.match_info["name"])
        if pieces is None:
            return web.Response(status=404)
        return web.Response(body=encode_evidence(*pieces))

    async def show_faults(request: web.Request) -> web.Response:
        found = (faults or {}).get(request.match_info["name"], [])
        entries = [{"body": f"0x{encode_fault(fault).hex()}"} for fault in found]
        return web.Response(text=json.dumps(entries))

    app = web.Application()
    app.router.add_get("/{name}/v1/evidence/{query}/{attempt}/{shard}", show_evidence)
    app.router.add_get("/{name}/v1/faults/{query}/{attempt}", show_faults)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", network.port, reuse_port=True).start()
    try:
        async with ClientSession() as session:
            yield Gatherer(connection, HttpMembers(session))
    finally:
        await runner.cleanup()
