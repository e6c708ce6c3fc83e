"""How an honest side plays, from nothing but the state of the game and all values of the shard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import assert_never

from nesa.models.disputes.descent import Node, below, height_of
from nesa.models.disputes.game import (
    Asked,
    Claimed,
    LeafNamed,
    Opened,
    PartsAsked,
    RowNamed,
    Shown,
    TensorAsked,
    TensorShown,
    ValuesAsked,
    ValuesShown,
    fold_of,
)
from nesa.models.disputes.moves import (
    BetterPlace,
    ChallengerMove,
    Contest,
    Convict,
    Defend,
    DefenderMove,
    LeafProof,
    Operands,
    Pick,
    Show,
    ShowLeaf,
    ShowRow,
    StateParts,
)
from nesa.models.disputes.traces import Charge, Claim, NamedRow, Trace, cuts, output_digest
from nesa.models.graph import Opcode
from nesa.models.judging import Witness
from nesa.models.opcodes.operands import Fold
from nesa.protocol.digests import LEAF_BYTES, edges_digest, inner_hash
from nesa.protocol.openings import Tree, leaf_bytes


class Party:
    """Somebody who holds all values of one shard; the base of both sides."""

    def __init__(self, witness: Witness, number: int) -> None:
        self.witness = witness
        self.number = number
        self.shard = witness.table.shards[number]

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Numbers of all values: the inputs of the shard, then what its rows write."""
        rows = range(self.shard.first, self.shard.end)
        return (*self.shard.inputs, *map(self.witness.table.output_of, rows))

    @cached_property
    def tree(self) -> Tree:
        """The tree over the digests of all values."""
        return Tree(self._digests(self.values))

    def siblings(self, values: Sequence[int]) -> tuple[bytes, ...]:
        """What leads from some values to the root of all."""
        return self.tree.siblings(sorted({self.values.index(value) for value in values}))

    def value_of(self, row: NamedRow) -> int:
        """Number of the value that a row writes."""
        return self.witness.table.output_of(row.leaf.index)

    def _digests(self, values: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(self.witness.digest(value) for value in values)


class Defender(Party):
    """Answers what it is asked from its own values.

    `blind` hides the output of a sealed query, None that of an open one.
    """

    def __init__(self, witness: Witness, number: int, blind: bytes | None = None) -> None:
        super().__init__(witness, number)
        self.blind = blind

    @property
    def charge(self) -> Charge:
        """What is disputed when somebody signs these values."""
        shards = len(self.witness.table.shards)
        read = edges_digest(self._digests(self.shard.inputs))
        written = output_digest(self._digests(self.shard.outputs), self.blind)
        return Charge(self.witness.rows.root, self.number, shards, read, written)

    def reply(self, state: Asked) -> DefenderMove:
        """The only move that is true."""
        match state:
            case Opened():
                return self._defend()
            case ValuesAsked(_, node):
                return Show(_below(self.tree, node))
            case RowNamed(trace, node):
                return self.show_row(trace.row_at(node.place))
            case TensorAsked(_, row, node):
                return Show(_below(self.witness.tree(self.value_of(row)), node))
            case LeafNamed(_, row, node):
                data = self.witness.encoded(self.value_of(row))
                return ShowLeaf(leaf_bytes(data, node.place))
            case PartsAsked(_, row, _, claim):
                return StateParts(self.parts(row, claim))
        assert_never(state)

    def parts(self, row: NamedRow, claim: Claim) -> tuple[int, ...]:
        """What the parts of a claim are worth."""
        return tuple(
            self.witness.worth(row.leaf.index, claim.element, part.start, part.stop)
            for part in cuts(claim)
        )

    def show_row(self, index: int) -> ShowRow:
        """Row `index` with the top of its output's tree."""
        table = self.witness.table
        proof = LeafProof(table.encoded_row(index), self.witness.rows.siblings([index]))
        return ShowRow(proof, _top(self.witness.tree(table.output_of(index))))

    def _defend(self) -> Defend:
        table = self.witness.table
        rows = len(table.rows)
        place, last = rows + self.number, rows + len(table.shards) - 1
        first = LeafProof(
            table.encoded_row(self.shard.first), self.witness.rows.siblings([self.shard.first])
        )
        ends = (*self.shard.inputs, *self.shard.outputs)
        return Defend(
            LeafProof(table.shards[-1].encoded(last), self.witness.rows.siblings([last])),
            LeafProof(self.shard.encoded(place), self.witness.rows.siblings([place])),
            first,
            self._digests(self.shard.inputs),
            self._digests(self.shard.outputs),
            self.siblings(ends),
            _top(self.tree),
            self.blind,
        )


class Challenger(Party):
    """Goes to the first value that differs from its own, or where one is `Witness.undefined`, that
    far at most: whatever is claimed of that element is wrong.

    It keeps the nodes above the values that were shown: behind the difference they are not its own,
    and a proof of what lies in front needs some of them.
    """

    def __init__(self, witness: Witness, number: int) -> None:
        super().__init__(witness, number)
        self.shown: dict[tuple[int, int], bytes] = {}

    def siblings(self, values: Sequence[int]) -> tuple[bytes, ...]:
        """What leads from values in front of the difference to the defender's root."""
        places, found = sorted({self.values.index(value) for value in values}), []
        for level in range(self.tree.height):
            width = -(-len(self.values) >> level)
            beside = [place ^ 1 for place in places]
            wanted = [p for p in beside if p < width and p not in places]
            found += [self._node(level, place) for place in wanted]
            places = sorted({place // 2 for place in places})
        return tuple(found)

    def _node(self, level: int, place: int) -> bytes:
        if (level, place) in self.shown:
            return self.shown[level, place]
        if level == 0:
            return self.tree.nodes(0, range(place, place + 1))[0]
        left, right = 2 * place, 2 * place + 1
        if right >= -(-len(self.values) >> (level - 1)):
            return self._node(level - 1, left)
        return inner_hash(self._node(level - 1, left), self._node(level - 1, right))

    def reply(self, state: Shown) -> ChallengerMove | None:
        """The next step to the difference, None when there is none in what is shown."""
        match state:
            case ValuesShown(_, nodes):
                self.shown |= {(node.level, node.place): node.digest for node in nodes}
                return _first_other(self.tree, nodes, self._undefined_value())
            case TensorShown(_, row, nodes):
                tree = self.witness.tree(self.value_of(row))
                return _first_other(tree, nodes, self._undefined_leaf(row))
            case Claimed(trace, row, _, _, claims):
                return self._doubt(trace, row, claims)
        assert_never(state)

    def _undefined_value(self) -> int | None:
        """Place among all values of the one that has an undefined element."""
        undefined = self.witness.undefined
        if undefined is None:
            return None
        return self.values.index(self.witness.table.output_of(undefined.row))

    def _undefined_leaf(self, row: NamedRow) -> int | None:
        """Which leaf of the row's output holds an undefined element."""
        undefined = self.witness.undefined
        if undefined is None or undefined.row != row.leaf.index:
            return None
        return undefined.element * row.facts.row.output_type.dtype.itemsize // LEAF_BYTES

    def _doubt(
        self, trace: Trace, row: NamedRow, claims: Sequence[Claim]
    ) -> Contest | Convict | None:
        for choice, claim in enumerate(claims):
            worth = self._worth(row, claim)
            if worth == claim.value and not self._is_undefined(row, claim):
                continue
            extent = (row.leaf.index, claim.element, claim.first, claim.stop)
            if not self.witness.takes(*extent):
                return Contest(choice)
            digests = self._digests(row.leaf.inputs)
            evidence = self._evidence(row, claim, worth)
            return Convict(choice, digests, self.siblings(row.leaf.inputs), evidence)
        return None

    def _is_undefined(self, row: NamedRow, claim: Claim) -> bool:
        """Whether no integer is right for a claim."""
        undefined = self.witness.undefined
        if undefined is None:
            return False
        is_there = (row.leaf.index, claim.element) == (undefined.row, undefined.element)
        is_whole = fold_of(row) is Fold.WHOLE
        return is_there and (is_whole or claim.first <= undefined.operand < claim.stop)

    def _worth(self, row: NamedRow, claim: Claim) -> int:
        if claim.first == 0 and claim.stop == self.witness.extent(row.leaf.index):
            return int(self.witness.values[self.value_of(row)].reshape(-1)[claim.element])
        return self.witness.worth(row.leaf.index, claim.element, claim.first, claim.stop)

    def _evidence(self, row: NamedRow, claim: Claim, worth: int) -> Operands | BetterPlace:
        if row.leaf.opcode is not Opcode.ARG_MAX:
            extent = (row.leaf.index, claim.element, claim.first, claim.stop)
            return Operands(self.witness.openings(*extent))
        size = row.leaf.attributes[0]
        base = claim.element * size
        better = worth if worth != claim.value else self._stray_place(claim.value, size)
        places = {base + place for place in (claim.value, better) if 0 <= place < size}
        opening = self.witness.open_places(row.leaf.inputs[0], sorted(places))
        return BetterPlace(better, opening)

    def _stray_place(self, claimed: int, size: int) -> int:
        """Another place than the one claimed, so that one of both is out of range."""
        assert self.witness.undefined is not None
        stray = self.witness.undefined.operand
        return stray if stray != claimed else (stray + 1) % size


def _top(tree: Tree) -> tuple[bytes, ...]:
    return tree.nodes(*below(tree.width, height_of(tree.width), 0))


def _below(tree: Tree, node: Node) -> tuple[bytes, ...]:
    return tree.nodes(*below(tree.width, node.level, node.place))


def _first_other(tree: Tree, nodes: Sequence[Node], undefined: int | None) -> Pick | None:
    """The first node that differs from the own one, or lies above an undefined leaf."""
    own = chain.from_iterable(
        tree.nodes(node.level, range(node.place, node.place + 1)) for node in nodes
    )
    pairs = zip(own, nodes, strict=True)
    others = (
        choice
        for choice, (mine, node) in enumerate(pairs)
        if mine != node.digest or undefined in node.leaves
    )
    choice = next(others, None)
    return None if choice is None else Pick(choice)
