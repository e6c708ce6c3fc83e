"""Draws the groups of a session on shares, as everybody does for itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp
from eth_keys.datatypes import PrivateKey

from nesa.chain.committees import Seat, drawn_members
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import SessionOpened
from nesa.chain.sessions import SharedSessions
from nesa.client.shared_groups import Members, NetworkGroup, Purse
from nesa.privacy.envelopes import Deployment
from nesa.privacy.shared.groups import Spares
from nesa.privacy.shared.statements import Session
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Amount, Digest
from nesa.protocol.sessions import groups

SEED_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Drawn:
    """The two groups of a session, and the way to all who were drawn."""

    first: NetworkGroup
    second: NetworkGroup
    spares: Spares
    members: Members


async def draw_groups(
    connection: Connection, opened: SessionOpened, key: PrivateKey, http: aiohttp.ClientSession
) -> Drawn:
    """Waits for the seed block, and draws both groups and their spares as everybody does.

    Raises:
        Unavailable: the seed block does not come, or the node does not answer.
        InvalidInput: too few operators, or one is drawn twice; the deposit comes back.
    """
    query, deployment = opened.query, connection.deployment
    seed = await _seed(connection, opened)
    contract = SharedSessions.of(connection).address
    vault, place = Contracts(connection).vault, (deployment.chain_id, contract)
    seats = await drawn_members(vault, *place, query, seed, opened.seats)
    require_apart(seats, opened)
    session = Session(*place, opened.session_id, seed)
    count = await SharedSessions.of(connection).product_count(opened.products_id, "latest")
    price = query.base_fee
    purse = Purse(key, session, price, Amount(price * count))
    by_signer = {seat.signer: seat for seat in seats}
    market = Deployment(deployment.chain_id, deployment.market)
    members = Members(http, market, by_signer, purse)
    places, signers = groups(query.replicas, opened.seats), tuple(by_signer)
    spares = Spares([signers[place] for place in places.spares])
    first, second = (
        NetworkGroup(name, [signers[place] for place in chosen], spares, members)
        for name, chosen in (("first", places.first), ("second", places.second))
    )
    return Drawn(first, second, spares, members)


def require_apart(seats: tuple[Seat, ...], opened: SessionOpened) -> None:
    """Returns when everybody drawn is another operator: one in both groups would see the input.

    Raises:
        InvalidInput: somebody is drawn twice, or too few are drawn.
    """
    if len(seats) < opened.seats:
        raise InvalidInput(
            f"only {len(seats)} of {opened.seats} seats of session {opened.session_id} were drawn; "
            "ask again with fewer, or when more operators serve the model"
        )
    for each in ("operator", "signer"):
        if len({getattr(seat, each) for seat in seats}) < len(seats):
            raise InvalidInput(f"session {opened.session_id} drew one {each} twice; open another")


async def _seed(connection: Connection, opened: SessionOpened) -> Digest:
    number = opened.query.seed_block
    for _ in range(int(SEED_SECONDS / POLL_SECONDS)):
        block = await connection.find_block(number)
        if block is not None:
            return block.hash
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(
        f"the chain has no block {number} after {SEED_SECONDS:g} s; session {opened.session_id} "
        "cannot be drawn, its deposit comes back"
    )
