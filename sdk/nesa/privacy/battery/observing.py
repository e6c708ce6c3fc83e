"""What each observer of a compiled model's requests sees, mode by mode."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np

from nesa.privacy import sealing
from nesa.privacy.battery.compiled import (
    Subject,
    TableStates,
    embedding,
    weights_by_channel,
)
from nesa.privacy.battery.views import Floats, Hidden, Items, Observer, Share, View
from nesa.privacy.equivariant.frames import TensorFrame
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.tables import transform
from nesa.privacy.shared.digits import SEED_BYTES
from nesa.privacy.shared.plan import plan
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import ShareSeed
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
            return _sealed(subject, draws)
        case Observer.SHARED_COLLUDING:
            return View(observer, states=_reunited(subject, draws))
        case Observer.PERMUTED_MEMBER:
            return _permuted(subject, draws)
        case Observer.ROTATED_MEMBER:
            raise InvalidInput("a rotation is not exact on integers; audit the permutation")
        case _:
            return _activations(subject, observer, draws)


def _activations(subject: Subject, observer: Observer, draws: np.random.Generator) -> View:
    match observer:
        case Observer.SPLIT_MEMBER:
            plain = {depth: subject.states(depth) for depth in subject.depths}
            return View(observer, states=plain, masks=subject.masks())
        case _:
            return View(
                observer, shares={d: second for d, (_, _, second) in _shared(subject, draws)}
            )


def _shared(
    subject: Subject, draws: np.random.Generator
) -> Iterator[tuple[int, tuple[Product, Share, Share]]]:
    """Depths that a client of SHARED hands out, and what each group is sent of them."""
    table = subject.model.table
    products = {sums.value: product for product in plan(table).products for sums in product.sums}
    for depth, entered in enumerate(subject.entering):
        product = products.get(table.output_of(entered.row))
        if product is not None:
            yield depth, (product, *shares(subject.states(depth), product, draws))


def shares(values: Floats, product: Product, draws: np.random.Generator) -> tuple[Share, Share]:
    """Both shares of integers [n, ..] that `product` reads, as a client sends them: the first of
    each request goes as a seed, of which its group makes these digits."""
    whole, digits = values.astype(np.int64), product.digits
    first = np.stack(
        [ShareSeed(draws.bytes(SEED_BYTES)).expand(product) for _ in range(len(whole))], axis=1
    ).reshape(digits.count, *whole.shape)
    return Share(first, digits.width), Share(digits.rest(whole, first), digits.width)


def _reunited(subject: Subject, draws: np.random.Generator) -> dict[int, Floats]:
    """What both groups have of the first depth when they add up what they were sent."""
    depth, (product, first, second) = next(_shared(subject, draws))
    digits, half = product.digits, product.digits.modulus // 2
    total = digits.join(first.digits) + digits.join(second.digits)
    return {depth: ((total + half) % digits.modulus - half).astype(np.float32)}


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
