"""Speaks to models that are under a user's key: encodes what is asked, decodes what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from nesa.client.cards import Features, encode_features
from nesa.models.card import AnyCard
from nesa.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey


class Described(Protocol):
    """A model with its card: one that is offered, or one that is at hand."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def card(self) -> AnyCard:
        """What it takes and gives."""


def require_key(model: Described, held: UserKey | None) -> None:
    """Returns when a model is under this key, or under none and no key is given.

    Raises:
        InvalidInput: otherwise; the message says what to do.
    """
    if held is not None:
        held.require_opens(model.name, model.card)
    elif (mark := model.card.equivariance) is not None:
        raise InvalidInput(
            f"{model.name} is under a user's key, {mark.key[:10]}: only its holder can ask it and "
            "read its answers; give the key file with --ee-key (Equivariant(key) in Python)"
        )


def encoded_features(model: Described, features: Features, held: UserKey | None) -> bytes:
    """Canonical bytes of the input tensor as the model takes it; for one under a key the features
    are those of the plain model.

    Raises:
        InvalidInput: the model is under another key, or one is missing.
        InvalidTensor: see `encode_features`.
    """
    require_key(model, held)
    if held is None:
        return encode_features(model.card, features)
    edge = held.plain_card.input_edge
    plain = edge.decode(encode_features(held.plain_card, features))
    return edge.encode(held.encode_input(plain.astype(np.int64)))


def plain_answer(
    model: Described, integers: NDArray[np.generic], held: UserKey | None
) -> tuple[AnyCard, NDArray[np.generic]]:
    """The card that says what an answer means, and the answer in its terms.

    Raises:
        InvalidInput: the model is under another key, or one is missing.
    """
    require_key(model, held)
    if held is None:
        return model.card, integers
    return held.plain_card, held.decode_output(integers)
