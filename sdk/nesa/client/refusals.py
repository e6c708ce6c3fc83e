"""What a refusal of the chain means for whoever asked, and what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from nesa.protocol.errors import Rejected

MEANINGS: Final[Mapping[str, str]] = {
    "delegation: less than a share": "that is too little to buy a share; delegate more",
    "delegation: no commission is set": (
        "this operator takes no delegations; see `nesa delegation operators`"
    ),
    "delegation: nothing leaves": "nothing of yours is on its way out; see `nesa delegation show`",
    "delegation: pool is ruined": (
        "slashes left nearly nothing of this operator's pool; choose another operator"
    ),
    "delegation: still unbonding": (
        "its time is not over yet; `nesa delegation show` says when it is"
    ),
    "delegation: too few shares": "a share's price moved meanwhile; look again and repeat it",
    "delegation: worth nothing": "the shares are worth nothing any more",
    "escrow: coin was refused": "the account takes no coin; a contract has to accept it",
    "escrow: query is not open": (
        "the query is answered or refunded already, so nobody is to be paid for a report"
    ),
    "market: exposure cap": (
        "open queries of this model hold as much in fees as its seats stand for; wait until some "
        "are answered"
    ),
    "market: fee too low": "the price rose meanwhile; ask again, or with a higher limit",
    "market: input asked before": (
        "this sealed input, with this content key, was to be proved before; seal it with a new key"
    ),
    "market: no attempt left": "a query has three attempts at most; take its fee back and ask anew",
    "market: not offered yet": "this privacy is not offered yet; ask an open or a sealed query",
    "market: not open": "the query is answered or refunded already; see `nesa watch`",
    "market: not provable": "this model has no circuits; ask for AGREED instead of PROVED",
    "market: proofs hide the input": (
        "proofs of this version are for sealed queries; ask a sealed one, or its public version"
    ),
    "market: proofs show the input": (
        "proofs of this version show the input; ask a version with hashed circuits, or for AGREED"
    ),
    "market: not the requester": "only the account that asked may open another attempt",
    "market: not yet refundable": "the query can still be answered; wait for its deadline",
    "market: nothing to withdraw": "nothing is ready to be paid yet; see `nesa balance`",
    "market: one prover": "a PROVED query has one prover a shard; leave out the replicas",
    "market: other terms": "the query has begun another attempt; look it up by its number",
    "market: still answerable": "the query can still be answered; wait for its deadline",
    "market: too few replicas": "an AGREED or CHALLENGED query needs at least 3 replicas",
    "market: too late to retry": "its seats need not stay any longer; take its fee back, ask anew",
    "market: too many member slots": (
        "a query has at most 32 members, shards times replicas; ask for fewer replicas"
    ),
    "market: too many replicas": "that is more than this network allows; ask for fewer replicas",
    "market: too many shards": "a proof of this many shards does not fit; ask for AGREED",
    "registry: unknown version": "no such model is registered; see `nesa model list`",
    "registry: version is retired": "its developer retired the model; choose another version",
    "sessions: deposit too low": "the price rose meanwhile; ask again, or with a higher limit",
    "sessions: no such products": "nobody has listed products that begin with this version",
    "sessions: listed before": "these products are listed already; there is nothing to do",
    "sessions: vouchers count": (
        "its members may still bring their vouchers; close it once their time is over"
    ),
    "summons: not open": "the query is answered or refunded already; see `nesa watch`",
    "summons: provers have turns": "a PROVED query goes to the next prover by itself; wait",
    "summons: summoned before": "all members of this shard were called before in this attempt",
    "summons: too early": "members have some time to work first; try again in a while",
    "summons: too late": "nobody could answer before the query's deadline; wait for it, then retry",
    "vault: delegation is held": (
        "a dispute about this operator's work is open; try again when it is decided"
    ),
    "vault: operator owns too little": (
        "this operator owns too little beside what is delegated already; delegate less, or choose "
        "another one of `nesa delegation operators`"
    ),
    "vault: seats need the stake": (
        "seats of the operator still lock this stake; it is paid once they ended and were released"
    ),
    "vault: too few seats": (
        "too few operators serve this model now; ask for fewer replicas, or wait until more do"
    ),
}
"""By the contract's own reason."""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Refusals that are raised meanwhile say what to do; `reason` stays the contract's own."""
    try:
        yield
    except Rejected as error:
        meaning = MEANINGS.get(error.reason)
        if meaning is not None:
            error.args = (f"{meaning} ({error.reason})",)
        raise
