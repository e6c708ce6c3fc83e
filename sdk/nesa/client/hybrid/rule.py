"""The hybrid rule: a table, read downwards, whose first row that holds says how a query is asked.

Nothing here is weaker than a sensitivity asks for: where no row of it holds, nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from nesa.client.payment import in_nes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount
from nesa.protocol.queries import Assurance, Privacy

SMALL_WEIGHTS: Final = 1 << 20
"""Most constants of a small model. A convention: circuits end far below it, and the dozens of
rounds that a shared query of a transformer takes begin above it."""


class Sensitivity(Enum):
    """Who may read a query at most.

    PUBLIC is for everybody. PERSONAL is for the operators that compute it, where nothing less does.
    CRITICAL is for one operator a shard whose answer is proved, for none alone, or for enclaves and
    a watcher of the client's; the answer of members whom nobody could check is not enough. The same
    holds for the answer, unless the client says that it may be public.
    """

    PUBLIC = "public"
    PERSONAL = "personal"
    CRITICAL = "critical"


def read_sensitivity(given: Sensitivity | str) -> Sensitivity:
    """The sensitivity of that name.

    Raises:
        InvalidInput: there is none.
    """
    try:
        return Sensitivity(given.lower() if isinstance(given, str) else given)
    except ValueError:
        known = ", ".join(one.value for one in Sensitivity)
        raise InvalidInput(f"the sensitivity is {given!r}; choose one of {known}") from None


@dataclass(frozen=True, slots=True)
class Way:
    """How a query is asked. Every mode but OPEN and SHARED is sealed to the drawn members."""

    mode: Privacy
    assurance: Assurance

    @property
    def is_sealed(self) -> bool:
        """Whether the market gets a sealed query."""
        return self.mode not in (Privacy.OPEN, Privacy.SHARED)

    def __str__(self) -> str:
        # The groups of SHARED answer to their client alone: nobody attests that they agreed.
        named = "" if self.mode is Privacy.SHARED else f" {self.assurance.name}"
        return f"{self.mode.name}{named}"


class Need(Enum):
    """What a row needs beside an offer."""

    SMALL = "a small model"
    PROVABLE = "hashed circuits"
    HIDDEN = "a hidden answer or one that may be public"
    ENCODED = "a model under the client's key"
    SPLIT = "first and last layers at the client"
    WATCHED = "a watcher with a view grant"
    ATTESTED = "attested seats"
    PATIENT = "a stated deadline behind the latest answer"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    sensitivity: Sensitivity
    needs: tuple[Need, ...]
    way: Way
    why: str


_SEALED_PROVED: Final = Way(Privacy.SEALED, Assurance.PROVED)
_SEALED_CHALLENGED: Final = Way(Privacy.SEALED, Assurance.CHALLENGED)
_SHARED: Final = Way(Privacy.SHARED, Assurance.AGREED)

ROWS: Final = (
    Row(
        Sensitivity.CRITICAL,
        (Need.SMALL, Need.PROVABLE, Need.HIDDEN),
        _SEALED_PROVED,
        "one operator a shard reads it, and a proof takes the place of everybody else",
    ),
    Row(
        Sensitivity.CRITICAL,
        (Need.SMALL,),
        _SHARED,
        "no operator reads it alone, and a small model takes few rounds",
    ),
    Row(
        Sensitivity.CRITICAL,
        (Need.ATTESTED, Need.WATCHED),
        _SEALED_CHALLENGED,
        "only enclaves and your watcher read it, who can overturn the answer before it counts",
    ),
    Row(
        Sensitivity.CRITICAL,
        (Need.PATIENT,),
        _SHARED,
        "no operator reads it alone, and you have time for the rounds of a large model",
    ),
    Row(
        Sensitivity.PERSONAL,
        (Need.ENCODED,),
        Way(Privacy.EQUIVARIANT, Assurance.AGREED),
        "the model is under your key, so its operators compute on encoded input",
    ),
    Row(
        Sensitivity.PERSONAL,
        (Need.SPLIT,),
        Way(Privacy.SPLIT, Assurance.AGREED),
        "you compute the first layers, so operators see activations instead of the input",
    ),
    Row(
        Sensitivity.PERSONAL,
        (Need.WATCHED, Need.PATIENT),
        _SEALED_CHALLENGED,
        "a watcher can overturn the answer before it counts, and you have time for that",
    ),
    Row(
        Sensitivity.PERSONAL,
        (),
        Way(Privacy.SEALED, Assurance.AGREED),
        "only the drawn operators read it",
    ),
    Row(
        Sensitivity.PUBLIC,
        (Need.PATIENT,),
        Way(Privacy.OPEN, Assurance.CHALLENGED),
        "anybody may read it, and you have time until nobody can dispute the answer",
    ),
    Row(
        Sensitivity.PUBLIC,
        (),
        Way(Privacy.OPEN, Assurance.AGREED),
        "anybody may read it, and nothing is answered sooner or for less",
    ),
)


@dataclass(frozen=True, slots=True)
class Task:
    """What is known of a query beforehand. `weights` counts the model's constants, `deadline` is in
    seconds and `budget` in NES units, both None when the client did not state them. `provable` says
    that a proof would hide the input, `hidden` that it would hide the answer, or need not."""

    sensitivity: Sensitivity
    weights: int
    provable: bool
    hidden: bool = False
    encoded: bool = False
    split: bool = False
    watched: bool = False
    attested: bool = False
    deadline: int | None = None
    budget: Amount | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """What a way costs here, among how many, and within which seconds its answer comes. `rounds`
    counts those of the client with its groups, where there are any; the price is a deposit then."""

    price: Amount
    shards: int
    replicas: int
    earliest: int
    latest: int
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """That a way is not to be had, and why."""

    reason: str


Offer = Offered | Missing


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A row above the chosen one, and what was in its way."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The row that holds, what it costs, and those above it."""

    row: Row
    offered: Offered
    passed: tuple[PassedOver, ...]

    @property
    def way(self) -> Way:
        """How the query is asked."""
        return self.row.way


