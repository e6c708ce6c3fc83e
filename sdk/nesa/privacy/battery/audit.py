"""All attacks that a view offers something to, one after the other."""

from __future__ import annotations

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
    not attacked as a cipher.
    """
    budget = budget or Budget()
    view = in_order(public, view, budget.requests)
    seen = activations(public, view)
    case = Case(public, view, secret, budget, seen, comparable(public, view))
    read = tuple(reading.plain(case))
    if any(found.recovery == 1 for found in read):
        view = replace(view, identifiers=None)
        case = replace(case, view=view)
    keys = case.keys()
    legible = dict(seen) | {
        depth: (view.states[depth] @ basis).astype(np.float32) for depth, basis in keys.items()
    }
    return (
        *read,
        *reading.by_states(case),
        *reading.by_products(case),
        *reading.by_weights(case, keys, legible),
        *reading.by_frequency(case),
        *reading.by_known_requests(case),
        *reading.by_inversion(case, legible),
        *telling.correlation(case),
        *telling.uniformity(case),
        *telling.lengths_and_repeats(case),
        *telling.linkage(case),
    )
