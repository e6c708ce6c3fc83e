"""Every attack notices a leak that is far from whole, and nothing where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nesa.privacy.battery import reading, telling
from nesa.privacy.battery.bounds import Claim, breaches, claim
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.shares import shares_of
from nesa.privacy.battery.views import Observer, Secret, View
from tests.privacy.battery import toy

REQUESTS, ALIKE, STEPS, SHORTEST = 1_000, 3, 64, 4
PADDING = toy.WORDS - 1
BUDGET = Budget(requests=32, lessons=64)

TRIED = {
    Attack.T0: reading.plain,
    Attack.T1: reading.by_states,
    Attack.T2: reading.by_products,
    Attack.T3: lambda case: reading.by_weights(case, {}, {}),
    Attack.T4: reading.by_frequency,
    Attack.T5: reading.by_known_requests,
    Attack.T6: lambda case: reading.by_inversion(case, dict(case.activations)),
    Attack.T7: telling.correlation,
    Attack.T8: telling.uniformity,
    Attack.T9: telling.lengths_and_repeats,
    Attack.T10: telling.linkage,
}

LEAKS = [
    (Attack.T0, "identifiers", 0.05),
    (Attack.T4, "cipher", 0.5),
    (Attack.T5, "cipher", 0.4),
    (Attack.T1, "bare states", 0.1),
    (Attack.T2, "bare states", 0.2),
    (Attack.T3, "bare states", 0.2),
    (Attack.T5, "bare states", 0.3),
    (Attack.T6, "bare states", 0.35),
    (Attack.T7, "bare states", 0.3),
    (Attack.T8, "bare states", 0.02),
    (Attack.T7, "tokens in a message", 0.15),
    (Attack.T8, "tokens in a message", 0.1),
    (Attack.T9, "lengths", 1 / 3),
    (Attack.T10, "equal messages", 0.1),
    (Attack.T10, "equal masks", 0.1),
    (Attack.T10, "nearly equal masks", 0.25),
    (Attack.T10, "nearly equal masks of all rounds", 0.25),
]
"""An attack, a leak and the share of what it could tell that it tells."""


@pytest.fixture(scope="module")
def public():
    plain = toy.public(toy.network())

    def states(items, depth):
        return np.rint(plain.states(items, depth) * STEPS)

    text = padded(toy.sentences(REQUESTS, 3), np.random.default_rng(6))
    return replace(plain, states=states, text=text, common=frozenset({PADDING}))


@pytest.fixture(scope="module")
def secret():
    """Texts of different lengths, of which every other pair begins with the same words."""
    items, draws = toy.sentences(REQUESTS, 11), np.random.default_rng(5)
    linked = draws.random(REQUESTS // 2) < 0.5
    items[1::2, :ALIKE] = np.where(linked[:, None], items[0::2, :ALIKE], items[1::2, :ALIKE])
    return Secret(padded(items, draws), ALIKE)


def padded(items, draws):
    lengths = draws.integers(SHORTEST, toy.PLACES + 1, len(items))
    return np.where(np.arange(toy.PLACES) >= lengths[:, None], PADDING, items)


def leaking(leak, part, public, items):
    """The view of an observer that is told as much, and noise besides."""
    draws = np.random.default_rng(8)
    told = draws.random(len(items)) < part
    match leak:
        case "identifiers" | "cipher":
            key = np.arange(toy.WORDS) if leak == "identifiers" else draws.permutation(toy.WORDS)
            noise = draws.integers(0, toy.WORDS, items.shape)
            held = np.where(draws.random(items.shape) < part, key[items], noise)
            return View(Observer.SEALED_OUTSIDER, identifiers=held)
        case "bare states":
            states = {depth: public.states(items[:160], depth) for depth in (0, 1)}
            masks = draws.integers(0, 2**32, (2, *states[0].shape))
            masks[:, told[:160]] = 0
            shares = {depth: shares_of(each, masks[depth]) for depth, each in states.items()}
            return View(Observer.SHARED_MEMBER, shares=shares)
        case "tokens in a message":
            message = draws.integers(0, 256, (len(items), toy.PLACES), np.uint8)
            message[told] = items[told] * 2
            return View(Observer.SEALED_OUTSIDER, messages={"input": rows(message)})
        case "lengths":
            lengths = (items != PADDING).sum(axis=1)
            noise = draws.integers(SHORTEST, toy.PLACES + 1, len(items))
            return View(Observer.SEALED_OUTSIDER, counts={"bytes": np.where(told, lengths, noise)})
        case "equal messages":
            message = draws.integers(0, 256, (len(items), 64), np.uint8)
            message[1::2][told[1::2], :16] = message[0::2][told[1::2], :16]
            return View(Observer.SEALED_OUTSIDER, messages={"input": rows(message)})
        case "equal masks" | "nearly equal masks":
            states = public.states(items, 0)
            masks = draws.integers(0, 2**32, states.shape)
            masks[1::2][told[1::2]] = masks[0::2][told[1::2]]
            if leak == "nearly equal masks":
                masks += draws.integers(0, 2**30, masks.shape)
            return View(Observer.SHARED_MEMBER, begun={0: shares_of(states, masks)})
        case "nearly equal masks of all rounds":
            states = public.states(items[:160], 0)
            masks = draws.integers(0, 2**32, (12, *states.shape))
            near = masks[:, 0::2] + draws.integers(0, 2**30, masks[:, 0::2].shape)
            masks[:, 1::2][:, told[1:160:2]] = near[:, told[1:160:2]]
            shares = {depth: shares_of(states, each) for depth, each in enumerate(masks)}
            return View(Observer.SHARED_MEMBER, shares=shares)
    raise AssertionError(leak)


def rows(message):
    return tuple(row.tobytes() for row in message)


def broken(attack, public, view, secret):
    """Findings of the attack beyond what the mode claims."""
    tried = tuple(TRIED[attack](toy.case(public, view, secret, BUDGET)))
    mine = [each for each in tried if each.attack is attack]
    assert mine, "nothing was tried"
    return breaches(view.observer, mine)


@pytest.mark.parametrize(("attack", "leak", "part"), LEAKS)
def test_a_leak_in_part_breaks_the_claim(public, secret, attack, leak, part):
    assert broken(attack, public, leaking(leak, part, public, secret.items), secret)


@pytest.mark.parametrize(("attack", "leak"), [each[:2] for each in LEAKS])
def test_noise_alone_breaks_no_claim(public, secret, attack, leak):
    assert not broken(attack, public, leaking(leak, 0.0, public, secret.items), secret)


def test_every_attack_that_a_mode_claims_chance_against_is_put_to_the_test():
    claimed = {
        attack
        for attack in Attack
        for observer in Observer
        if claim(observer, attack) is Claim.CHANCE
    }
    assert claimed == {attack for attack, *_ in LEAKS} == set(Attack)
