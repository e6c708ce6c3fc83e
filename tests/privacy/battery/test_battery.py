"""What the battery finds in each view of a toy transformer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nesa.privacy.battery import telling, vocabulary, weights
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.bounds import breaches
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.shares import shares_of
from nesa.privacy.battery.views import Hidden, Observer, Secret, View
from nesa.privacy.battery.vocabulary import Effort
from tests.privacy.battery import toy

DEPTHS = range(toy.LAYERS + 1)
BUDGET = Budget(requests=2, lessons=64, known=16)
STEPS = 64
"""Integers of a state's unit, to share it."""


@pytest.fixture(scope="module")
def plain():
    return toy.network()


@pytest.fixture(scope="module")
def public(plain):
    return toy.public(plain)


@pytest.fixture(scope="module")
def whole(public):
    """The same model, whose states are the integers that are shared."""
    return replace(public, states=lambda items, depth: np.rint(public.states(items, depth) * STEPS))


@pytest.fixture(scope="module")
def secret():
    """Requests of which every other pair begins with the same three words."""
    items = toy.sentences(240, 11)
    linked = np.random.default_rng(5).random(120) < 0.5
    items[1::2, :3] = np.where(linked[:, None], items[0::2, :3], items[1::2, :3])
    return Secret(items, 3)


@pytest.fixture(scope="module")
def states(plain, secret):
    return {depth: plain.states(secret.items, depth).astype(np.float32) for depth in DEPTHS}


def member_view(plain, secret, hidden, observer):
    """What a miner of EQUIVARIANT holds: encrypted identifiers, transformed weights, states."""
    held, key = toy.under_key(plain, hidden)
    identifiers = key.words[secret.items]
    states = {depth: held.states(identifiers, depth).astype(np.float32) for depth in DEPTHS}
    layers = {depth: toy.folded(held, depth) for depth in range(toy.LAYERS)}
    return View(observer, hidden, identifiers, states, table=held.table, layers=layers)


def recoveries(findings, attack):
    return [found.recovery for found in findings if found.attack is attack]


def shared(states, seed):
    draws = np.random.default_rng(seed)
    return {
        depth: shares_of(np.rint(each * STEPS), draws.integers(0, 2**32, each.shape))
        for depth, each in states.items()
    }


def test_the_key_changes_no_state_but_by_its_basis(plain, secret):
    for hidden in (Hidden.CHANNELS, Hidden.BASIS):
        held, key = toy.under_key(plain, hidden)
        for depth in DEPTHS:
            turned = held.states(key.words[secret.items], depth) @ key.basis
            assert np.abs(turned - plain.states(secret.items, depth)).max() < 1e-9


@pytest.mark.parametrize(
    ("observer", "hidden", "attack"),
    [
        (Observer.PERMUTED_MEMBER, Hidden.CHANNELS, Attack.T1),
        (Observer.ROTATED_MEMBER, Hidden.BASIS, Attack.T2),
    ],
)
def test_naive_equivariance_over_public_weights_is_broken(
    plain, public, secret, observer, hidden, attack
):
    """The negative control: if this fails, the attacks do not bite and no other figure counts."""
    findings = audit(public, member_view(plain, secret, hidden, observer), secret, BUDGET)
    for one in (attack, Attack.T3):
        assert min(recoveries(findings, one)) >= 0.98
    assert max(recoveries(findings, Attack.T0)) < 0.05
    assert max(recoveries(findings, Attack.T10)) == 1.0


def test_each_layer_alone_gives_the_key_away(plain, public):
    """A node in the middle holds no embedding; it needs none."""
    for hidden in (Hidden.CHANNELS, Hidden.BASIS):
        held, key = toy.under_key(plain, hidden)
        for depth in range(toy.LAYERS):
            basis = weights.match_layer(public.layers[depth], toy.folded(held, depth), hidden)
            assert np.allclose(basis, key.basis, atol=1e-6)


@pytest.mark.parametrize("hidden", [Hidden.CHANNELS, Hidden.BASIS])
@pytest.mark.parametrize("stored", ["float16", "int8"])
def test_rounding_the_table_hides_no_row(plain, public, hidden, stored):
    held, key = toy.under_key(plain, hidden)
    step = np.abs(held.table).max() / 127
    rounded = (
        held.table.astype(np.float16)
        if stored == "float16"
        else np.rint(held.table / step).astype(np.int8)
    )
    found = weights.match_table(public.table, rounded, hidden, np.arange(toy.WORDS))
    assert np.mean(found.items[key.words] == np.arange(toy.WORDS)) >= 0.95


