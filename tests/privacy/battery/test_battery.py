"""What the battery finds in each view of a toy transformer."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery.audit import Budget, audit
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.views import Hidden, Observer, Secret, View
from tests.privacy.battery import toy

DEPTHS = range(toy.LAYERS + 1)
BUDGET = Budget(requests=4, lessons=64, known=16)


@pytest.fixture(scope="module")
def plain():
    return toy.network()


@pytest.fixture(scope="module")
def public(plain):
    return toy.public(plain)


@pytest.fixture(scope="module")
def secret():
    """Requests of which every other pair begins with the same three words."""
    items = toy.sentences(400, 11)
    linked = np.random.default_rng(5).random(200) < 0.5
    items[1::2, :3] = np.where(linked[:, None], items[0::2, :3], items[1::2, :3])
    return Secret(items, linked, 3)


def member_view(plain, secret, hidden, observer):
    """What a miner of EQUIVARIANT holds: encrypted identifiers, transformed weights, states."""
    held, key = toy.under_key(plain, hidden)
    identifiers = key.words[secret.items]
    states = {depth: held.states(identifiers, depth).astype(np.float32) for depth in DEPTHS}
    layers = {depth: toy.folded(held, depth) for depth in range(toy.LAYERS)}
    return View(observer, hidden, identifiers, states, table=held.table, layers=layers)


def recoveries(findings, attack):
    return [found.recovery for found in findings if found.attack is attack]


def test_the_key_changes_no_state_but_by_its_basis(plain, secret):
    for hidden in (Hidden.CHANNELS, Hidden.BASIS):
        held, key = toy.under_key(plain, hidden)
        for depth in DEPTHS:
            turned = held.states(key.words[secret.items], depth) @ key.basis
            assert np.abs(turned - plain.states(secret.items, depth)).max() < 1e-9


@pytest.mark.parametrize("hidden", [Hidden.CHANNELS, Hidden.BASIS])
def test_naive_equivariance_over_public_weights_is_broken(plain, public, secret, hidden):
    """The negative control: if this fails, the attacks do not bite and no other figure counts."""
    observer = {
        Hidden.CHANNELS: Observer.PERMUTED_MEMBER,
        Hidden.BASIS: Observer.ROTATED_MEMBER,
    }[hidden]
    findings = audit(public, member_view(plain, secret, hidden, observer), secret, BUDGET)
    attack = Attack.T1 if hidden is Hidden.CHANNELS else Attack.T2
    for found in (attack, Attack.T3):
        assert min(recoveries(findings, found)) >= 0.98, [f for f in findings if f.attack is found]
