"""A compiled model as something to attack: what is public of it, and what each observer sees.

Depths are the tensors that enter dense and convolutional layers: those a client of SHARED splits,
those it hands over when it runs everything before the layer itself, and those a miner permutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nesa.models.card import TensorCard
from nesa.models.folder import CompiledModel
from nesa.models.graph import Opcode, ParameterKind, Row, Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.runtime import session
from nesa.models.stacking import obstacles, with_open_axis
from nesa.privacy.battery.recording import Recorded, first_round, record, source
from nesa.privacy.battery.views import (
    Floats,
    Items,
    Public,
    Secret,
    Weights,
)
from nesa.protocol.errors import InvalidInput

DEPTHS: Final = 6
"""So many depths are looked at where nobody says how many."""
WATCHED: Final = 400
"""So many requests are seen on their way where nobody says how many."""
STACKED: Final = 8
"""Requests in one run; more would only take memory."""
ASKED: Final = 160
"""So many requests are asked of groups, or sealed, where nobody says how many."""
BEGUN: Final = 1_000
"""So many are begun: asked of groups in one round only, or sealed in full. That costs little, and
of 500 pairs a weak likeness shows."""
LEAST_ROWS: Final = 64
LINKED: Final = 8
"""Tokens in which two linked requests are alike."""


@dataclass(frozen=True, slots=True)
class Depth:
    """A tensor that enters the layer `row`: the number of its value, and of the value before views
    were taken of it."""

    row: int
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Token ids of requests [n, places] and of the attacker's own text [m, places], int64.

    `known` tokens stand at their places of every request; `common` ones are never news.
    """

    requests: Items
    text: Items
    known: Mapping[int, int] = field(default_factory=dict)
    common: frozenset[int] = frozenset()