@pytest.mark.parametrize("hidden", [Hidden.NOTHING, Hidden.CHANNELS])
@pytest.mark.parametrize("scattered", [False, True])
def test_states_name_their_prompt_in_whatever_order(public, states, secret, hidden, scattered):
    """The four variants of the vocabulary matching attack: none, S, D and SD."""
    draws = np.random.default_rng(2)
    for depth in (1, toy.LAYERS):
        seen = states[depth][:2]
        if hidden is Hidden.CHANNELS:
            seen = seen[..., draws.permutation(toy.WIDTH)]
        if scattered:
            seen = seen[:, draws.permutation(toy.PLACES)]
        guess = vocabulary.match(public, seen, depth, hidden, effort=Effort(), scattered=scattered)
        assert np.mean(guess == secret.items[:2]) >= 0.9


def test_what_a_split_hands_over_is_read(public, states, secret):
    findings = audit(public, View(Observer.SPLIT_MEMBER, states=states), secret, BUDGET)
    assert min(recoveries(findings, Attack.T1)) >= 0.98
    assert max(recoveries(findings, Attack.T6)) >= 0.95


def test_one_share_tells_no_more_than_guessing(whole, states, secret):
    view = View(Observer.SHARED_MEMBER, shares=shared(states, 8))
    findings = audit(whole, view, secret, BUDGET)
    attacks = {found.attack for found in findings}
    assert attacks >= {Attack.T1, Attack.T2, Attack.T5, Attack.T6, Attack.T7, Attack.T8, Attack.T10}
    assert breaches(Observer.SHARED_MEMBER, findings) == ()


def test_two_groups_that_collude_read_everything(public, states, secret):
    """The claim is for one group; the battery shows what it rests on."""
    whole = {depth: np.rint(each * STEPS) for depth, each in states.items()}
    ours = shared(states, 8)
    theirs = {depth: shares_of(each, ours[depth].elements()) for depth, each in whole.items()}
    added = {depth: ours[depth].added(theirs[depth]) / STEPS for depth in ours}
    view = View(
        Observer.SHARED_COLLUDING, states={d: e.astype(np.float32) for d, e in added.items()}
    )
    assert min(recoveries(audit(public, view, secret, BUDGET), Attack.T1)) >= 0.9


FAULTS = {
    "a mask of 31 bits": Attack.T8,
    "the lowest bit bare": Attack.T8,
    "one mask for all requests": Attack.T10,
    "one mask for two requests far apart": Attack.T8,
    "one mask for all depths": Attack.T8,
    "one mask for two places": Attack.T8,
    "one mask for all channels": Attack.T8,
    "a request in twenty bare": Attack.T8,
    "two channels bare": Attack.T8,
}


def faulty(fault, depth, shape):
    """Masks of a client that makes this mistake."""
    mask = np.random.default_rng(depth).integers(0, 2**32, shape)
    match fault:
        case "a mask of 31 bits":
            mask %= 2**31
        case "the lowest bit bare":
            mask &= ~np.int64(1)
        case "one mask for all requests":
            mask[:] = mask[0]
        case "one mask for two requests far apart":
            mask[-1] = mask[0]
        case "one mask for all depths":
            mask = np.random.default_rng(0).integers(0, 2**32, shape)
        case "one mask for two places":
            mask[:, 3] = mask[:, 0]
        case "one mask for all channels":
            mask[:] = mask[..., :1]
        case "a request in twenty bare":
            mask[::20] = 0
        case "two channels bare":
            mask[..., :2] = 0
    return mask


@pytest.mark.parametrize("fault", FAULTS)
def test_shares_that_are_not_uniform_are_noticed(whole, states, secret, fault):
    """The bound is a test: a mode that leaks more than it claims fails it."""
    shares = {
        depth: shares_of(np.rint(states[depth] * STEPS), faulty(fault, depth, states[depth].shape))
        for depth in (0, 1)
    }
    view = View(Observer.SHARED_MEMBER, shares=shares)
    case = toy.case(whole, view, secret, BUDGET)
    findings = [*telling.uniformity(case), *telling.linkage(case)]
    found = breaches(Observer.SHARED_MEMBER, findings)
    assert FAULTS[fault] in {each.attack for each in found}


@pytest.mark.parametrize("held", [240, 100])
def test_a_length_shows_where_padding_is_encrypted_to_one_identifier(public, secret, held):
    """Also to whoever holds the identifiers of the first requests only."""
    items = secret.items.copy()
    lengths = np.random.default_rng(4).integers(3, toy.PLACES, len(items))
    items[np.arange(toy.PLACES) >= lengths[:, None]] = toy.WORDS - 1
    padded = replace(public, common=frozenset({toy.WORDS - 1}))
    key = np.random.default_rng(5).permutation(toy.WORDS)
    view = View(Observer.PERMUTED_MEMBER, Hidden.CHANNELS, identifiers=key[items[:held]])
    findings = audit(padded, view, replace(secret, items=items), BUDGET)
    assert min(recoveries(findings, Attack.T9)) >= 0.98
