"""One view under attack: who knows what, what was seen, and how a guess is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery import (
    ciphers,
    dependence,
    traffic,
    weights,
)
from nesa.privacy.battery.findings import Attack, Finding, Measure, chance
from nesa.privacy.battery.nearest import directions, nearest
from nesa.privacy.battery.views import Floats, Hidden, Items, Public, Secret, View, Weights
from nesa.privacy.battery.vocabulary import Effort


@dataclass(frozen=True, slots=True)
class Budget:
    """What the dear attacks may use: requests that are matched at each depth, requests whose states
    are looked up or inverted, requests of the attacker's text that decoders learn from, requests
    whose content is known to it."""

    requests: int = 8
    inverted: int = 96
    lessons: int = 256
    known: int = 32
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """`activations` [k, places, width] are what is seen at each depth, of shares their directions;
    `comparable` is the public model in the same form."""

    public: Public
    view: View
    secret: Secret
    budget: Budget
    activations: Mapping[int, Floats]
    comparable: Public

    def read(self, guess: Items) -> tuple[float, int]:
        """Share of the counted items that a guess for the first requests has right, and of how
        many."""
        items = self.secret.items[: len(guess)]
        counted = self.public.counted(items)
        return float((guess == items)[counted].mean()), int(counted.sum())

    def finding(self, attack: Attack, guess: Items, tried: str, *, prior: bool = False) -> Finding:
        """How much of the first requests a guess has right. An attack with a prior knows which item
        is the most frequent; the others could do no more than draw one."""
        recovery, trials = self.read(guess)
        baseline = 1 / self.public.vocabulary
        if prior:
            blind = np.full_like(guess, self.most_frequent())
            baseline = max(baseline, self.read(blind)[0])
        measure = Measure.TOKENS if self.public.is_text else Measure.RECORDS
        lucky = max(baseline, self.luck(guess))
        slack = lucky + chance(lucky, trials) - baseline
        what = f"{tried}; {trials:,} {measure.value.split()[0]}"
        return Finding(attack, measure, recovery, baseline, slack, what)

    def luck(self, guess: Items) -> float:
        """What the guess has right on average for items that it was not made for: one that favours
        frequent items is right now and then."""
        items = self.secret.items[: len(guess)]
        counted = self.public.counted(items)
        truth, said, draws = items[counted], guess[counted], np.random.default_rng(0)
        right = [np.mean(draws.permutation(truth) == said) for _ in range(dependence.SHUFFLES)]
        return float(np.mean(right))

    def most_frequent(self) -> int:
        """The item that comes most often in the attacker's text."""
        text = self.public.text
        return traffic.most_frequent(text[self.public.counted(text)])

    def keys(self) -> dict[int, NDArray[np.float64]]:
        """The basis of each depth at which the view holds secret weights of a public model; that of
        the embedding at depths as wide where no layer tells it."""
        view, hidden = self.view, self.view.hidden
        if hidden is Hidden.NOTHING:
            return {}
        found = {
            depth: self._key(depth, weights.match_layer(self.public.layers[depth], secret, hidden))
            for depth, secret in view.layers.items()
            if depth in view.states
        }
        wanting = [depth for depth in view.states if depth not in found]
        if wanting and view.table is not None and self.public.table is not None:
            basis = self._table_key(self.public.table, view.table).basis
            found |= {d: basis for d in wanting if view.states[d].shape[-1] == len(basis)}
        return found

    def _table_key(self, public: Floats, held: Weights) -> weights.Key:
        some = np.arange(min(weights.COLUMNS_BY, len(held)))
        return weights.match_table(public, held, self.view.hidden, some)

    def _key(self, depth: int, basis: NDArray[np.float64]) -> NDArray[np.float64]:
        """A convolution's channels each stand for all of their pixels."""
        pixels = self.view.states[depth].shape[-1] // len(basis)
        return np.kron(basis, np.eye(pixels)) if pixels > 1 else basis


def in_order(public: Public, view: View, secret: Secret, budget: Budget) -> View:
    """The view with its places in the public order, which T3 finds by constants of each place or
    through the embedding; without public weights by the requests that are known."""
    identifiers = view.identifiers
    if not view.scattered or identifiers is None:
        return view
    if view.observer.knows_model:
        order = _by_weights(public, view, identifiers[: budget.requests])
    else:
        known = identifiers[: budget.known], secret.items[: budget.known]
        order = ciphers.in_places(*known, public.vocabulary)
    states = {depth: each[:, order] for depth, each in view.states.items()}
    return replace(view, identifiers=identifiers[:, order], states=states, scattered=False)


def _by_weights(public: Public, view: View, few: Items) -> Items:
    if public.constants is not None and view.constants is not None:
        order: Items = nearest(np.sort(public.constants), np.sort(view.constants))[:, 0]
        if len(set(order.tolist())) == len(order):
            return order
    assert public.table is not None
    assert view.table is not None
    key = weights.match_table(public.table, view.table, view.hidden, np.unique(few))
    return weights.match_places(public, key, view.hidden, few, view.states[0][: len(few)])


def activations(public: Public, view: View) -> dict[int, Floats]:
    """States by depth. The words of a share are read as signed numbers, of which the direction is
    taken: their magnitude says nothing."""
    signed = {depth: each.words().view(np.int32) for depth, each in view.shares.items()}
    return dict(view.states) | {depth: directions(each) for depth, each in signed.items()}


def comparable(public: Public, view: View) -> Public:
    """The public model as it is compared with what is seen: by directions where those are shares.

    By distance the items with the shortest states would be nearest to any share.
    """
    if not view.shares:
        return public
    return replace(public, states=lambda items, depth: directions(public.states(items, depth)))


def targets(public: Public, items: Items) -> Floats:
    """What a decoder learns to say: the embedding of a token, or the whole input of a record."""
    return public.states(items, 0) if public.table is None else public.table[items]


def rows_of(states: Floats) -> Floats:
    """[n, places, width] as [n * places, width]."""
    return states.reshape(-1, states.shape[-1])
