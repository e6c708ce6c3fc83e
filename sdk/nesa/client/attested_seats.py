"""Asks that every seat of a version is attested, before anything is asked of it."""

from __future__ import annotations

from nesa.chain.contracts import Contracts
from nesa.client.cards import Model
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Address
from nesa.protocol.queries import count_of


async def require_attested(contracts: Contracts, model: Model, attestations: Address) -> None:
    """Returns when only operators that the contract `attestations` admits may sit in the version,
    and it admits all who sit there now. The contract is the caller's to trust, as its attestor is.

    Raises:
        InvalidInput: the version has another rule, or none.
        Unavailable: a statement about an operator has run out, and its seat was not ended yet.
    """
    admission = await contracts.registry.admission_of(model.version_id, at="latest")
    if admission != attestations:
        who = "everybody" if admission is None else f"whom the contract {admission} admits"
        raise InvalidInput(
            f"{model.name} seats {who}, so its seats are not attested by {attestations}; ask a "
            f"version that was registered with `--admission {attestations}`, or leave --attested "
            "out"
        )
    for shard in range(await contracts.registry.shard_count(model.version_id, at="latest")):
        await _require_admitted(contracts, model, shard)


async def _require_admitted(contracts: Contracts, model: Model, shard: int) -> None:
    """Seats outlive a statement until somebody ends them, so each is asked for."""
    vault, version = contracts.vault, model.version_id
    slots = count_of(await vault.seat_counts(version, shard + 1, at="latest"), shard)
    seats = await vault.seats(version, shard, range(slots), at="latest")
    epoch = await vault.epoch(at="latest")
    for slot, seat in enumerate(seats):
        if not seat.is_active(epoch):
            continue
        keys = (seat.operator, seat.signer)
        if not await contracts.registry.admits(version, *keys, at="latest"):
            raise Unavailable(
                f"the operator {seat.operator} in slot {slot} of shard {shard} of {model.name} is "
                "attested no more and still seated; ask again when a watchtower, or anybody by "
                "StakeVault.evict, has ended its seat"
            )
