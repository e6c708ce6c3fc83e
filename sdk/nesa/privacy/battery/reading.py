"""T0 to T6: attacks that say what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery import (
    ciphers,
    dependence,
    inversion,
    perceptron,
    rotation,
    vocabulary,
    weights,
)
from nesa.privacy.battery.case import Case, rows_of, targets
from nesa.privacy.battery.findings import SIGMAS, Attack, Finding, Measure
from nesa.privacy.battery.nearest import directions, nearest
from nesa.privacy.battery.views import Floats, Hidden, Items, Public

Reader: TypeAlias = Callable[[Floats], Floats]
"""States [n, width] to what they are read as, [n, outputs]."""


def plain(case: Case) -> Iterator[Finding]:
    """Whoever holds identifiers that are not encrypted reads them."""
    if case.view.identifiers is not None:
        yield case.finding(Attack.T0, case.view.identifiers, "identifiers read as they are")


def by_states(case: Case) -> Iterator[Finding]:
    """T1 at every depth."""
    few, hidden = case.budget.requests, case.view.hidden
    sorting = Hidden.NOTHING if hidden is Hidden.NOTHING else Hidden.CHANNELS
    for depth, states in sorted(case.activations.items()):
        guess = vocabulary.match(
            case.comparable,
            states[:few],
            depth,
            sorting,
            effort=case.budget.effort,
            scattered=False,
        )
        how = "rows compared" if sorting is Hidden.NOTHING else "sorted rows compared"
        yield case.finding(Attack.T1, guess, f"depth {depth}: {how}")


def by_products(case: Case) -> Iterator[Finding]:
    """T2 where it works: at depth 0, and at every depth of a causal model."""
    public, few = case.comparable, case.budget.requests
    for depth, states in sorted(case.activations.items()):
        if public.causal or depth == 0 or public.places == 1:
            guess = rotation.match_products(case.comparable, states[:few], depth)
            yield case.finding(Attack.T2, guess, f"depth {depth}: inner products, then the basis")


def by_weights(
    case: Case, keys: dict[int, NDArray[np.float64]], legible: dict[int, Floats]
) -> Iterator[Finding]:
    """T3: identifiers through the embedding, states through the `keys` that layers gave away."""
    public, view = case.public, case.view
    if view.table is not None and public.table is not None and view.identifiers is not None:
        wanted = np.unique(view.identifiers)
        key = weights.match_table(public.table, view.table, view.hidden, wanted)
        how = f"rows of the embedding, {view.table.dtype}"
        yield case.finding(Attack.T3, key.items[view.identifiers], how)
    if public.table is not None and 0 in view.shares:
        rows = case.activations[0][: case.budget.requests]
        held, published = (
            np.sort(each, axis=-1) for each in (rows_of(rows), directions(public.table))
        )
        if held.shape[1] == published.shape[1]:
            guess = nearest(held, published)[:, 0].reshape(rows.shape[:2])
            yield case.finding(Attack.T3, guess, "rows of the embedding against those of shares")
    for depth in sorted(keys):
        guess = vocabulary.match(
            public,
            legible[depth][: case.budget.requests],
            depth,
            Hidden.NOTHING,
            effort=case.budget.effort,
            scattered=False,
        )
        yield case.finding(Attack.T3, guess, f"depth {depth}: weights give the key, then as T1")


def by_frequency(case: Case) -> Iterator[Finding]:
    """T4."""
    public, held = case.public, case.view.identifiers
    if held is None or not public.is_text:
        return
    for name, guess in (
        ("ranks of single tokens", ciphers.by_rank),
        ("ranks, then pairs of neighbours", ciphers.decipher),
    ):
        table = guess(held, public.text, public.vocabulary)
        tried = f"{name}, {held.size:,} identifiers"
        yield case.finding(Attack.T4, table[held], tried, prior=True)


def by_known_requests(case: Case) -> Iterator[Finding]:
    """The first requests are known; what they say is looked up in the others."""
    many, items = case.budget.known, case.secret.items
    held = case.view.identifiers
    if held is not None and len(held) > many:
        table = ciphers.crib(held[:many], items[:many], case.public.vocabulary)
        guess = items.copy()[: len(held)]
        guess[many:] = table[held[many:]]
        yield _unknown(case, guess, f"{many} known requests, identifiers looked up")
    for depth, states in sorted(case.activations.items()):
        seen = states[: many + case.budget.inverted]
        if len(seen) > many:
            guess = _looked_up(seen, items, many)
            yield _unknown(case, guess, f"depth {depth}: {many} known requests, nearest state")


def _looked_up(states: Floats, items: Items, many: int) -> Items:
    """Places are looked up among those of the known requests, every place with all of them."""
    width = states.shape[-1]
    known, rows = states[:many].reshape(-1, width), states[many:].reshape(-1, width)
    found = ciphers.look_up(known, items[:many].reshape(-1), rows)
    return np.concatenate([items[:many], found.reshape(-1, items.shape[1])])


def _unknown(case: Case, guess: Items, tried: str) -> Finding:
    """As `finding`, without the requests that were known."""
    return _later(case).finding(Attack.T5, guess[case.budget.known :], tried, prior=True)


def _later(case: Case) -> Case:
    """The case of the requests behind those that are known."""
    items = case.secret.items[case.budget.known :]
    return replace(case, secret=replace(case.secret, items=items))


def by_inversion(case: Case, legible: dict[int, Floats]) -> Iterator[Finding]:
    """T6 on states in which every key that layers gave away is undone."""
    for depth, states in sorted(legible.items()):
        seen = states[: case.budget.inverted]
        lessons = _lessons(case.public, case.budget.lessons, depth)
        readers: dict[str, Reader] = {
            "linear decoder": inversion.train(*lessons).read,
            "decoder with a hidden layer": perceptron.learn(*lessons).read,
        }
        if case.public.table is not None and seen.shape[-1] == case.public.table.shape[1]:
            readers["no training"] = lambda rows: rows
        for name, read in readers.items():
            yield _decoded(case, seen, read, f"depth {depth}: {name}")


def by_known_lessons(case: Case) -> Iterator[Finding]:
    """T6 without public weights: decoders that learn from the states of known requests. What they
    say of a token is its row in some public embedding."""
    many, later = case.budget.known, _later(case)
    items = case.secret.items[:many]
    counted = case.public.counted(items)
    for depth, states in sorted(case.activations.items()):
        decoder = inversion.train(states[:many][counted], targets(case.public, items)[counted])
        seen = states[many : many + case.budget.inverted]
        tried = f"depth {depth}: linear decoder of {many} known requests"
        yield _decoded(later, seen, decoder.read, tried)


def _lessons(public: Public, many: int, depth: int) -> tuple[Floats, Floats]:
    """States of the attacker's own text and what a decoder should say to them."""
    text = public.text[:many]
    counted = public.counted(text)
    return public.states(text, depth)[counted], targets(public, text)[counted]


def _decoded(case: Case, seen: Floats, read: Reader, tried: str) -> Finding:
    """What a decoder of rows [n, width] makes of states [k, places, width]."""
    table = case.public.table
    if table is None:
        return _explained(case, read(rows_of(seen)).reshape(*seen.shape[:2], -1), tried)
    counted = case.public.counted(case.secret.items[: len(seen)])
    guess = np.full(counted.shape, -1, np.int64)
    guess[counted] = inversion.nearest_directions(read(seen[counted]), table)
    return case.finding(Attack.T6, guess, tried, prior=True)


def _explained(case: Case, decoded: Floats, tried: str) -> Finding:
    truth = case.public.states(case.secret.items[: len(decoded)], 0)
    mean = case.public.states(case.public.text, 0).mean(axis=0)
    draws = np.random.default_rng(0)
    lucky = [
        inversion.explained(truth, draws.permutation(decoded), mean)
        for _ in range(dependence.SHUFFLES)
    ]
    slack = max(0.0, float(np.mean(lucky))) + SIGMAS * float(np.std(lucky)) + 1 / len(truth)
    recovery = max(0.0, inversion.explained(truth, decoded, mean))
    return Finding(Attack.T6, Measure.VARIANCE, recovery, 0.0, slack, tried)
