"""A very small causal transformer with made-up public weights, and it under a key made here.

RMSNorm, rotary positions, grouped heads, a gated layer. The key permutes the vocabulary and
permutes or rotates the residual stream, which tries the attacks one by one; what a key of the
product hides is tried in test_float_graphs and test_compiled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nesa.privacy.battery.case import Budget, Case, activations, comparable
from nesa.privacy.battery.views import Hidden, Public, Secret, View

WIDTH, HEADS, GROUPS, HEAD, INNER, WORDS, LAYERS, PLACES = 32, 4, 2, 8, 64, 100, 2, 8


@dataclass(frozen=True)
class Layer:
    first: np.ndarray
    second: np.ndarray
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    output: np.ndarray
    gate: np.ndarray
    up: np.ndarray
    down: np.ndarray


@dataclass(frozen=True)
class Network:
    table: np.ndarray
    layers: tuple[Layer, ...]

    def states(self, ids: np.ndarray, depth: int) -> np.ndarray:
        """[n, places, WIDTH] behind `depth` layers, in float64."""
        states = self.table[ids]
        for layer in self.layers[:depth]:
            states = _after(layer, states)
        return states


@dataclass(frozen=True)
class Key:
    words: np.ndarray
    basis: np.ndarray


def network(seed: int = 0) -> Network:
    draws = np.random.default_rng(seed)

    def dense(rows: int, width: int) -> np.ndarray:
        return draws.normal(size=(rows, width)) / np.sqrt(width)

    layers = tuple(
        Layer(
            draws.uniform(0.5, 1.5, WIDTH),
            draws.uniform(0.5, 1.5, WIDTH),
            dense(HEADS * HEAD, WIDTH),
            dense(GROUPS * HEAD, WIDTH),
            dense(GROUPS * HEAD, WIDTH),
            dense(WIDTH, HEADS * HEAD),
            dense(INNER, WIDTH),
            dense(INNER, WIDTH),
            dense(WIDTH, INNER),
        )
        for _ in range(LAYERS)
    )
    return Network(draws.normal(size=(WORDS, WIDTH)), layers)


def under_key(plain: Network, hidden: Hidden, seed: int = 7) -> tuple[Network, Key]:
    """The network that a miner is given, and what only the user knows."""
    draws = np.random.default_rng(seed)
    words = draws.permutation(WORDS)
    if hidden is Hidden.CHANNELS:
        basis = np.eye(WIDTH)[draws.permutation(WIDTH)]
    else:
        basis = np.linalg.qr(draws.normal(size=(WIDTH, WIDTH)))[0]
    table = (plain.table @ basis.T)[np.argsort(words)]
    layers = tuple(_layer_under_key(layer, hidden, basis, draws) for layer in plain.layers)
    return Network(table, layers), Key(words, basis)


def public(plain: Network, requests: int = 64, seed: int = 3) -> Public:
    """What an attacker knows of the network."""
    return Public(
        vocabulary=WORDS,
        states=lambda items, depth: plain.states(items, depth).astype(np.float32),
        text=sentences(requests, seed),
        known=np.full(PLACES, -1),
        table=plain.table.astype(np.float32),
        layers={depth: folded(plain, depth) for depth in range(LAYERS)},
        causal=True,
    )


def case(public: Public, view: View, secret: Secret, budget: Budget) -> Case:
    """The view as single attacks are given it."""
    seen = activations(public, view), comparable(public, view)
    return Case(public, view, secret, budget, *seen)


def folded(network: Network, depth: int) -> np.ndarray:
    """Weights of the gated layer behind `depth`, with the gains of their norm folded in."""
    layer = network.layers[depth]
    return layer.gate * layer.second


def sentences(count: int, seed: int) -> np.ndarray:
    """[count, PLACES] words in a made-up language: a few are frequent."""
    shares = 1 / np.arange(1, WORDS + 1)
    return np.random.default_rng(seed).choice(WORDS, (count, PLACES), p=shares / shares.sum())


def _layer_under_key(
    layer: Layer, hidden: Hidden, basis: np.ndarray, draws: np.random.Generator
) -> Layer:
    if hidden is Hidden.CHANNELS:
        first, second = basis @ layer.first, basis @ layer.second
        fold = [np.ones(WIDTH)] * 2
    else:
        first = second = np.ones(WIDTH)
        fold = [layer.first, layer.second]
    inner = draws.permutation(INNER)
    return replace(
        layer,
        first=first,
        second=second,
        query=(layer.query * fold[0]) @ basis.T,
        key=(layer.key * fold[0]) @ basis.T,
        value=(layer.value * fold[0]) @ basis.T,
        output=basis @ layer.output,
        gate=((layer.gate * fold[1]) @ basis.T)[inner],
        up=((layer.up * fold[1]) @ basis.T)[inner],
        down=(basis @ layer.down)[:, inner],
    )


def _after(layer: Layer, states: np.ndarray) -> np.ndarray:
    normal = _rms(states) * layer.first
    query, key, value = (
        (normal @ each.T).reshape(*states.shape[:2], -1, HEAD)
        for each in (layer.query, layer.key, layer.value)
    )
    repeat = HEADS // GROUPS
    query, key = _rotary(query), np.repeat(_rotary(key), repeat, axis=2)
    scores = np.einsum("nihd,njhd->nhij", query, key) / np.sqrt(HEAD)
    scores = np.where(np.tril(np.ones(scores.shape[2:])) > 0, scores, -1e9)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("nhij,njhd->nihd", shares, np.repeat(value, repeat, axis=2))
    states = states + mixed.reshape(*states.shape[:2], -1) @ layer.output.T
    normal = _rms(states) * layer.second
    gate = normal @ layer.gate.T
    return states + (gate / (1 + np.exp(-gate)) * (normal @ layer.up.T)) @ layer.down.T


def _rms(states: np.ndarray) -> np.ndarray:
    return states / np.sqrt((states * states).mean(-1, keepdims=True) + 1e-6)


def _rotary(heads: np.ndarray) -> np.ndarray:
    half = HEAD // 2
    angles = np.arange(heads.shape[1])[:, None] / 10_000 ** (np.arange(half) / half)
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    first, second = heads[..., :half], heads[..., half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1)
