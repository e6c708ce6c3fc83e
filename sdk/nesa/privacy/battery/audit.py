"""All attacks that a view offers something to, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery import (
    ciphers,
    dependence,
    inversion,
    rotation,
    traffic,
    vocabulary,
    weights,
)
from nesa.privacy.battery.findings import SIGMAS, Attack, Finding, Measure, chance
from nesa.privacy.battery.nearest import directions, nearest
from nesa.privacy.battery.views import Floats, Hidden, Items, Public, Secret, View
from nesa.privacy.battery.vocabulary import Effort

SAMPLE: Final = 400
"""Rows whose distances are correlated; the cost grows with the square."""
TIME_BINS: Final = 20
WORDS: Final = 2**18
"""Words of shares of which statistics are taken that have to be shuffled."""


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
class _Case:
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
        """The basis of each depth at which the view holds secret weights."""
        hidden, held = self.view.hidden, self.view.layers
        if hidden is Hidden.NOTHING:
            return {}
        return {
            depth: self._key(depth, weights.match_layer(self.public.layers[depth], secret, hidden))
            for depth, secret in sorted(held.items())
            if depth in self.view.states
        }

    def _key(self, depth: int, basis: NDArray[np.float64]) -> NDArray[np.float64]:
        """A convolution's channels each stand for all of their pixels."""
        pixels = self.view.states[depth].shape[-1] // len(basis)
        return np.kron(basis, np.eye(pixels)) if pixels > 1 else basis


def audit(
    public: Public, view: View, secret: Secret, budget: Budget | None = None
) -> tuple[Finding, ...]:
    """What every attack finds in the view; attacks that have nothing to work on are left out.

    Identifiers that can be read as they stand are not attacked as a cipher.
    """
    seen = _activations(public, view)
    case = _Case(public, view, secret, budget or Budget(), seen, _comparable(public, view))
    read = tuple(_reading(case))
    if any(found.recovery == 1 for found in read):
        view = replace(view, identifiers=None)
        case = replace(case, view=view)
    keys = case.keys()
    legible = dict(seen) | {
        depth: (view.states[depth] @ basis).astype(np.float32) for depth, basis in keys.items()
    }
    return (
        *read,
        *_matching(case),
        *_products(case),
        *_weights(case, keys, legible),
        *_ciphers(case),
        *_known(case),
        *_inversion(case, legible),
        *_correlation(case),
        *_uniformity(case),
        *_traffic(case),
        *_linkage(case),
    )


def _activations(public: Public, view: View) -> dict[int, Floats]:
    """States by depth. The words of a share are read as signed numbers, of which the direction is
    taken: their magnitude says nothing."""
    signed = {depth: words.view(np.int32) for depth, words in view.shares.items()}
    return dict(view.states) | {depth: directions(each) for depth, each in signed.items()}


def _comparable(public: Public, view: View) -> Public:
    """The public model as it is compared with what is seen: by directions where those are shares.

    By distance the items with the shortest states would be nearest to any share.
    """
    if not view.shares:
        return public
    return replace(public, states=lambda items, depth: directions(public.states(items, depth)))


def _reading(case: _Case) -> Iterator[Finding]:
    """Whoever holds identifiers that are not encrypted reads them."""
    if case.view.identifiers is not None:
        yield case.finding(Attack.T0, case.view.identifiers, "identifiers read as they are")


def _matching(case: _Case) -> Iterator[Finding]:
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


def _products(case: _Case) -> Iterator[Finding]:
    public, few = case.comparable, case.budget.requests
    for depth, states in sorted(case.activations.items()):
        if public.causal or depth == 0 or public.places == 1:
            guess = rotation.match_products(case.comparable, states[:few], depth)
            yield case.finding(Attack.T2, guess, f"depth {depth}: inner products, then the basis")


