"""What each observer of a compiled model's requests sees, mode by mode."""

from __future__ import annotations

import secrets
from typing import assert_never

import numpy as np

from nesa.privacy import sealing
from nesa.privacy.battery.compiled import (
    Subject,
    TableStates,
    embedding,
    weights_by_channel,
)
from nesa.privacy.battery.views import Hidden, Items, Observer, View
from nesa.privacy.equivariant.frames import TensorFrame
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.tables import transform
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import VersionId


def view(subject: Subject, observer: Observer, seed: int | None = None) -> View:
    """What `observer` sees of the subject's requests.

    Keys are drawn anew, or from `seed`, which is for tests; shares are those of queries, see
    `nesa.privacy.battery.recording`.
    """
    draws = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    match observer:
        case Observer.OPEN_MEMBER | Observer.SEALED_MEMBER:
            return View(observer, identifiers=subject.secret.items)
        case Observer.SEALED_OUTSIDER:
            return _sealed(subject, draws)
        case Observer.SHARED_COLLUDING:
            return _colluding(subject)
        case Observer.PERMUTED_MEMBER:
            return _permuted(subject, draws)
        case Observer.SHARED_MEMBER:
            return _shared(subject)
        case Observer.SPLIT_MEMBER:
            states = {depth: subject.states(depth) for depth in subject.depths}
            return View(observer, states=states, masks=subject.masks())
        case Observer.ROTATED_MEMBER:
            raise InvalidInput("a rotation is not exact on integers; audit the permutation")
    assert_never(observer)


def _shared(subject: Subject) -> View:
    """What the second group is sent. The first is sent seeds, before the input is known."""
    told = subject.recorded
    return View(Observer.SHARED_MEMBER, shares=told.second, sizes=told.sizes, seconds=told.seconds)


def _colluding(subject: Subject) -> View:
    told = subject.recorded
    depth = min(told.first)
    states = {depth: told.first[depth].added(told.second[depth])}
    return View(Observer.SHARED_COLLUDING, states=states)


def _sealed(subject: Subject, draws: np.random.Generator) -> View:
    """Ciphertexts under keys of their own, and what comes of reading their words as items."""
    edge, version = subject.model.input_edge, VersionId(bytes(32))
    messages = tuple(
        sealing.seal_input(draws.bytes(32), version, edge.encode(row))
        for row in subject.inputs(subject.secret.items)
    )
    places = subject.public.places
    words = [
        np.frombuffer(each[sealing.NONCE_BYTES :], np.uint8)[: 2 * places].copy().view("<u2")
        for each in messages
    ]
    identifiers = np.stack(words).astype(np.int64) % subject.public.vocabulary
    return View(Observer.SEALED_OUTSIDER, identifiers=identifiers, messages=messages)


def _permuted(subject: Subject, draws: np.random.Generator) -> View:
    """What the network holds of a model under a key: the transformed weights, the encoded requests,
    and what comes of them."""
    key = EquivariantKey(draws.bytes(32), bytes(32))
    made, mover = transform(subject.model.table, key), Mover(key)
    frame, public = made.frames.inputs[0], subject.public
    held = TableStates(made.table, subject.entering)
    items = subject.watched
    encoded = np.stack([frame.encode(each, mover) for each in subject.inputs(items)])
    rows = (made.table.rows[each.row] for each in subject.entering)
    return View(
        Observer.PERMUTED_MEMBER,
        Hidden.CHANNELS,
        identifiers=_identifiers(subject, frame, mover) if public.is_text else None,
        states={depth: held.run(encoded, depth, items.shape) for depth in subject.depths},
        table=embedding(made.table) if public.is_text else None,
        layers={depth: weights_by_channel(row) for depth, row in enumerate(rows)},
        scattered=public.is_text,
    )


def _identifiers(subject: Subject, frame: TensorFrame, mover: Mover) -> Items:
    """What travels in place of the token ids of all requests, [n, places]."""
    items = subject.secret.items
    sent = [frame.encode(each, mover) for each in subject.inputs(items)]
    return np.stack(sent).astype(np.int64).reshape(items.shape)
