"""T7 to T10: what a view tells without being read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery import (
    dependence,
    inversion,
    traffic,
)
from nesa.privacy.battery.case import Case, targets
from nesa.privacy.battery.findings import SIGMAS, Attack, Finding, Measure, chance
from nesa.privacy.battery.views import Floats, Share

SAMPLE: Final = 400
"""Rows whose distances are correlated; the cost grows with the square."""
TIME_BINS: Final = 20
WORDS: Final = 2**18
"""Words of shares of which statistics are taken that have to be shuffled."""


def correlation(case: Case) -> Iterator[Finding]:
    """T7."""
    for depth, states in sorted(case.activations.items()):
        items = case.secret.items[: len(states)]
        counted = case.public.counted(items)
        inputs = targets(case.public, items)[counted][:SAMPLE]
        found = dependence.distance_correlation(inputs, states[counted][:SAMPLE])
        yield Finding(
            Attack.T7,
            Measure.CORRELATION,
            max(0.0, found.value),
            max(0.0, found.shuffled),
            SIGMAS * found.deviation,
            f"depth {depth}: what entered the model against what is seen, {len(inputs)} rows",
        )


def uniformity(case: Case) -> Iterator[Finding]:
    """T8, on shares and on sealed messages."""
    for depth, share in sorted(case.view.shares.items()):
        inputs, words = case.public.states(case.secret.items[: len(share)], depth), share.words
        yield _departure(share, f"depth {depth}")
        yield _information(words, inputs, f"depth {depth}")
        yield _halves(words, inputs, f"depth {depth}")
    if case.view.messages:
        joined = b"".join(case.view.messages)
        words = np.frombuffer(joined[: len(joined) // 4 * 4], "<u4").astype(np.uint32)
        yield _departure(Share.of_words(words), "messages")


def _departure(share: Share, where: str) -> Finding:
    digits = share.digits.reshape(len(share.digits), -1)
    found = dependence.uniformity(digits, share.width)
    seen = dependence.variation(digits[:, :WORDS], share.width)
    tried = f"{where}: chi-square {found.chi_square:+.1f} deviations, Kolmogorov-Smirnov "
    tried += f"{found.kolmogorov:.2f} of {digits.shape[1]:,} words"
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


def lengths_and_repeats(case: Case) -> Iterator[Finding]:
    """T9, where requests are text of different lengths."""
    view, public = case.view, case.public
    items = case.secret.items
    lengths = traffic.trailing(items)
    if not public.is_text or len(np.unique(lengths)) == 1:
        return
    proxies = {}
    if view.identifiers is not None:
        proxies["run of equal identifiers"] = traffic.trailing(view.identifiers)
    if view.masks is not None:
        proxies["masks that are handed over"] = view.masks
    if view.messages:
        proxies["bytes of the message"] = np.array([len(each) for each in view.messages])
    if view.seconds is not None:
        proxies["seconds"] = _steps(view.seconds, TIME_BINS)
    for name, numbers in proxies.items():
        yield _lengths(numbers, lengths[: len(numbers)], name)
    if view.identifiers is not None:
        counted = public.counted(items[: len(view.identifiers)])
        seen, blind, pairs = traffic.repeats_seen(view.identifiers, items, counted)
        slack = chance(blind, max(1, pairs))
        yield Finding(Attack.T9, Measure.REPEATS, seen, blind, slack, f"{pairs:,} pairs")


def _lengths(numbers: NDArray[Any], lengths: NDArray[np.int64], name: str) -> Finding:
    recovery = traffic.lengths_from(numbers, lengths)
    blind = traffic.lengths_from(np.zeros_like(lengths), lengths)
    slack = chance(blind, len(lengths) // 2)
    return Finding(Attack.T9, Measure.LENGTHS, recovery, blind, slack, name)


def linkage(case: Case) -> Iterator[Finding]:
    """T10, on whatever is seen of each pair."""
    first = int(np.flatnonzero(case.public.known < 0)[0])
    alike, view = case.secret.alike, case.view
    scores: dict[str, NDArray[np.float64]] = {}
    if view.identifiers is not None:
        scores["identifiers"] = traffic.equal_starts(view.identifiers[:, first:], alike)
    if view.messages:
        data = np.stack([np.frombuffer(each, np.uint8) for each in view.messages])
        scores["messages"] = traffic.equal_starts(data.astype(np.int64), data.shape[1])
    for depth, share in sorted(view.shares.items()):
        words = share.words
        flat = words[:, first : first + alike].reshape(len(words), -1)
        scores[f"depth {depth}, equal words"] = traffic.equal_starts(flat, flat.shape[1])
    for depth, states in sorted(case.activations.items()):
        scores[f"depth {depth}"] = traffic.likeness(states[:, first:], alike)
    for name, found in scores.items():
        linked = case.secret.linked[: len(found)]
        slack = chance(0.5, len(found) // 2)
        apart = traffic.told_apart(found, linked)
        yield Finding(Attack.T10, Measure.PAIRS, apart, 0.5, slack, f"{name}: {len(found)} pairs")
