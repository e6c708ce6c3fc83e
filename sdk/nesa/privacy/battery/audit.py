"""All attacks that a view offers something to, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nesa.privacy.battery import reading, telling
from nesa.privacy.battery.case import Budget, Case, activations, comparable, in_order
from nesa.privacy.battery.findings import Finding
from nesa.privacy.battery.views import Public, Secret, View


def audit(
    public: Public, view: View, secret: Secret, budget: Budget | None = None
) -> tuple[Finding, ...]:
    """What every attack finds in the view; attacks that have nothing to work on are left out.

    Places in a secret order are put in order first. Identifiers that can be read as they stand are
    not attacked as a cipher. Where the weights are private, attacks that compare with the public
    model are left out, and decoders learn from the requests that are known.
    """
    budget = budget or Budget()
    view = in_order(public, view, secret, budget)
    seen = activations(public, view)
    case = Case(public, view, secret, budget, seen, comparable(public, view))
    read = tuple(reading.plain(case))
    if any(found.recovery == 1 for found in read):
        view = replace(view, identifiers=None)
        case = replace(case, view=view)
    return (
        *read,
        *(_by_model(case) if view.observer.knows_model else ()),
        *reading.by_frequency(case),
        *reading.by_known_requests(case),
        *(() if view.observer.knows_model else reading.by_known_lessons(case)),
        *telling.correlation(case),
        *telling.uniformity(case),
        *telling.lengths_and_repeats(case),
        *telling.linkage(case),
    )


def _by_model(case: Case) -> Iterator[Finding]:
    """T1, T2, T3 and T6, which need the public model."""
    keys, states = case.keys(), case.view.states
    legible = dict(case.activations) | {
        depth: (states[depth] @ basis).astype(np.float32) for depth, basis in keys.items()
    }
    yield from reading.by_states(case)
    yield from reading.by_products(case)
    yield from reading.by_weights(case, keys, legible)
    yield from reading.by_inversion(case, legible)
