"""Every error that Nesa raises on purpose, in one tree.

NesaError
├── InvalidInput            the caller gave something that no retry will make right
│   ├── InvalidTensor       wrong shape, dtype, range, a fraction or NaN
│   ├── InvalidModel        a model file or table that breaks a rule of `int-v1`
│   ├── InvalidOpening      opened leaves that are not those which a judge must read
│   ├── IllegalMove         a move that a dispute's game does not allow
│   ├── InvalidMessage      a message, signature or envelope that does not check out
│   ├── ReusedRandomness    a share's seed or a triple for a second time
│   ├── InvalidConfiguration a setting, key file, password or path
│   └── NotEntitled         weights of a private model, or their key, for somebody else
├── Rejected                the chain refused; carries the contract's reason
├── Unavailable             try again later: RPC, peer, or store did not answer
│   └── Unmined             a transaction left and is in no block yet; it may still be mined
├── Incompatible            another chain id, protocol version or deployment; stop
├── IntegrityError          bytes do not match the digest that names them
├── ExhaustedResource       disk, memory or a size limit
└── QueryFailed             the network did not answer the query
    ├── QueryExpired        the deadline passed; the fee can be refunded
    ├── QueryRefunded       the fee went back to the client
    └── GroupFailed         a group of a shared query cannot be gone on with; names it
        ├── WrongShare      a quorum of it signed sums that are not those of its share
        ├── GroupDivided    its members answered, and no quorum of them alike
        └── GroupSilent     too few of its members answered in time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any


class NesaError(Exception):
    """Base of everything that Nesa raises on purpose.

    `submitted` is the `nesa.SubmittedQuery` that was paid for when it was raised; None without one.
    """

    submitted: Any = None


class InvalidInput(NesaError, ValueError):
    """The caller gave something that no retry will make right."""


class InvalidTensor(InvalidInput):
    """A tensor of the wrong shape or dtype, out of range, or with a fraction or NaN in it."""


class InvalidModel(InvalidInput):
    """A model file or operator table that breaks a rule of `int-v1`."""


class InvalidOpening(InvalidInput):
    """Opened leaves that are not those which a judge must read."""


class IllegalMove(InvalidInput):
    """A move that the game of a dispute does not allow; the clock goes on."""


class InvalidMessage(InvalidInput):
    """A message, signature or envelope that does not check out."""


class ReusedRandomness(InvalidInput):
    """A share's seed or a triple for a second time: what it hid would follow from both uses."""


class InvalidConfiguration(InvalidInput):
    """A setting, key file, password or path that cannot be used."""


class NotEntitled(InvalidInput):
    """Weights of a private model, or a key to them, that are not for whoever asks."""


class Rejected(NesaError):
    """The chain refused a call; `reason` is the contract's own text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(NesaError, ConnectionError):
    """RPC, peer or store did not answer; trying again later may help."""


class Unmined(Unavailable):
    """A transaction left and is in no block yet: it may still be mined, so do not send its call
    again. `tx_hashes` are all that were signed for it, the dearest last, of which one counts.

    Where a sealed query was asked by it, `content_key` opens its answer.
    """

    def __init__(self, message: str, tx_hashes: Sequence[bytes]) -> None:
        super().__init__(message)
        self.tx_hashes = tuple(tx_hashes)
        self.content_key: bytes | None = None


class Incompatible(NesaError):
    """Another chain id, protocol version or deployment than expected; do not go on."""


class IntegrityError(NesaError):
    """Bytes do not match the digest that names them."""


class ExhaustedResource(NesaError):
    """Disk, memory or a size limit is used up."""


class QueryFailed(NesaError):
    """The network did not answer the query."""


class QueryExpired(QueryFailed):
    """The answer deadline passed; anybody can refund the fee."""


class QueryRefunded(QueryFailed):
    """The fee went back to the client."""


class GroupFailed(QueryFailed):
    """A group of a shared query cannot be gone on with; `group` is its name.

    `members` are the signers of those who sent no right sums. `failures` are all of the query up to
    this one, itself among them, `evidence` has by the name of a file what convicts members that
    signed wrong sums of any product so far (see `SharedResult.evidence`).
    """

    members: tuple[Any, ...] = ()
    failures: tuple[GroupFailed, ...] = ()
    evidence: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, group: str, message: str) -> None:
        super().__init__(message)
        self.group = group


class WrongShare(GroupFailed):
    """A quorum of the group signed sums that are not those of its share.

    `statements` are the signed statements (`nesa.protocol.statements.Statement`),
    `digits` the share that they are about, as canonical bytes: together they show the fault. With
    the other group's share of the same product the digits are the value that was shared, unless
    `is_discarded`: then another share took its place before it blinded anything.
    """

    is_discarded: bool = False

    def __init__(self, group: str, message: str, statements: Sequence[Any], digits: bytes) -> None:
        super().__init__(group, message)
        self.statements = tuple(statements)
        self.digits = digits


class GroupDivided(GroupFailed):
    """Members of the group answered, and no quorum of them alike."""


class GroupSilent(GroupFailed):
    """Too few members of the group answered in time."""