class Subject:
    """A compiled model, requests to it and what an attacker knows.

    A model that reads tokens is attacked token by token, over `text` or over halves of its own test
    rows; any other by a list of candidates, its test rows, of which the first half is asked about
    and the second is the attacker's own. Pairs of requests are made alike where the draw says so.

    At most `depths` depths are looked at, of the first `watched` requests. The first `asked` ones
    are asked of groups in earnest. The first `begun` ones are asked of groups in one round, and
    sealed with all that comes of it.

    Raises:
        InvalidInput: too few rows to attack anything.
    """

    def __init__(
        self,
        model: CompiledModel,
        text: Text | None = None,
        *,
        depths: int = DEPTHS,
        watched: int = WATCHED,
        asked: int = ASKED,
        begun: int = BEGUN,
        seed: int = 1,
    ) -> None:
        self.model = model
        self._watched = watched
        self._asked, self._begun = asked, begun
        self._draws = np.random.default_rng(seed)
        self._states = TableStates(model.table, entering(model, depths))
        if is_text(model):
            given = text or _halves(_test_rows(model))
            self.secret = self._linked(given.requests, LINKED)
            self.public = self._reading(given)
        else:
            # `unique` sorts, and sorted halves differ by more than chance.
            records = np.unique(_test_rows(model), axis=0)
            self._records = records[self._draws.permutation(len(records))]
            half = len(self._records) // 4 * 2
            self.secret = self._linked(self._drawn(half, begun), 1)
            self.public = self._listed(half)

    @property
    def depths(self) -> range:
        """Numbers of the depths."""
        return range(len(self._states.depths))

    @property
    def entering(self) -> tuple[Depth, ...]:
        """The tensors that are looked at."""
        return self._states.depths

    @property
    def watched(self) -> Items:
        """Requests whose states are seen."""
        return self.secret.items[: self._watched]

    def inputs(self, items: Items) -> NDArray[np.int64]:
        """The input tensors [n, ..] of requests."""
        shape = self.model.input_edge.shape
        rows = items if self.public.is_text else self._records[items[:, 0]]
        return rows.astype(np.int64).reshape(len(items), *shape)

    def states(self, depth: int) -> Floats:
        """States of the watched requests, as the public model has them."""
        return self.public.states(self.watched, depth)

    @property
    def asked(self) -> Items:
        """Requests that are really asked."""
        return self.watched[: self._asked]

    @property
    def begun(self) -> Items:
        """Requests of which the first round is asked."""
        return self.secret.items[: self._begun]

    @cached_property
    def recorded(self) -> Recorded:
        """What both groups are sent when requests are asked on shares."""
        values = [each.value for each in self._states.depths]
        return record(self.model.table, values, self.tensors(self.asked), self.public.places)

    @cached_property
    def recorded_begun(self) -> Recorded:
        """What both groups are sent of the first round of more requests."""
        values = [each.value for each in self._states.depths]
        table = first_round(self.model.table)
        return record(table, values, self.tensors(self.begun), self.public.places)

    def tensors(self, items: Items) -> tuple[bytes, ...]:
        """The canonical bytes of each request's input."""
        return tuple(map(self.model.input_edge.encode, self.inputs(items)))

    def _drawn(self, half: int, least: int) -> Items:
        """Numbers [n, 1] of records of the first half, which are asked about; how many are wanted
        changes none of the first."""
        (more,) = self._draws.spawn(1)
        first = self._draws.integers(0, half, (2 * half, 1))
        return np.concatenate([first, more.integers(0, half, (max(0, least - 2 * half), 1))])

    def _linked(self, items: Items, alike: int) -> Secret:
        items = items[: len(items) // 2 * 2].copy()
        linked = self._draws.random(len(items) // 2) < 0.5
        pairs = np.flatnonzero(linked)
        items[2 * pairs + 1, : alike + 1] = items[2 * pairs, : alike + 1]
        return Secret(items, alike)

    def _reading(self, given: Text) -> Public:
        card = self.model.card
        assert isinstance(card, TensorCard)
        assert card.tokens is not None
        known = np.full(self.model.input_edge.elements, -1)
        known[list(given.known)] = list(given.known.values())
        return Public(
            vocabulary=self.model.input_edge.high + 1,
            states=lambda items, depth: self._states.run(self._tensors(items), depth, items.shape),
            text=given.text,
            known=known,
            common=given.common | {card.tokens.padding},
            table=embedding(self.model.table),
            layers=self._layers(),
        )

    def _listed(self, half: int) -> Public:
        count = len(self._records)
        return Public(
            vocabulary=count,
            states=lambda items, depth: self._states.run(
                self._records[items[:, 0]].reshape(-1, *self.model.input_edge.shape),
                depth,
                items.shape,
            ),
            text=np.arange(half, count)[:, None],
            known=np.full(1, -1),
            layers=self._layers(),
        )

    def _tensors(self, items: Items) -> NDArray[np.int64]:
        return items.reshape(-1, *self.model.input_edge.shape)

    def _layers(self) -> dict[int, Weights]:
        rows = (self.model.table.rows[each.row] for each in self._states.depths)
        return {depth: weights_by_channel(row) for depth, row in enumerate(rows)}


class TableStates:
    """Runs a table in ONNX Runtime up to chosen depths."""

    def __init__(self, table: Table, chosen: Sequence[Depth]) -> None:
        self.depths = tuple(chosen)
        self._table = table
        self._sessions: dict[int, ort.InferenceSession | None] = {}

    def run(self, tensors: NDArray[Any], depth: int, shape: tuple[int, ...]) -> Floats:
        """Input tensors [n, ..] to states [n, places, width], where `shape` is [n, places]."""
        if depth not in self._sessions:
            self._sessions[depth] = self._session(self.depths[depth])
        runner = self._sessions[depth]
        if runner is None:  # nothing lies between the input and the layer
            return tensors.reshape(*shape, -1).astype(np.float32)
        parts = np.array_split(tensors, -(-len(tensors) // self._stacked(depth)))
        found = [self._one(runner, part) for part in parts]
        return np.concatenate(found).reshape(*shape, -1)

    def _one(self, runner: ort.InferenceSession, part: NDArray[Any]) -> Floats:
        stacked = part.reshape(-1, *part.shape[2:]).astype(np.float32)
        (states,) = runner.run(None, {"x0": stacked})
        return np.asarray(states, np.float32).reshape(len(part), -1)

    def _stacked(self, depth: int) -> int:
        return 1 if obstacles(self._table, self._shard(self.depths[depth])) else STACKED

    def _shard(self, depth: Depth) -> Shard:
        end = depth.value - len(self._table.inputs) + 1
        return Shard(0, end, (0,), (depth.value,))

    def _session(self, depth: Depth) -> ort.InferenceSession | None:
        shard = self._shard(depth)
        if shard.end <= 0:
            return None
        file = runtime_model(self._table, shard)
        return session(file if obstacles(self._table, shard) else with_open_axis(file))


def _test_rows(model: CompiledModel) -> Items:
    """The model's test rows, flat."""
    rows = model.test_rows().inputs
    if len(rows) < LEAST_ROWS:
        raise InvalidInput(
            f"{model.name} has {len(rows)} test rows; an audit needs {LEAST_ROWS} or more"
        )
    return rows.reshape(len(rows), -1).astype(np.int64)


def _halves(rows: Items) -> Text:
    half = len(rows) // 4 * 2
    return Text(rows[:half], rows[half:])


def is_text(model: CompiledModel) -> bool:
    """Whether the model reads token ids."""
    return isinstance(model.card, TensorCard) and model.card.tokens is not None


def entering(model: CompiledModel, most: int = DEPTHS) -> tuple[Depth, ...]:
    """What enters the layers of a model, each tensor once, at most `most` of them,
    evenly spaced.

    Of a model that reads text these are the tensors with one row of the embedding's width for each
    token.
    """
    found: dict[int, Depth] = {}
    for number, row in enumerate(model.table.rows):
        if row.opcode in (Opcode.LINEAR, Opcode.CONV) and _reads_states(model, row):
            found.setdefault(source(model.table, row.inputs[0]), Depth(number, row.inputs[0]))
    every = list(found.values())
    return tuple(every[:: -(-len(every) // most)])


def embedding(table: Table) -> Floats:
    """Rows of all tokens [vocabulary, width]: the embedding, or the sum of several that are added
    up before anything else happens."""
    ids = {0} | {
        table.output_of(number)
        for number, row in enumerate(table.rows)
        if row.opcode is Opcode.RESHAPE and row.inputs == (0,)
    }
    rows: dict[int, Floats] = {}
    for number, row in enumerate(table.rows):
        made = _embedded(row, ids, rows)
        if made is not None:
            rows[table.output_of(number)] = made
    return max(rows.items(), key=lambda each: (each[1].shape[1], each[0]))[1]


def _embedded(row: Row, ids: set[int], rows: Mapping[int, Floats]) -> Floats | None:
    if row.opcode is Opcode.EMBEDDING and row.inputs[0] in ids:
        return row.held(ParameterKind.WEIGHTS).astype(np.float32)
    if row.opcode is Opcode.ADD_RESCALE and set(row.inputs) <= rows.keys():
        factors = row.parameter(ParameterKind.MULTIPLIERS).astype(np.float32) / 128
        first, second = (rows[value] for value in row.inputs)
        summed: Floats = first * factors[0] + second * factors[1]
        return summed
    return None


def weights_by_channel(row: Row) -> Weights:
    """[rows, channels]: of a convolution, one row for each output channel and place of its
    window."""
    held = row.held(ParameterKind.WEIGHTS)
    if row.opcode is Opcode.LINEAR:
        return held
    window = row.attributes[4] * row.attributes[5]
    return held.reshape(len(held), -1, window).transpose(0, 2, 1).reshape(len(held) * window, -1)


def _reads_states(model: CompiledModel, row: Row) -> bool:
    """Constants are made by layers of one input; they are no states."""
    if row.opcode is Opcode.CONV or not is_text(model):
        return True
    width = row.held(ParameterKind.WEIGHTS).shape[1]
    elements = model.table.type_of(row.inputs[0]).elements
    return width > 1 and elements == width * model.input_edge.elements and width == _width(model)


def _width(model: CompiledModel) -> int:
    return max(
        row.held(ParameterKind.WEIGHTS).shape[1]
        for row in model.table.rows
        if row.opcode is Opcode.EMBEDDING
    )
