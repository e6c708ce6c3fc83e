"""What a watchtower owes to an answer: values and rules; no clock, no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.chain.disputes import Dispute
from nesa.chain.docket import Docket, is_brought
from nesa.protocol.ids import Address, QueryId, Timestamp

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Right:
    """Every shard's output is what its table gives."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The output of `shard` is not what its table makes of its input; those before it are right.

    Later shards did honest work on a wrong input.
    """

    shard: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nothing can be said about the answer, and `why`."""

    why: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """Nobody granted the view of the query yet; a grant may come while the windows are open."""


Verdict: TypeAlias = Right | Wrong | Unseen | Sealed


@dataclass(frozen=True, slots=True)
class Case:
    """One answer under watch; it can be challenged until `closes_at`.

    What was inspected and is not wrong is no case any more.
    """

    log_key: bytes
    query_id: QueryId
    closes_at: Timestamp
    wrong_shard: int | None = None


@dataclass(frozen=True, slots=True)
class Inspect:
    """Run the query again."""


@dataclass(frozen=True, slots=True)
class Accuse:
    """Challenge the output of a shard."""

    shard: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing can be done about the answer any more."""


Step: TypeAlias = Inspect | Accuse | Forget


def next_step(case: Case, docket: Docket, me: Address, now: Timestamp) -> Step | None:
    """What is due for a case at chain time `now`.

    An output is challenged once, whatever came of it, and not when it has fallen already; that
    somebody else challenges it says nothing, for a sham challenge clears nothing.
    """
    if now > case.closes_at:
        return Forget()
    shard = case.wrong_shard
    if shard is None:
        return Inspect()
    return None if is_brought(docket, Dispute(case.query_id, shard, None), me) else Accuse(shard)


def is_sampled(
    secret: bytes, chain_id: int, market: Address, query_id: QueryId, share: float
) -> bool:
    """Whether a query is among the `share` (0 to 1) that a watchtower looks at.

    Only who knows its `secret` can tell before it does.
    """
    kinds = ["bytes32", "uint256", "address", "uint256"]
    digest = keccak(encode(kinds, [secret, chain_id, market, query_id]))
    return int.from_bytes(digest, "big") < int(share * 2**64) << 192
