"""Where to cut: the largest shard as small as can be, then as few bytes as can be on boundaries."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from nesa.models.onnx_graphs.graph import CuttableGraph
from nesa.protocol.errors import InvalidModel
from nesa.protocol.versions import MAX_SHARDS

NO_DIMS: Final[Mapping[str, int]] = {}


def plan(graph: CuttableGraph, shards: int, dims: Mapping[str, int] = NO_DIMS) -> tuple[int, ...]:
    """Steps in front of which further shards begin; `dims` gives sizes to named dimensions.

    A weight that several shards read counts in each of them, once.

    Raises:
        InvalidModel: there are not enough places to cut at.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise InvalidModel(f"a graph is cut into 1 to {MAX_SHARDS} shards, not {shards}")
    legal = graph.legal_positions
    if len(legal) < shards - 1:
        raise InvalidModel(
            f"the graph can be cut at {len(legal)} places, too few for {shards} shards; "
            "half precision, sequences and tensors of unknown type cannot cross"
        )
    places = (0, *legal, len(graph.steps))
    pieces = [
        frozenset[str]().union(*(step.weights for step in graph.steps[first:end]))
        for first, end in pairwise(places)
    ]
    crossing = graph.boundary_bytes(dims)
    boundaries = [crossing[place] for place in places[:-1]]
    return tuple(places[cut] for cut in best_cuts(pieces, graph.sizes, boundaries, shards))


def legal_cuts(graph: CuttableGraph, places: Sequence[int]) -> tuple[int, ...]:
    """`places` when shards may begin in front of these steps.

    Raises:
        InvalidModel: too many, not ascending, or one where the graph cannot be cut.
    """
    if len(places) >= MAX_SHARDS:
        raise InvalidModel(f"a graph is cut into 1 to {MAX_SHARDS} shards, not {len(places) + 1}")
    if any(first >= second for first, second in pairwise(places)):
        raise InvalidModel("the places of a cut must ascend")
    legal = graph.legal_positions
    for place in places:
        if place not in legal:
            near = min(legal, key=lambda other: abs(other - place), default=None)
            advice = "it cannot be cut at all" if near is None else f"the nearest place is {near}"
            raise InvalidModel(f"the graph cannot be cut in front of step {place}; {advice}")
    return tuple(places)


def best_cuts(
    pieces: Sequence[frozenset[str]],
    sizes: Mapping[str, int],
    boundaries: Sequence[int],
    shards: int,
) -> tuple[int, ...]:
    """Which pieces begin a further shard; of equal cuts the earliest.

    `pieces` are the weights of parts that stay whole, `sizes` their bytes, and `boundaries` the
    bytes in front of each piece. There are at least as many pieces as shards.
    """
    starts = _first_starts(pieces, sizes, _least_limit(pieces, sizes, shards))
    costs: list[float] = [0.0, *[float("inf")] * len(pieces)]
    choices: list[list[int]] = []
    for number in range(shards):
        before = [
            cost + (boundaries[place] if number else 0) for place, cost in enumerate(costs[:-1])
        ]
        chosen = _cheapest(before, starts)
        costs = [float("inf"), *(before[place] for place in chosen)]
        choices.append([0, *chosen])
    cuts, end = [], len(pieces)
    for chosen in reversed(choices):
        end = chosen[end]
        cuts.append(end)
    return tuple(reversed(cuts[:-1]))


def _least_limit(pieces: Sequence[frozenset[str]], sizes: Mapping[str, int], shards: int) -> int:
    """Least bytes that the largest of `shards` shards can have."""
    low = max(sum(sizes[name] for name in piece) for piece in pieces)
    high = sum(sizes[name] for name in frozenset[str]().union(*pieces))
    while low < high:
        middle = (low + high) // 2
        if _fewest_shards(_first_starts(pieces, sizes, middle)) <= shards:
            high = middle
        else:
            low = middle + 1
    return low


def _fewest_shards(starts: Sequence[int]) -> int:
    count, end = 0, len(starts)
    while end > 0:
        end = starts[end - 1]
        count += 1
    return count


def _first_starts(
    pieces: Sequence[frozenset[str]], sizes: Mapping[str, int], limit: int
) -> list[int]:
    """For each piece the first that still fits into one shard with it and all between."""
    uses: Counter[str] = Counter()
    start, total, starts = 0, 0, []
    for end, piece in enumerate(pieces):
        total += sum(sizes[name] for name in piece if uses[name] == 0)
        uses.update(piece)
        while total > limit and start < end:
            uses.subtract(pieces[start])
            total -= sum(sizes[name] for name in pieces[start] if uses[name] == 0)
            start += 1
        starts.append(start)
    return starts


def _cheapest(costs: Sequence[float], starts: Sequence[int]) -> list[int]:
    """For each end the place with the least cost from its first start on; the earliest of equals.

    First starts never descend, so a window that slides over the costs finds all of them.
    """
    window: deque[int] = deque()
    found = []
    for place, (cost, start) in enumerate(zip(costs, starts, strict=True)):
        while window and costs[window[-1]] > cost:
            window.pop()
        window.append(place)
        while window[0] < start:
            window.popleft()
        found.append(window[0])
    return found