def _weights(
    case: _Case, keys: dict[int, NDArray[np.float64]], legible: dict[int, Floats]
) -> Iterator[Finding]:
    public, view = case.public, case.view
    if view.table is not None and public.table is not None and view.identifiers is not None:
        wanted = np.unique(view.identifiers)
        key = weights.match_table(public.table, view.table, view.hidden, wanted)
        how = f"rows of the embedding, {view.table.dtype}"
        yield case.finding(Attack.T3, key.items[view.identifiers], how)
    if public.table is not None and 0 in view.shares:
        rows = case.activations[0][: case.budget.requests]
        held, published = (
            np.sort(each, axis=-1) for each in (_rows(rows), directions(public.table))
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


def _ciphers(case: _Case) -> Iterator[Finding]:
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


def _known(case: _Case) -> Iterator[Finding]:
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


def _unknown(case: _Case, guess: Items, tried: str) -> Finding:
    """As `finding`, without the requests that were known."""
    many = case.budget.known
    later = replace(case, secret=replace(case.secret, items=case.secret.items[many : len(guess)]))
    return later.finding(Attack.T5, guess[many:], tried, prior=True)


def _inversion(case: _Case, legible: dict[int, Floats]) -> Iterator[Finding]:
    public, lessons = case.public, case.public.text[: case.budget.lessons]
    for depth, states in sorted(legible.items()):
        seen = states[: case.budget.inverted]
        decoder = inversion.train(
            _rows(public.states(lessons, depth)), _rows(_targets(public, lessons))
        )
        if public.table is None:
            decoded = decoder.read(_rows(seen)).reshape(*seen.shape[:2], -1)
            yield _explained(case, decoded, f"depth {depth}: trained decoder")
            continue
        counted = public.counted(case.secret.items[: len(seen)])
        rows = {"no training": seen[counted], "trained decoder": decoder.read(seen[counted])}
        for name, read in rows.items():
            if read.shape[1] == public.table.shape[1]:
                guess = np.full(counted.shape, -1, np.int64)
                guess[counted] = inversion.nearest_directions(read, public.table)
                yield case.finding(Attack.T6, guess, f"depth {depth}: {name}", prior=True)


def _targets(public: Public, items: Items) -> Floats:
    """What a decoder learns to say: the embedding of a token, or the whole input of a record."""
    return public.states(items, 0) if public.table is None else public.table[items]


def _explained(case: _Case, decoded: Floats, tried: str) -> Finding:
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


def _correlation(case: _Case) -> Iterator[Finding]:
    for depth, states in sorted(case.activations.items()):
        items = case.secret.items[: len(states)]
        counted = case.public.counted(items)
        inputs = _targets(case.public, items)[counted][:SAMPLE]
        found = dependence.distance_correlation(inputs, states[counted][:SAMPLE])
        yield Finding(
            Attack.T7,
            Measure.CORRELATION,
            max(0.0, found.value),
            max(0.0, found.shuffled),
            SIGMAS * found.deviation,
            f"depth {depth}: what entered the model against what is seen, {len(inputs)} rows",
        )


def _uniformity(case: _Case) -> Iterator[Finding]:
    for depth, words in sorted(case.view.shares.items()):
        inputs = case.public.states(case.secret.items[: len(words)], depth)
        yield _departure(words, f"depth {depth}")
        yield _information(words, inputs, f"depth {depth}")
        yield _halves(words, inputs, f"depth {depth}")
    if case.view.messages:
        joined = b"".join(case.view.messages)
        words = np.frombuffer(joined[: len(joined) // 4 * 4], "<u4").astype(np.uint32)
        yield _departure(words, "messages")


def _departure(words: NDArray[np.uint32], where: str) -> Finding:
    found = dependence.uniformity(words)
    seen = dependence.variation(words.reshape(-1)[:WORDS])
    tried = f"{where}: chi-square {found.chi_square:+.1f} deviations, Kolmogorov-Smirnov "
    tried += f"{found.kolmogorov:.2f} of {words.size:,} words"
    return Finding(
        Attack.T8,
        Measure.DEPARTURE,
        seen.value,
        seen.shuffled,
        SIGMAS * seen.deviation,
        tried,
    )


def _information(words: NDArray[np.uint32], inputs: Floats, where: str) -> Finding:
    """What the highest byte of a share tells of the number behind it, in parts of all there is to
    know of the number in 16 steps."""
    numbers = _steps(inputs.reshape(-1)[:WORDS], 16)
    found = dependence.mutual_information(words.reshape(-1)[:WORDS] >> 24, numbers)
    whole = dependence.mutual_information(numbers, numbers).value or 1.0
    return Finding(
        Attack.T8,
        Measure.INFORMATION,
        found.value / whole,
        found.shuffled / whole,
        SIGMAS * found.deviation / whole,
        f"{where}: highest byte against the number in {len(np.unique(numbers))} steps",
    )


def _halves(words: NDArray[np.uint32], inputs: Floats, where: str) -> Finding:
    """A classifier for each channel: is the number behind the share above its median?"""
    width = words.shape[-1]
    shares, numbers = words.reshape(-1, width), inputs.reshape(-1, inputs.shape[-1])
    high = (numbers > np.median(numbers, axis=0)).astype(np.float64)
    features = shares.view(np.int32).astype(np.float64) / 2**31
    half = len(shares) // 2
    decoder = inversion.train(features[:half], high[:half])
    told = (decoder.read(features[half:]) > 0.5) == (high[half:] > 0.5)
    share = max(high[half:].mean(), 1 - high[half:].mean())
    tried = f"{where}: linear classifiers, {half} known rows"
    return Finding(
        Attack.T8, Measure.BITS, float(told.mean()), share, chance(0.5, told.size // 8 + 1), tried
    )


def _steps(values: NDArray[Any], most: int) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[1:-1]))
    return np.searchsorted(edges, values)


def _traffic(case: _Case) -> Iterator[Finding]:
    view, public = case.view, case.public
    items = case.secret.items
    lengths = traffic.trailing(items)
    if not public.is_text or len(np.unique(lengths)) == 1:
        return
    proxies = {}
    if view.identifiers is not None:
        proxies["run of equal identifiers"] = traffic.trailing(view.identifiers)
    if view.messages:
        proxies["bytes of the message"] = np.array([len(each) for each in view.messages])
    if view.seconds is not None:
        proxies["seconds"] = _steps(view.seconds, TIME_BINS)
    for name, numbers in proxies.items():
        yield _lengths(numbers, lengths[: len(numbers)], name)
    if view.identifiers is not None:
        counted = public.counted(items[: len(view.identifiers)])
        seen = traffic.repeats_seen(view.identifiers, items, counted)
        yield Finding(Attack.T9, Measure.REPEATS, max(0.0, seen), 0.0, 0.01, "equal identifiers")


def _lengths(numbers: NDArray[Any], lengths: NDArray[np.int64], name: str) -> Finding:
    recovery = traffic.lengths_from(numbers, lengths)
    blind = traffic.lengths_from(np.zeros_like(lengths), lengths)
    slack = chance(blind, len(lengths) // 2)
    return Finding(Attack.T9, Measure.LENGTHS, recovery, blind, slack, name)


def _linkage(case: _Case) -> Iterator[Finding]:
    first = int(np.flatnonzero(case.public.known < 0)[0])
    alike, view = case.secret.alike, case.view
    scores: dict[str, NDArray[np.float64]] = {}
    if view.identifiers is not None:
        scores["identifiers"] = traffic.equal_starts(view.identifiers[:, first:], alike)
    if view.messages:
        data = np.stack([np.frombuffer(each, np.uint8) for each in view.messages])
        scores["messages"] = traffic.equal_starts(data.astype(np.int64), data.shape[1])
    for depth, words in sorted(view.shares.items()):
        flat = words[:, first : first + alike].reshape(len(words), -1)
        scores[f"depth {depth}, equal words"] = traffic.equal_starts(flat, flat.shape[1])
    for depth, states in sorted(case.activations.items()):
        scores[f"depth {depth}"] = traffic.likeness(states[:, first:], alike)
    for name, found in scores.items():
        linked = case.secret.linked[: len(found)]
        slack = chance(0.5, len(found) // 2)
        apart = traffic.told_apart(found, linked)
        yield Finding(Attack.T10, Measure.PAIRS, apart, 0.5, slack, f"{name}: {len(found)} pairs")


def _rows(states: Floats) -> Floats:
    return states.reshape(-1, states.shape[-1])
