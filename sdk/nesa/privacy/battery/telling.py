"""T7 to T10: what a view tells without being read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from nesa.privacy.battery.nearest import directions
from nesa.privacy.battery.shares import Shares
from nesa.privacy.battery.views import Floats, View

SAMPLE: Final = 600
"""Rows whose distances are correlated; the cost grows with the square."""
COMPARED: Final = 4096
"""Bytes of a message whose distances are correlated."""
TIME_BINS: Final = 20
WORDS: Final = 2**18
"""Words of shares of which statistics are taken that have to be shuffled."""


def correlation(case: Case) -> Iterator[Finding]:
    """T7, of each place with what is seen of it, and of whole requests with their messages."""
    seen = {f"depth {depth}": states for depth, states in sorted(case.activations.items())}
    for depth, shares in sorted(case.view.begun.items()):
        signed = Shares(shares.digits[:, :SAMPLE], shares.written).words().view(np.int32)
        seen[f"depth {depth} of requests that were begun"] = directions(signed)
    for name, states in seen.items():
        items = case.secret.items[: len(states)]
        counted = case.public.counted(items)
        inputs = targets(case.public, items)[counted][:SAMPLE]
        yield _correlated(inputs, states[counted][:SAMPLE], name)
    for name, messages in case.view.messages.items():
        bytes_ = _rectangle([each[:COMPARED] for each in messages[:SAMPLE]])
        inputs = targets(case.public, case.secret.items[: len(bytes_)])
        yield _correlated(inputs.reshape(len(bytes_), -1), bytes_, name)


def _correlated(inputs: NDArray[Any], seen: NDArray[Any], where: str) -> Finding:
    found = dependence.distance_correlation(inputs, seen)
    return Finding(
        Attack.T7,
        Measure.CORRELATION,
        max(0.0, found.value),
        max(0.0, found.shuffled),
        SIGMAS * found.deviation,
        f"{where}: what entered the model against what is seen, {len(inputs)} rows",
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
    for name, messages in case.view.messages.items():
        data = np.frombuffer(b"".join(messages), np.uint8)
        taken = min(len(data) // 4, WORDS) * 4
        yield _departure(data[:taken].reshape(-1, 4).T, 8, name)


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


def _rectangle(messages: Sequence[bytes]) -> NDArray[np.uint8]:
    """The bytes [k, length] of messages up to the length of the shortest."""
    length = min(map(len, messages))
    return np.stack([np.frombuffer(each[:length], np.uint8) for each in messages])


def lengths_and_repeats(case: Case) -> Iterator[Finding]:
    """T9: how long a text is, or which record was asked about, by whatever can be counted."""
    view, public = case.view, case.public
    items, proxies = case.secret.items, _counted(case)
    if not public.is_text:
        for name, numbers in proxies.items():
            yield _told(Measure.RECORDS, numbers, items[: len(numbers), 0], name)
        return
    lengths = traffic.trailing(items)
    if len(np.unique(lengths)) == 1:
        return
    for name, numbers in proxies.items():
        yield _told(Measure.LENGTHS, numbers, lengths[: len(numbers)], name)
    if view.identifiers is not None:
        plain = items[: len(view.identifiers)]
        seen, blind, pairs = traffic.repeats_seen(view.identifiers, plain, public.counted(plain))
        slack = chance(blind, max(1, pairs))
        yield Finding(Attack.T9, Measure.REPEATS, seen, blind, slack, f"{pairs:,} pairs")


def _counted(case: Case) -> dict[str, NDArray[Any]]:
    """By their names numbers [k] that may hang on a request."""
    view, found = case.view, dict[str, NDArray[Any]]()
    if case.public.is_text and view.identifiers is not None:
        found["run of equal identifiers"] = traffic.trailing(view.identifiers)
    if view.masks is not None:
        found["masks that are handed over"] = view.masks
    for name, messages in view.messages.items():
        found[f"bytes: {name}"] = np.array([len(each) for each in messages])
    found |= view.counts
    if view.seconds is not None:
        found["seconds"] = _steps(view.seconds, TIME_BINS)
    return found


def _told(measure: Measure, numbers: NDArray[Any], sought: NDArray[np.int64], name: str) -> Finding:
    recovery = traffic.told_by(numbers, sought)
    blind = traffic.told_by(np.zeros_like(sought), sought)
    slack = chance(blind, len(sought))
    return Finding(Attack.T9, measure, recovery, blind, slack, name)


def linkage(case: Case) -> Iterator[Finding]:
    """T10, on whatever is seen of each pair, and on all rounds of SHARED together."""
    alike, found = _alike(case), dict[str, traffic.Linkage]()
    for name, (requests, compare) in _comparable(case, alike).items():
        whole = len(requests) // 2 * 2
        told = traffic.told_apart(requests[:whole], case.secret.items[:whole, alike], compare)
        if told is not None:
            found[name] = told
            yield _linked(name, told)
    rounds = [found[name] for name in _rounds(case.view) if name in found]
    if len(rounds) > 1:
        yield _linked("all rounds together", traffic.together(rounds))


def _linked(name: str, told: traffic.Linkage) -> Finding:
    slack = SIGMAS * told.deviation + 1 / told.alike
    tried = f"{name}: {told.alike:,} linked pairs among {told.alike + told.others:,}"
    return Finding(Attack.T10, Measure.PAIRS, told.told, 0.5, slack, tried)


def _rounds(view: View) -> list[str]:
    """Names of what was sent of requests on shares that were asked to the end: each product has
    masks of its own."""
    asked = {len(shares) for shares in view.shares.values()}
    others = [name for name, messages in view.messages.items() if len(messages) in asked]
    return [f"depth {depth}" for depth in sorted(view.shares)] + others


def _alike(case: Case) -> slice:
    """Places in which linked requests are alike, which the attacker knows."""
    first = int(np.flatnonzero(case.public.known < 0)[0])
    return slice(first, first + case.secret.alike)


def _comparable(case: Case, alike: slice) -> dict[str, tuple[NDArray[Any], traffic.Compare]]:
    """By their names what is seen of requests, [n, ..], and how two are compared: in the places
    `alike` where it is known which those are."""
    view = case.view
    found = dict[str, tuple[NDArray[Any], traffic.Compare]]()
    if view.identifiers is not None:
        found["identifiers"] = view.identifiers[:, alike], traffic.equality
    for name, messages in view.messages.items():
        found[name] = _rectangle(messages), traffic.equality
    for name, shares in _named_shares(case):
        words = shares.words()[:, alike]
        found[f"{name}, equal words"] = words.reshape(len(words), -1), traffic.equality
        found[name] = directions(words.view(np.int32)), traffic.likeness
    for depth, states in sorted(view.states.items()):
        found[f"depth {depth}"] = directions(states[:, alike]), traffic.likeness
    return found


def _named_shares(case: Case) -> Iterator[tuple[str, Shares]]:
    for depth, shares in sorted(case.view.shares.items()):
        yield f"depth {depth}", shares
    for depth, shares in sorted(case.view.begun.items()):
        yield f"depth {depth} of requests that were begun", shares
