"""The seats that an operator holds, put together from the vault's logs and its state."""

from __future__ import annotations

from nesa.chain.connection import Connection
from nesa.chain.contracts import Vault
from nesa.chain.leaving import HeldSeat
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import Address
from nesa_miner.registrations import versions_of


async def held_seats(connection: Connection, operator: Address) -> tuple[HeldSeat, ...]:
    """Every seat that is not released, active or not.

    Raises:
        Unavailable: the node does not answer.
    """
    vault = Vault(connection, connection.deployment.vault)
    found = []
    for version_id in await versions_of(connection, operator):
        try:
            shard, slot = await vault.seat_of(version_id, operator, at="latest")
        except Rejected:
            continue
        (record,) = await vault.seats(version_id, shard, (slot,), at="latest")
        found.append(HeldSeat(version_id, shard, slot, record))
    return tuple(found)