def rows_of(sensitivity: Sensitivity) -> tuple[Row, ...]:
    """The rows that are private enough, in order."""
    return tuple(row for row in ROWS if row.sensitivity is sensitivity)


def choose(task: Task, offers: Mapping[Way, Offer]) -> Choice:
    """The first row that holds.

    Raises:
        InvalidInput: none does; it says of each what would have to change.
    """
    passed = list[PassedOver]()
    for row in rows_of(task.sensitivity):
        found = obstacle(row, task, offers[row.way])
        if isinstance(found, Offered):
            return Choice(row, found, tuple(passed))
        passed.append(PassedOver(row, found))
    raise InvalidInput(_refusal(task.sensitivity, passed))


def obstacle(row: Row, task: Task, offer: Offer) -> Offered | str:
    """The offer where a row holds, else what is in its way and what would take it out."""
    for need in row.needs:
        if need is not Need.PATIENT and (lacking := _lacking(need, task)) is not None:
            return lacking
    if isinstance(offer, Missing):
        return offer.reason
    late = _patience(task, offer) if Need.PATIENT in row.needs else _time(task, offer)
    return late or _money(task, offer) or offer


def _lacking(need: Need, task: Task) -> str | None:
    match need:
        case Need.SMALL:
            words = f"the model has {task.weights:,} weights; small ones have {SMALL_WEIGHTS:,}"
            return None if task.weights <= SMALL_WEIGHTS else words
        case Need.PROVABLE:
            words = (
                "this version has no circuits that hash the input (`nesa model circuits`), so no "
                "proof hides it"
            )
            return None if task.provable else words
        case Need.HIDDEN:
            words = (
                "its proof shows the answer to everybody, for good; ask a version with circuits "
                "of kind hashed-answer, or say that the answer may be public (--public-answer, "
                "Auto(public_answer=True))"
            )
            return None if task.hidden else words
        case Need.ENCODED:
            words = "the model is not under a key of yours (`nesa privacy transform`)"
            return None if task.encoded else words
        case Need.SPLIT:
            words = "you compute no layers of it (`nesa model split`, Auto(split=…))"
            return None if task.split else words
        case Need.WATCHED:
            return None if task.watched else "no watcher is named (--watcher KEY, Auto(watched=…))"
        case Need.ATTESTED:
            words = "no attested seats are asked for (--attested CONTRACT, attested=)"
            return None if task.attested else words
        case Need.PATIENT:
            return None  # hangs on the offer
    assert_never(need)


def _patience(task: Task, offer: Offered) -> str | None:
    if task.deadline is None:
        return f"it may take {offer.latest} s, and no deadline is stated (--deadline SECONDS)"
    if task.deadline < offer.latest:
        return f"it may take {offer.latest} s, which is behind the deadline of {task.deadline} s"
    return None


def _time(task: Task, offer: Offered) -> str | None:
    if task.deadline is not None and task.deadline < offer.earliest:
        return f"it takes {offer.earliest} s, which is behind the deadline of {task.deadline} s"
    return None


def _money(task: Task, offer: Offered) -> str | None:
    if task.budget is not None and task.budget < offer.price:
        return f"it costs {in_nes(offer.price)}, more than the limit of {in_nes(task.budget)}"
    return None


def _refusal(sensitivity: Sensitivity, passed: list[PassedOver]) -> str:
    """What would have to change, row by row; being less private is no such change."""
    reasons = "; ".join(dict.fromkeys(f"{one.row.way}: {one.reason}" for one in passed))
    return (
        f"nothing here is private enough for {sensitivity.value} data, and nothing was asked. One "
        f"of these would have to change: {reasons}. Or run the model on a machine of your own, "
        "where nobody else reads anything"
    )
