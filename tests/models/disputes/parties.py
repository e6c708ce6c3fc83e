"""Dishonest sides, and a game between any two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import numpy as np

from nesa.models.disputes.game import (
    Claimed,
    Ended,
    Game,
    Shown,
    Side,
    State,
    TensorShown,
    ValuesShown,
    expire,
    fold_of,
    play,
    start,
    to_move,
)
from nesa.models.disputes.moves import (
    BetterPlace,
    ChallengerMove,
    Contest,
    Convict,
    Defend,
    DefenderMove,
    Move,
    Operands,
    Pick,
)
from nesa.models.disputes.parties import Challenger, Defender, Party
from nesa.models.disputes.traces import Charge, Claim, NamedRow, Trace
from nesa.models.graph import Integers, Opcode
from nesa.models.judging import Witness
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import Fold
from nesa.protocol.errors import InvalidInput

Choose = Callable[[int], int]
"""Any number below the one that is given."""


class Liar(Defender):
    """Follows its false values to the end: of a contested claim it bends one part, or several."""

    def __init__(self, witness: Witness, number: int, choose: Choose) -> None:
        super().__init__(witness, number)
        self.choose = choose

    def parts(self, row: NamedRow, claim: Claim) -> tuple[int, ...]:
        """Parts that make what was claimed, whatever they are."""
        true = super().parts(row, claim)
        if fold_of(row) is Fold.LARGEST:
            bent = [min(part, claim.value) for part in true]
            if max(bent) < claim.value:
                bent[self.choose(len(bent))] = claim.value
            return tuple(bent)
        bent = list(true)
        for _ in range(1 + self.choose(3)):
            slip = self.choose(9) - 4
            bent[self.choose(len(bent))] += slip
            bent[self.choose(len(bent))] -= slip
        bent[self.choose(len(bent))] += claim.value - sum(bent)
        return tuple(bent)


class Griefer(Party):
    """Challenges a right digest: goes anywhere and says that what it finds there is wrong."""

    def __init__(self, witness: Witness, number: int, choose: Choose) -> None:
        super().__init__(witness, number)
        self.choose = choose

    def reply(self, state: Shown) -> ChallengerMove | None:
        """Any move that may be legal."""
        match state:
            case ValuesShown(trace, nodes):
                open_ = [k for k, node in enumerate(nodes) if node.leaves.stop > len(trace.inputs)]
                return Pick(open_[self.choose(len(open_))])
            case TensorShown(_, _, nodes):
                return Pick(self.choose(len(nodes)))
            case Claimed(trace, row, _, _, claims):
                choice = self.choose(len(claims))
                claim = claims[choice]
                if claim.stop - claim.first > 1 and self.choose(2):
                    return Contest(choice)
                return self._accuse(trace, row, claim, choice)
        assert_never(state)

    def _accuse(self, trace: Trace, row: NamedRow, claim: Claim, choice: int) -> Contest | Convict:
        extent = (row.leaf.index, claim.element, claim.first, claim.stop)
        if not self.witness.takes(*extent):
            return Contest(choice)
        digests = tuple(self.witness.digest(value) for value in row.leaf.inputs)
        evidence: Operands | BetterPlace
        if row.leaf.opcode is Opcode.ARG_MAX:
            size = row.leaf.attributes[0]
            place = self.choose(size)
            base = claim.element * size
            places = sorted({base + place, base + claim.value})
            opening = self.witness.open_places(row.leaf.inputs[0], places)
            evidence = BetterPlace(place, opening)
        else:
            evidence = Operands(self.witness.openings(*extent))
        return Convict(choice, digests, self.siblings(row.leaf.inputs), evidence)


def play_out(
    charge: Charge, defender: Defender, challenger: Challenger | Griefer, *, tries: int = 1
) -> Game:
    """The end of a game; who has no legal move left in `tries` lets its time pass."""
    game, now = start(charge, 100, 10), 0
    while (side := to_move(game.state)) is not None:
        for _ in range(tries):
            move: Move | None = _reply(game.state, defender, challenger)
            if move is None:
                continue
            try:
                game = play(game, side, move, now)
                break
            except InvalidInput:
                continue
        else:
            now = game.deadline + 1
            game = expire(game, now)
        now += 1
    return game


def _reply(
    state: State, defender: Defender, challenger: Challenger | Griefer
) -> DefenderMove | ChallengerMove | None:
    match state:
        case ValuesShown() | TensorShown() | Claimed():
            return challenger.reply(state)
        case Ended():
            return None
        case _:
            return defender.reply(state)


def falsified(
    witness: Witness, index: int, place: int, value: int, *, hide: bool, end: int | None = None
) -> Witness:
    """Who says `value` of one element of row `index`'s output, and computes on with it up to `end`.

    `hide` leaves all later values as they are, so that the outputs may be right.
    """
    table = witness.table
    written = table.output_of(index)
    tensor = witness.values[written].copy()
    tensor.reshape(-1)[place] = value
    changed = witness.changed({written: tensor})
    return changed if hide else recomputed(changed, index + 1, end)


def recomputed(witness: Witness, first: int, end: int | None = None) -> Witness:
    """Who computes honestly from row `first` on, whatever the values before it are."""
    table, values = witness.table, dict(witness.values)
    others: dict[int, Integers] = {}
    for index in range(first, len(table.rows) if end is None else end):
        row, written = table.rows[index], table.output_of(index)
        operands = tuple(values[read] for read in row.inputs)
        found = operator(row.opcode).reference(row, operands)
        if not np.array_equal(found, values[written]):
            values[written] = others[written] = found
    return witness.changed(others)


def winner(game: Game) -> Side:
    """Who won a game that is over."""
    return game.state.winner  # type: ignore[union-attr]


def changed_defences(move: Defend) -> list[Defend]:
    """The same defence with one field that is not what it was."""
    other = bytes(32)
    return [
        replace(move, inputs=(other, *move.inputs[1:])),
        replace(move, outputs=(*move.outputs[:-1], other)),
        replace(move, inputs=()),
        replace(move, outputs=()),
        replace(move, nodes=(other, *move.nodes[1:])),
        replace(move, nodes=move.nodes[:-1]),
        replace(move, nodes=()),
        replace(move, siblings=(*move.siblings, other)),
        replace(move, first=move.last),
        replace(move, shard=move.first),
        replace(move, last=move.first),
        replace(move, last=replace(move.last, data=b"")),
        replace(move, shard=replace(move.shard, path=())),
    ]
