"""Says how a query is asked before it is paid: why, who will be able to read what, the price, and
what was not to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from nesa.client.hybrid.rule import ROWS, Choice, Offered, Task, Way
from nesa.client.payment import in_nes
from nesa.protocol.queries import Assurance, Privacy

AS_TOLD = "you asked for it"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query is asked, in words. `row` counts from the top of the table, None where the client
    named the mode itself; `passed` are the rows above it that are as private, with what was in
    their way."""

    model: str
    row: int | None
    mode: str
    assurance: str
    why: str
    readers: str
    backing: str
    price: str
    time: str
    passed: tuple[str, ...] = ()

    @property
    def is_deposit(self) -> bool:
        """Whether the price is put down, and what nobody earns of it comes back."""
        return self.mode == Privacy.SHARED.name

    @property
    def asked(self) -> str:
        """Mode and assurance, as `Way` is printed."""
        return str(Way(Privacy[self.mode], Assurance[self.assurance]))


@dataclass(frozen=True, slots=True)
class Readers:
    """What decides who reads a query. `mode` says what they see, `sealed` whether only the drawn
    members see it; a watcher opens what is sealed as they do. `answer_shown` says that a proof
    shows the answer of a sealed query."""

    mode: Privacy
    sealed: bool
    attested: bool = False
    watched: bool = False
    answer_shown: bool = False


def explain(model: str, who: Readers, task: Task, choice: Choice) -> Explanation:
    """The words for what the rule chose."""
    told = explain_told(model, who, choice.way, choice.offered, task.deadline)
    return Explanation(
        model=model,
        row=ROWS.index(choice.row) + 1,
        mode=told.mode,
        assurance=told.assurance,
        why=f"{task.sensitivity.value} data: {choice.row.why}",
        readers=told.readers,
        backing=told.backing,
        price=told.price,
        time=told.time,
        passed=tuple(f"{one.row.way}: {one.reason}" for one in choice.passed),
    )


def explain_told(
    model: str, who: Readers, way: Way, offered: Offered, deadline: int | None = None
) -> Explanation:
    """The words for what the client named itself."""
    return Explanation(
        model=model,
        row=None,
        mode=way.mode.name,
        assurance=way.assurance.name,
        why=AS_TOLD,
        readers=readers(who, offered),
        backing=backing(way),
        price=in_nes(offered.price),
        time=_time(offered, deadline),
    )


def readers(who: Readers, offered: Offered) -> str:
    """Who will be able to read what."""
    shown = "; the answer everybody reads, for good" if who.answer_shown else ""
    drawn = _drawn(who, offered) if who.sealed else "everybody, for good, can"
    match who.mode:
        case Privacy.OPEN:
            return "everybody, for good: input and answer stand on the chain"
        case Privacy.SEALED:
            others = f"does{shown}" if who.answer_shown else "reads it or the answer"
            return f"{drawn} read the input; nobody else {others}"
        case Privacy.EQUIVARIANT:
            known = "with the plain weights, or knowing some requests, they can read it"
            return f"{drawn} see encoded input; {known}, and much of a text without{shown}"
        case Privacy.SPLIT:
            known = "knowing your first layers, or some requests, they can read most of it"
            return f"{drawn} see activations; {known}{shown}"
        case Privacy.SHARED:
            return (
                f"no operator alone; both groups, of {offered.replicas} each, together would read "
                "the input, and so would spares in their place; your client holds the weights"
            )
    assert_never(who.mode)


def _drawn(who: Readers, offered: Offered) -> str:
    seats = offered.shards * offered.replicas
    drawn = "the operator that is drawn" if seats == 1 else f"the {seats} operators that are drawn"
    if who.attested:
        drawn += " (in enclaves, as far as the attestor, Intel and the program can be trusted)"
    if who.watched:
        return f"{drawn}, spares in their place, and the watcher that you name"
    return f"{drawn} and spares in their place"


def backing(way: Way) -> str:
    """What stands behind the answer."""
    if way.mode is Privacy.SHARED:
        return (
            "your client checks every reply and pays for right ones only; nothing on chain attests "
            "the answer, and who signed wrong sums can be sued"
        )
    match way.assurance:
        case Assurance.AGREED:
            return "a quorum of each shard signs it and loses stake once it is shown to be wrong"
        case Assurance.CHALLENGED:
            return "as AGREED, and it counts only when nobody can dispute it any more"
        case Assurance.PROVED:
            return "the chain verifies a proof of every shard"
    assert_never(way.assurance)


def _time(offered: Offered, deadline: int | None) -> str:
    least = f"{offered.earliest} s at least, " if offered.earliest else ""
    most = f"{least}{offered.latest} s at most; after that the fee comes back"
    if offered.rounds:
        most = (
            f"{offered.rounds} rounds of your client with its groups, within the "
            f"{offered.latest} s that a session lasts; what is left of the deposit comes back "
            "once its vouchers have run out (`nesa withdraw`)"
        )
    if deadline is not None and deadline < offered.latest:
        return f"{most}. Nobody promises it within your {deadline} s"
    return most
