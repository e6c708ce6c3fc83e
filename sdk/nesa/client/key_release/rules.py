"""Who is given the key of a shard: listed operators, each of one shard of a version for good."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.chain.connection import At
from nesa.chain.contracts import Contracts
from nesa.protocol.errors import NotEntitled, Rejected
from nesa.protocol.ids import Address, VersionId


@dataclass(frozen=True, slots=True)
class Standing:
    """What the chain says of a signer's operator in a version at one block.

    `encryption_key` is the X25519 key that is in use, `seat` the shard in which it sits.
    """

    operator: Address
    signer: Address
    encryption_key: bytes
    is_admitted: bool
    seat: int | None


def require_entitled(standing: Standing | None, sender: Address, shard: int) -> Standing:
    """The standing of a sender who may have the key of a shard, if it was given no other.

    An operator needs the key before it takes its seat, to rebuild what it states then.

    Raises:
        NotEntitled: it may not.
    """
    if standing is None or standing.signer != sender:
        raise NotEntitled(f"{sender} is the signer of no operator; register it first")
    if not standing.is_admitted:
        raise NotEntitled(f"the version does not admit {standing.operator}; ask its developer to")
    if standing.seat is not None:
        require_same_shard(standing.operator, shard, standing.seat)
    return standing


def require_same_shard(operator: Address, shard: int, held: int) -> None:
    """Returns when the shard that an operator asks for is the one that it has already.

    Raises:
        NotEntitled: it is another.
    """
    if shard != held:
        raise NotEntitled(
            f"{operator} has the key of shard {held}, and an operator is given one key a version; "
            "register another miner for another shard"
        )


async def read_standing(
    contracts: Contracts, version_id: VersionId, signer: Address, at: At
) -> Standing | None:
    """What the chain says of a signer; None where it signs for no operator.

    Raises:
        Unavailable: the node does not answer.
    """
    vault, registry = contracts.vault, contracts.registry
    operator = await vault.operator_of(signer, at)
    if operator is None:
        return None
    record, epoch = await vault.operator(operator, at), await vault.epoch(at)
    return Standing(
        operator,
        record.signer,
        record.encryption_key_at(epoch),
        await registry.admits(version_id, operator, signer, at),
        await _seat(contracts, version_id, operator, at),
    )


async def _seat(
    contracts: Contracts, version_id: VersionId, operator: Address, at: At
) -> int | None:
    try:
        shard, _ = await contracts.vault.seat_of(version_id, operator, at)
    except Rejected:
        return None
    return shard
