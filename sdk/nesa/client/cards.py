"""Finds a model by name or id and reads its card, which says what numbers go in and come out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import fsspec
import numpy as np
from numpy.typing import NDArray

from nesa.chain.deployment import ServedModel
from nesa.chain.events import VersionRegistered
from nesa.models.card import ModelCard
from nesa.models.folder import INDEX
from nesa.models.index import decode_index
from nesa.protocol.errors import IntegrityError, InvalidInput, InvalidTensor, Unavailable
from nesa.protocol.ids import VersionId

MAX_CARD_BYTES: Final = 8 << 20

Features = Sequence[float] | NDArray[np.generic]
"""What a person gives: real numbers in the order of the card's features."""


@dataclass(frozen=True, slots=True)
class Model:
    """A registered version and its card, whose digest was compared with the registered one."""

    version_id: VersionId
    name: str
    location: str
    card: ModelCard

    def encode_features(self, features: Features) -> bytes:
        """Canonical bytes of the input tensor.

        Raises:
            InvalidTensor: wrong shape, or something that is not a finite number.
        """
        try:
            numbers = np.asarray(features, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidTensor("features must be numbers, all rows of the same length") from error
        return self.card.input_edge.encode(self.card.quantise_input(numbers))


def choose(
    name: str, registered: Sequence[VersionRegistered], served: Sequence[ServedModel]
) -> VersionRegistered:
    """The version that `name` (a name or a 0x-prefixed id) means.

    Names are not unique on chain: a name that the network file gives wins, one that only one
    developer registered is taken, and anything else must be asked for by id.

    Raises:
        InvalidInput: no such version, or more than one.
    """
    trusted = {model.id for model in served if model.name == name}
    wanted = trusted or {event.version_id for event in registered if name in _words(event)}
    found = [event for event in registered if event.version_id in wanted]
    if len(found) == 1:
        return found[0]
    if not found:
        names = ", ".join(sorted({event.name for event in registered})) or "none"
        raise InvalidInput(f"there is no model {name} here; registered are: {names}")
    ids = ", ".join(f"0x{event.version_id.hex()}" for event in found)
    raise InvalidInput(f"{len(found)} models are called {name}; ask for one by its id: {ids}")


async def read_model(event: VersionRegistered, location: str) -> Model:
    """The model of a registration, its card read from `location`.

    Raises:
        Unavailable: there is no card to be had.
        IntegrityError: the card is not the registered one.
    """
    data = await asyncio.to_thread(_read, f"{location.rstrip('/')}/{INDEX}")
    card = decode_index(data).card
    if card.digest != event.metadata_digest:
        raise IntegrityError(f"the card of {event.name} at {location} is not the registered one")
    return Model(event.version_id, event.name, location, card)


def _words(event: VersionRegistered) -> tuple[str, str]:
    return event.name, f"0x{event.version_id.hex()}"


def _read(url: str) -> bytes:
    try:
        with fsspec.open(url, "rb") as file:
            data = bytes(file.read(MAX_CARD_BYTES + 1))
    except (OSError, ValueError, ImportError) as error:
        raise Unavailable(f"cannot read the model card at {url}") from error
    if len(data) > MAX_CARD_BYTES:
        raise IntegrityError(f"{url} is longer than any model card")
    return data
