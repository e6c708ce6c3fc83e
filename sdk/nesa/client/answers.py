"""What a client gets back: an answer in the model's words, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nesa.client.receipts import FeeReceipt, Member
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address, Amount, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.queries import Assurance, CallbackResult, Privacy, Query, QueryStatus

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey


@dataclass(frozen=True, slots=True, eq=False)
class OutputTensor:
    """The model's output: exact integers of type `edge`; one step of them is worth `scale`."""

    integers: NDArray[np.generic]
    edge: EdgeType
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.edge.shape

    @property
    def values(self) -> NDArray[np.float64]:
        """The integers times the scale, as real numbers."""
        scaled: NDArray[np.float64] = self.integers.astype(np.float64) * self.scale
        return scaled


@dataclass(frozen=True, slots=True)
class GasUsed:
    """Gas of both transactions of a query; `request` is None when somebody else asked."""

    request: int | None
    fulfil: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Block times in seconds since 1970; `seconds` is from the request's block to the answer's."""

    requested_at: Timestamp
    answered_at: Timestamp

    @property
    def seconds(self) -> int:
        """How long the answer took in chain time."""
        return self.answered_at - self.requested_at


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An answer as delivered. `scores` add up to 1 and rank the labels; they are the softmax of
    the logits and no calibrated probability. Both are empty for models that give a number only.
    Models whose answer is a tensor have neither label nor index: read `output.values`.
    An OVERTURNED answer is wrong. One with `disputable_until` may still be overturned until then,
    in seconds since 1970; where `challenged_shards` names shards, that time stands still until the
    challenges of their outputs are decided.
    """

    query_id: QueryId
    version_id: VersionId
    label: str | None
    index: int | None
    logits: Mapping[str, float]
    scores: Mapping[str, float]
    output: OutputTensor
    assurance: Assurance
    privacy: Privacy
    status: QueryStatus
    disputable_until: Timestamp | None
    challenged_shards: tuple[int, ...]
    callback: CallbackResult
    fee: FeeReceipt
    gas: GasUsed
    timings: Timings
    committee: tuple[Member, ...]
    oracle: Address


@dataclass(frozen=True, slots=True)
class SubmittedQuery:
    """A query on its way, asked by transaction `tx_hash`. Keep `content_key` of a sealed one:
    without it nobody can read the answer, and it is stored nowhere else. `equivariant_key` is that
    of the model that was asked, where it is under one. Neither is part of what is printed.
    """

    query: Query
    tx_hash: Digest
    request_gas: int | None
    content_key: bytes | None = None
    equivariant_key: UserKey | None = None

    def __repr__(self) -> str:
        sealed = "sealed" if self.content_key else "open"
        return f"SubmittedQuery(query_id={self.query_id}, {sealed})"

    @property
    def query_id(self) -> QueryId:
        """Number of the query in its market."""
        return self.query.query_id


AnyQuery: TypeAlias = SubmittedQuery | Query | QueryId | Digest
"""How a query may be named: as `submit` returned it, by its terms, by its number, or by the hash of
the transaction that asked it."""


def number_of(query: AnyQuery) -> QueryId:
    """The number of a query.

    Raises:
        InvalidInput: it is none.
    """
    number: Any = getattr(query, "query_id", query)
    if not isinstance(number, int) or not 0 < number < 2**256:
        raise InvalidInput(f"{query!r} is no query; give what `submit` returned, or its number")
    return QueryId(number)


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds: `coins` in wei pay for gas, everything else is NES units."""

    address: Address
    coins: int
    nes: Amount
    credit_ready: Amount
    credit_waiting: Amount
