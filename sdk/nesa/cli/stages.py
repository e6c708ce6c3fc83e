"""A stage of a query's life in one line."""

from __future__ import annotations

from typing import assert_never

from nesa.client.payment import in_nes
from nesa.client.watching import (
    Closed,
    Delivered,
    Drawn,
    Expired,
    Finalised,
    Fulfilled,
    Overturned,
    Refunded,
    Requested,
    Stage,
)
from nesa.protocol.outcomes import paid_slots


def describe(stage: Stage) -> str:
    """What happened, for a person."""
    match stage:
        case Requested(query):
            kind = f"{query.assurance.name}, {query.privacy.name}"
            return f"requested ({kind}, attempt {query.attempt + 1}), fee {in_nes(query.fee)}"
        case Drawn(committees):
            sizes = " + ".join(str(len(shard)) for shard in committees.shards)
            return f"drawn: {sizes} members, {len(committees.oracles)} oracles"
        case Fulfilled(event):
            slots = paid_slots(event.outcome)
            return f"reported by {event.outcome.reporter}, {slots} slots paid"
        case Finalised():
            return "final: nobody can dispute the answer any more"
        case Overturned(returned):
            return f"overturned: the answer is wrong; {in_nes(returned)} returned so far"
        case Delivered(callback):
            return f"delivered to whoever asked, callback {callback.name}"
        case Expired():
            return "the deadline passed without an answer; the fee can be refunded"
        case Refunded(amount):
            return f"refunded {in_nes(amount)}"
        case Closed(status, returned):
            return f"closed as {status.name}, {in_nes(returned)} returned"
        case _:
            assert_never(stage)
