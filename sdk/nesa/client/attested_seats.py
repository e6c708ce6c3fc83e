"""Asks that every seat of a version is attested, before anything is asked of it."""

from __future__ import annotations

from nesa.chain.contracts import Contracts
from nesa.chain.unadmitted import unadmitted_seats
from nesa.client.cards import Model
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Address


async def require_attested(contracts: Contracts, model: Model, attestations: Address) -> None:
    """Returns when only operators that the contract `attestations` admits may sit in the version,
    and it admits all who sit there now. The contract is the caller's to trust, as its attestor is.

    Raises:
        InvalidInput: the version has another rule, or none.
        Unavailable: a statement about an operator has run out, and its seat may still be drawn.
    """
    admission = await contracts.registry.admission_of(model.version_id, at="latest")
    if admission != attestations:
        who = "everybody" if admission is None else f"whom the contract {admission} admits"
        raise InvalidInput(
            f"{model.name} seats {who}, so its seats are not attested by {attestations}; ask a "
            f"version that was registered with `--admission {attestations}`, or leave --attested "
            "out"
        )
    for seat in await unadmitted_seats(contracts, model.version_id):
        how = (
            "its seat ends with this epoch; ask again then"
            if seat.is_ended
            else f"end its seat with `nesa model evict {model.name}`, or wait until a watchtower "
            "has, and ask again in the next epoch"
        )
        raise Unavailable(
            f"the operator {seat.operator} in slot {seat.slot} of shard {seat.shard} of "
            f"{model.name} is attested no more and may still be drawn; {how}"
        )
