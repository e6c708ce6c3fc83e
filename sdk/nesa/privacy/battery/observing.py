"""What each observer of a compiled model's requests sees, mode by mode."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

import numpy as np

from nesa.privacy import sealing
from nesa.privacy.battery.compiled import (
    Subject,
    TableStates,
    embedding,
    weights_by_channel,
)
from nesa.privacy.battery.sealed import VERSION, SealedNetwork, noise
from nesa.privacy.battery.splitting import handed_over, parts_behind
from nesa.privacy.battery.views import Floats, Hidden, Items, Observer, Public, View
from nesa.privacy.equivariant.frames import TensorFrame
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.tables import transform
from nesa.protocol.errors import InvalidInput

OF_INTEGERS: Final = tuple(
    one for one in Observer if one not in (Observer.ROTATED_MEMBER, Observer.ROTATED_PRIVATE)
)
"""Who looks at compiled models, of which a rotation is not exact."""


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
        case Observer.PERMUTED_MEMBER | Observer.PERMUTED_PRIVATE:
            return replace(_permuted(subject, draws), observer=observer)
        case Observer.SHARED_MEMBER:
            return _shared(subject)
        case Observer.SPLIT_MEMBER | Observer.SPLIT_PRIVATE:
            return replace(_split(subject), observer=observer)
        case Observer.ROTATED_MEMBER | Observer.ROTATED_PRIVATE:
            raise InvalidInput("a rotation is not exact on integers; audit the permutation")
    assert_never(observer)


def _shared(subject: Subject) -> View:
    """What either group is sent: the first one seeds, before the input is known, and the second one
    digits. No attack looks at both at once."""
    told, begun = subject.recorded, subject.recorded_begun
    return View(
        Observer.SHARED_MEMBER,
        shares=told.second,
        begun=begun.second,
        messages={
            "seeds": told.seeds,
            "seeds of requests that were begun": begun.seeds,
            **told.others,
            **{f"{name}, one round": each for name, each in begun.others.items()},
        },
        counts={
            **told.counts,
            **{f"{name}, one round": each for name, each in begun.counts.items()},
        },
        seconds=told.seconds,
    )


def _colluding(subject: Subject) -> View:
    told = subject.recorded
    depth = min(told.first)
    states = {depth: told.first[depth].added(told.second[depth])}
    return View(Observer.SHARED_COLLUDING, states=states)


def _sealed(subject: Subject, draws: np.random.Generator) -> View:
    """What passes of requests under keys of their own, and what comes of reading the words of
    their inputs as items. Not all requests are answered."""
    network, data = SealedNetwork(subject.model, draws), subject.tensors(subject.secret.items)
    passed = [network.passed(n, one) for n, one in enumerate(data[: len(subject.begun)])]
    rest = data[len(passed) :]
    inputs = [each.request for each in passed]
    inputs += [sealing.seal_input(draws.bytes(32), VERSION, one) for one in rest]
    messages = {
        "input": inputs,
        "blinded digests": [b"".join(each.digests) for each in passed],
        "answer": [each.answer for each in passed],
        "wrapped keys": [b"".join(map(noise, each.keys)) for each in passed],
        "hand-over": [b"".join(map(noise, each.handed)) for each in passed],
    }
    return View(
        Observer.SEALED_OUTSIDER,
        identifiers=_read_as_items(inputs, subject.public),
        messages={name: tuple(found) for name, found in messages.items() if any(found)},
        counts={"bytes of all messages": np.array([each.size for each in passed])},
    )


def _read_as_items(messages: Sequence[bytes], public: Public) -> Items:
    """The first words of ciphertexts, as if they were items [n, places]."""
    ends = sealing.NONCE_BYTES, sealing.NONCE_BYTES + 2 * public.places
    words = [np.frombuffer(each[slice(*ends)], "<u2") for each in messages]
    read: Items = np.stack(words).astype(np.int64) % public.vocabulary
    return read


def _split(subject: Subject) -> View:
    """What leaves a client that runs everything in front of a layer itself, layer by layer. In
    front of the first one there is nothing to run where that reads the input."""
    watched = subject.watched
    crossed = dict[int, dict[int, Floats]]()
    for depth, entering in enumerate(subject.entering):
        parts = parts_behind(subject.model.table, entering.row)
        if parts is not None:
            crossed[depth] = handed_over(parts, subject.tensors(watched))
    shape = (*watched.shape, -1)
    states = {
        depth: found[subject.entering[depth].value].reshape(shape)
        for depth, found in crossed.items()
    }
    return View(Observer.SPLIT_MEMBER, states=states, masks=_masks(subject, crossed))


def _masks(subject: Subject, crossed: Mapping[int, Mapping[int, Floats]]) -> Items | None:
    """Values with no more than one number a token, which say where the padding begins. Equal ones
    of the watched requests have equal numbers [k]; None where there are none."""
    if not subject.public.is_text or not crossed:
        return None
    found = crossed[min(crossed)].values()
    small = [each for each in found if each.shape[1] <= subject.public.places]
    if not small:
        return None
    numbers: Items = np.unique(np.concatenate(small, 1), axis=0, return_inverse=True)[1]
    return numbers


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
