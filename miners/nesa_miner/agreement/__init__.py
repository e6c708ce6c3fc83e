"""How the members of a committee come to one answer without being able to copy it."""

from nesa_miner.agreement.actions import (
    Action,
    Dissent,
    Dropped,
    Equivocated,
    Extended,
    Finished,
    Journal,
    Opposed,
    Send,
    Settled,
)
from nesa_miner.agreement.events import (
    Event,
    MessageReceived,
    OwnResult,
    Restarted,
    Started,
    Tick,
)
from nesa_miner.agreement.machine import begin, next_wake, restore, step
from nesa_miner.agreement.records import Record, decode_record, encode_record
from nesa_miner.agreement.state import State
from nesa_miner.agreement.terms import Committee, Timing

__all__ = [
    "Action",
    "Committee",
    "Dissent",
    "Dropped",
    "Equivocated",
    "Event",
    "Extended",
    "Finished",
    "Journal",
    "MessageReceived",
    "Opposed",
    "OwnResult",
    "Record",
    "Restarted",
    "Send",
    "Settled",
    "Started",
    "State",
    "Tick",
    "Timing",
    "begin",
    "decode_record",
    "encode_record",
    "next_wake",
    "restore",
    "step",
]
