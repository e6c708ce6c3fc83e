"""T7 to T10: what a view tells without being read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from nesa.privacy.battery.shares import Shares
from nesa.privacy.battery.views import Floats

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
    masks = dict[int, NDArray[np.uint64]]()
    for depth, shares in sorted(case.view.shares.items()):
        inputs = case.public.states(case.secret.items[: len(shares)], depth)
        masks[depth] = shares.masks(inputs)
        where, width = f"depth {depth}", shares.written.width
        yield _departure(shares.digits.reshape(len(shares.digits), -1), width, where)
        yield _information(shares, inputs, where)
        yield _bits(shares, inputs, where)
        yield _halves(shares, inputs, where)
        yield _neighbours(masks[depth], shares.bits, where)
    yield from _repeated(masks)
    if case.view.messages:
        joined = b"".join(case.view.messages)
        data = np.frombuffer(joined[: len(joined) // 4 * 4], np.uint8)
        yield _departure(data.reshape(-1, 4).T, 8, "messages")


def _departure(digits: NDArray[np.uint8], width: int, where: str) -> Finding:
    found = dependence.uniformity(digits, width)
    seen = dependence.variation(digits[:, : WORDS // len(digits)], width)
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


def _information(shares: Shares, inputs: Floats, where: str) -> Finding:
    """What the most telling digit of a share tells of the number behind it, in parts of all there
    is to know of the number in 16 steps."""
    numbers = _steps(inputs.reshape(-1)[:WORDS], 16)
    columns = shares.digits.reshape(len(shares.digits), -1)[:, :WORDS]
    found = max(
        (dependence.mutual_information(column, numbers) for column in columns),
        key=lambda one: (one.value - one.shuffled) / (one.deviation or 1.0),
    )
    whole = dependence.mutual_information(numbers, numbers).value or 1.0
    return Finding(
        Attack.T8,
        Measure.INFORMATION,
        found.value / whole,
        found.shuffled / whole,
        (SIGMAS + 1) * found.deviation / whole,
        f"{where}: each digit against the number in {len(np.unique(numbers))} steps",
    )


def _bits(shares: Shares, inputs: Floats, where: str) -> Finding:
    """Each bit of a share against that of the number: a bit that no mask hides is the same, or
    never the same, more often than by chance."""
    plain = shares.written.split(inputs.astype(np.int64))
    count = shares.digits[0].size
    agree = [
        float(np.mean((shares.digits ^ plain)[place] >> bit & 1))
        for place in range(len(plain))
        for bit in range(shares.written.width)
    ]
    worst = max(max(each, 1 - each) for each in agree)
    slack = (SIGMAS + 1) * 0.5 / np.sqrt(count)
    tried = f"{where}: {len(agree)} bits of {count:,} shares against those of the numbers"
    return Finding(Attack.T8, Measure.AGREEMENT, worst, 0.5, float(slack), tried)


def _neighbours(masks: NDArray[np.uint64], bits: int, where: str) -> Finding:
    """How often a mask is that of the next request, place or channel."""
    same = [
        np.mean(np.diff(masks.astype(np.int64), axis=axis) == 0)
        for axis in range(masks.ndim)
        if masks.shape[axis] > 1
    ]
    blind = 2.0**-bits
    slack = SIGMAS * np.sqrt(blind / masks.size) + SIGMAS / masks.size
    tried = f"{where}: masks of neighbours, {masks.size:,} of {bits} bits"
    return Finding(Attack.T8, Measure.REUSED, float(max(same, default=0.0)), blind, slack, tried)


def _repeated(masks: Mapping[int, NDArray[np.uint64]]) -> Iterator[Finding]:
    """How many rows of masks stand anywhere else too: at another depth, place or request. Who sees
    two shares under one mask has the difference of what they hide."""
    by_width = dict[int, list[NDArray[np.uint64]]]()
    for each in masks.values():
        by_width.setdefault(each.shape[-1], []).append(each.reshape(-1, each.shape[-1]))
    for width, found in sorted(by_width.items()):
        rows = np.concatenate(found)
        _, counts = np.unique(rows, axis=0, return_counts=True)
        share = float(counts[counts > 1].sum() / len(rows))
        tried = f"all depths: {len(rows):,} rows of {width} masks"
        yield Finding(Attack.T8, Measure.REUSED, share, 0.0, 1 / len(rows), tried)


def _halves(shares: Shares, inputs: Floats, where: str) -> Finding:
    """A classifier for each channel: is the number behind the share above its median?"""
    words = shares.words()
    numbers = inputs.reshape(-1, inputs.shape[-1])
    high = (numbers > np.median(numbers, axis=0)).astype(np.float64)
    features = words.view(np.int32).reshape(len(numbers), -1).astype(np.float64) / 2**31
    half = len(features) // 2
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
    if view.sizes is not None:
        proxies["bytes of all messages"] = view.sizes
    if view.seconds is not None:
        proxies["seconds"] = _steps(view.seconds, TIME_BINS)
    for name, numbers in proxies.items():
        yield _lengths(numbers, lengths[: len(numbers)], name)
    if view.identifiers is not None:
        plain = items[: len(view.identifiers)]
        seen, blind, pairs = traffic.repeats_seen(view.identifiers, plain, public.counted(plain))
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
    for depth, shares in sorted(view.shares.items()):
        flat = shares.words()[:, first : first + alike].reshape(len(shares), -1)
        scores[f"depth {depth}, equal words"] = traffic.equal_starts(flat, flat.shape[1])
    for depth, states in sorted(case.activations.items()):
        scores[f"depth {depth}"] = traffic.likeness(states[:, first:], alike)
    for name, found in scores.items():
        linked = case.secret.linked[: len(found)]
        slack = chance(0.5, len(found) // 2)
        apart = traffic.told_apart(found, linked)
        yield Finding(Attack.T10, Measure.PAIRS, apart, 0.5, slack, f"{name}: {len(found)} pairs")
