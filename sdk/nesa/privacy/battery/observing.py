"""What each observer of a compiled model's requests sees, mode by mode."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping

import numpy as np

from nesa.privacy import sealing
from nesa.privacy.battery.compiled import Subject
from nesa.privacy.battery.views import Floats, Hidden, Items, Observer, View, Weights, Words
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import VersionId


def view(subject: Subject, observer: Observer, seed: int | None = None) -> View:
    """What `observer` sees of the subject's requests.

    Keys and shares are drawn anew, or from `seed`, which is for tests.
    """
    draws = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    match observer:
        case Observer.OPEN_MEMBER | Observer.SEALED_MEMBER:
            return View(observer, identifiers=subject.secret.items)
        case Observer.SEALED_OUTSIDER:
            return _sealed(subject)
        case Observer.SHARED_COLLUDING:
            return View(observer, states={0: _reunited(subject.states(0), draws)})
        case Observer.ROTATED_MEMBER:
            raise InvalidInput("a rotation is not exact on integers; audit the permutation")
        case _:
            return _activations(subject, observer, draws)


def _activations(subject: Subject, observer: Observer, draws: np.random.Generator) -> View:
    plain = {depth: subject.states(depth) for depth in subject.depths}
    match observer:
        case Observer.PERMUTED_MEMBER:
            return _permuted(subject, plain, draws)
        case Observer.SPLIT_MEMBER:
            return View(observer, states=plain)
        case _:
            return View(observer, shares={d: share(each, draws) for d, each in plain.items()})


def share(values: Floats, draws: np.random.Generator) -> Words:
    """The second share of integers [..]: they less a uniform word each, modulo 2^32."""
    mask = draws.integers(0, 2**32, values.shape, dtype=np.uint32)
    return values.astype(np.int64).astype(np.uint32) - mask


def _reunited(values: Floats, draws: np.random.Generator) -> Floats:
    mask = draws.integers(0, 2**32, values.shape, dtype=np.uint32)
    other = values.astype(np.int64).astype(np.uint32) - mask
    return (mask + other).view(np.int32).astype(np.float32)


def _sealed(subject: Subject) -> View:
    """Ciphertexts under keys of their own, and what comes of reading their words as items."""
    edge, version = subject.model.input_edge, VersionId(bytes(32))
    messages = tuple(
        sealing.seal_input(secrets.token_bytes(32), version, edge.encode(row))
        for row in subject.inputs(subject.secret.items)
    )
    places = subject.public.places
    words = [
        np.frombuffer(each[sealing.NONCE_BYTES :], np.uint8)[: 2 * places].copy().view("<u2")
        for each in messages
    ]
    identifiers = np.stack(words).astype(np.int64) % subject.public.vocabulary
    return View(Observer.SEALED_OUTSIDER, identifiers=identifiers, messages=messages)


def _permuted(subject: Subject, plain: Mapping[int, Floats], draws: np.random.Generator) -> View:
    """What EQUIVARIANT on integers hands out: one order of the vocabulary and of the residual
    stream, or of the channels of each layer. An image's pixels stay in their places."""
    public, table = subject.public, subject.public.table
    orders = _orders(subject, plain, draws)
    states = {depth: plain[depth][..., order] for depth, order in orders.items()}
    layers = {depth: _layer(public.layers[depth], order, draws) for depth, order in orders.items()}
    if table is None:
        return View(Observer.PERMUTED_MEMBER, Hidden.CHANNELS, states=states, layers=layers)
    words = draws.permutation(public.vocabulary)
    held = table[np.argsort(words)][:, orders[0]]
    return View(
        Observer.PERMUTED_MEMBER,
        Hidden.CHANNELS,
        identifiers=words[subject.secret.items],
        states=states,
        table=held,
        layers=layers,
    )


def _layer(weights: Weights, order: Items, draws: np.random.Generator) -> Weights:
    """Weights [rows, channels] with their rows in an order of their own."""
    channels = order[:: len(order) // weights.shape[1]] // (len(order) // weights.shape[1])
    held: Weights = weights[draws.permutation(len(weights))][:, channels]
    return held


def _orders(
    subject: Subject, plain: Mapping[int, Floats], draws: np.random.Generator
) -> dict[int, Items]:
    if subject.public.is_text:
        return dict.fromkeys(plain, draws.permutation(plain[0].shape[-1]))
    return {depth: _channel_order(subject.source_shape(depth), draws) for depth in plain}


def _channel_order(shape: tuple[int, ...], draws: np.random.Generator) -> Items:
    """Places of a flat tensor [1, channels, ..] in a new order of its channels."""
    numbers = np.arange(math.prod(shape)).reshape(shape[1], -1)
    order: Items = numbers[draws.permutation(shape[1])].reshape(-1)
    return order
