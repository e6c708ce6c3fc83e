"""A stage of a query's life in one line."""

from __future__ import annotations

from typing import assert_never

from nesa.cli.output import moment
from nesa.client.payment import in_nes
from nesa.client.watching import (
    Closed,
    Delivered,
    Drawn,
    Expired,
    Finalised,
    Fulfilled,
    Held,
    Overturned,
    Refunded,
    Released,
    Requested,
    Stage,
)
from nesa.protocol.outcomes import closing_time, paid_slots
from nesa.protocol.queries import Assurance, Query


def in_words(shards: tuple[int, ...]) -> str:
    """Which shards, for a person."""
    named = " and ".join(map(str, shards))
    return f"shard {named}" if len(shards) == 1 else f"shards {named}"


def why_waiting(query: Query, stage: Stage) -> str | None:
    """Why the CHALLENGED answer that is there at `stage` is not shown yet; None when it is not, or
    nothing new is to be said."""
    if query.assurance is not Assurance.CHALLENGED:
        return None
    match stage:
        case Fulfilled(event):
            until = moment(closing_time(query, event.outcome.fulfilled_at))
            return (
                f"answered, and disputable until {until}; `nesa answer {query.query_id} --early` "
                "shows what it is now"
            )
        case Held() | Released():
            return describe(stage)
        case _:
            return None


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
        case Held(shards, defence_ends):
            which = in_words(shards)
            return f"held by a challenge of {which}; earliest end {moment(defence_ends)}"
        case Released(closes_at):
            return f"released: no challenge stood; disputable until {moment(closes_at)}"
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
