"""Says what the hybrid rule chose: why, who will be able to read what, the price, and what was not
to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from nesa.client.hybrid.rule import ROWS, Choice, Offered, Task
from nesa.client.payment import in_nes
from nesa.protocol.queries import Assurance, Privacy


@dataclass(frozen=True, slots=True)
class Explanation:
    """A choice in words. `row` counts from the top of the table, `passed` are the rows above it
    that are as private, with what was in their way."""

    row: int
    mode: str
    assurance: str
    why: str
    readers: str
    backing: str
    price: str
    time: str
    passed: tuple[str, ...]


def explain(task: Task, choice: Choice) -> Explanation:
    """The words for a choice."""
    way, offered = choice.way, choice.offered
    return Explanation(
        row=ROWS.index(choice.row) + 1,
        mode=way.mode.name,
        assurance=way.assurance.name,
        why=f"{task.sensitivity.value} data: {choice.row.why}",
        readers=readers(way.mode, offered, attested=task.attested, watched=task.watched),
        backing=backing(way.assurance),
        price=in_nes(offered.price),
        time=_time(task, offered),
        passed=tuple(f"{one.row.way}: {one.reason}" for one in choice.passed),
    )


def readers(mode: Privacy, offered: Offered, *, attested: bool, watched: bool) -> str:
    """Who will be able to read what; a watcher opens what is sealed as members do."""
    seats = offered.shards * offered.replicas
    drawn = "the operator that is drawn" if seats == 1 else f"the {seats} operators that are drawn"
    if attested:
        drawn += " (in enclaves, as far as the attestor, Intel and the program can be trusted)"
    if watched:
        drawn += ", and the watcher that you name,"
    match mode:
        case Privacy.OPEN:
            return "everybody, for good: input and answer stand on the chain"
        case Privacy.SEALED:
            return f"{drawn} and spares in their place read the input; nobody else does"
        case Privacy.EQUIVARIANT:
            return f"{drawn} see encoded input; with the plain weights they can read it"
        case Privacy.SPLIT:
            return f"{drawn} see activations; knowing your first layers they can read most of it"
        case Privacy.SHARED:
            return (
                "no operator alone; both groups together would read the input; your client holds "
                "the weights"
            )
    assert_never(mode)


def backing(assurance: Assurance) -> str:
    """What stands behind the answer."""
    match assurance:
        case Assurance.AGREED:
            return "a quorum of each shard signs it and loses stake once it is shown to be wrong"
        case Assurance.CHALLENGED:
            return "as AGREED, and it counts only when nobody can dispute it any more"
        case Assurance.PROVED:
            return (
                "the chain verifies a proof of every shard; the answer is public unless the "
                "version hides it"
            )
    assert_never(assurance)


def _time(task: Task, offered: Offered) -> str:
    least = f"{offered.earliest} s at least, " if offered.earliest else ""
    most = f"{least}{offered.latest} s at most; after that the fee comes back"
    if task.deadline is not None and task.deadline < offered.latest:
        return f"{most}. Nobody promises it within your {task.deadline} s"
    return most
