"""Which rows of a table go to the groups, in which round, and what the client runs in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from nesa.models.graph import Opcode, Part, Table, is_narrow
from nesa.privacy.shared.products import Product, is_shared, product_of
from nesa.protocol.errors import InvalidModel

Round = tuple[Product, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rounds of a table: `parts[i]` makes what the products of `rounds[i]` read.

    There is one part more than rounds; the last one makes the outputs of the table. What a part
    gives stays with the client, and so do the accumulators of every product.
    """

    table: Table
    rounds: tuple[Round, ...]
    parts: tuple[Part, ...]

    @property
    def products(self) -> tuple[Product, ...]:
        """All products in the order in which they are numbered."""
        return tuple(product for found in self.rounds for product in found)


def plan(table: Table) -> Plan:
    """Every linear row at the groups, in the round in which what it reads is there first.

    Raises:
        InvalidModel: no row is linear, or a tensor of shares is too long for one message.
    """
    rows = _Rows(table)
    if not rows.shared:
        raise InvalidModel("the model has no Linear or Conv row that groups could compute")
    rounds = tuple(
        tuple(product_of(table, value, indices) for value, indices in found)
        for found in _grouped(rows)
    )
    return Plan(table, rounds, tuple(_parts(rows, rounds)))


class _Rows:
    """The rows that a table's outputs depend on, and who computes them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.first = len(table.inputs)
        self.is_shared = [is_shared(row) for row in table.rows]
        self._same = _same_values(table)
        self.needed = self.behind(table.outputs, frozenset(range(self.first)))
        self.shared = tuple(index for index in self.needed if self.is_shared[index])

    def read_by(self, index: int) -> tuple[int, ...]:
        """Values that a row reads; of one that groups compute the first that is equal to its own,
        so that it is shared once."""
        inputs = self.table.rows[index].inputs
        return (self._same[inputs[0]],) if self.is_shared[index] else inputs

    def behind(self, targets: Iterable[int], held: frozenset[int]) -> tuple[int, ...]:
        """Rows that make the targets from values that are held, ascending."""
        found, waiting = set[int](), [value for value in targets if value not in held]
        while waiting:
            index = waiting.pop() - self.first
            if index not in found:
                found.add(index)
                waiting += [value for value in self.read_by(index) if value not in held]
        return tuple(sorted(found))


def _same_values(table: Table) -> list[int]:
    """For every value the first one that the same rows without constants make of the same."""
    same, made = list(range(len(table.inputs))), dict[tuple[object, ...], int]()
    for index, row in enumerate(table.rows):
        value = table.output_of(index)
        key = (row.opcode, row.attributes, tuple(same[read] for read in row.inputs))
        edge = row.output_type
        same.append(value if row.parameters else made.setdefault((*key, edge), value))
    return same


def _grouped(rows: _Rows) -> list[list[tuple[int, list[int]]]]:
    """Round by round, the values with the linear rows that read them.

    Linear rows that read one value are one product, a Conv is always one of its own.
    """
    rounds: dict[int, dict[tuple[int, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    depths = dict.fromkeys(range(rows.first), 0)
    for index in rows.needed:
        depth = max(depths[value] for value in rows.read_by(index))
        depths[rows.table.output_of(index)] = depth + rows.is_shared[index]
        if rows.is_shared[index]:
            alone = rows.table.rows[index].opcode is Opcode.CONV
            (value,) = rows.read_by(index)
            rounds[depth][value, index if alone else -1].append(index)
    return [
        [(value, indices) for (value, _), indices in rounds[depth].items()]
        for depth in sorted(rounds)
    ]


def _parts(rows: _Rows, rounds: tuple[Round, ...]) -> list[Part]:
    readers: dict[int, set[int]] = defaultdict(set)
    for index in set(rows.needed) - set(rows.shared):
        for value in rows.read_by(index):
            readers[value].add(index)
    held, done, parts = frozenset(range(rows.first)), set[int](), []
    for number in range(len(rounds) + 1):
        last = number == len(rounds)
        targets = rows.table.outputs if last else [product.value for product in rounds[number]]
        made = rows.behind(targets, held)
        done.update(made)
        part = _part(rows, made, held, targets, {v for v in readers if readers[v] - done})
        parts.append(part)
        held |= frozenset(part.outputs)
        if not last:
            held |= {sums.value for product in rounds[number] for sums in product.sums}
    return parts


def _part(
    rows: _Rows,
    made: tuple[int, ...],
    held: frozenset[int],
    targets: Iterable[int],
    read_later: set[int],
) -> Part:
    """A value beyond 2**24 never leaves its part: a later one makes it again."""
    table, wanted = rows.table, set(targets)
    written = [table.output_of(index) for index in made]
    inputs = {value for index in made for value in rows.read_by(index)} & held
    outputs = [
        value
        for value in written
        if value in wanted or (value in read_later and is_narrow(table.type_of(value)))
    ]
    return Part(made, tuple(sorted(inputs)), tuple(outputs))
