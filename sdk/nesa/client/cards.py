"""Finds a model by name or id and reads its card, which says what numbers go in and come out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import fsspec
import numpy as np
from numpy.typing import NDArray

from nesa.chain.deployment import ServedModel
from nesa.chain.events import VersionRegistered
from nesa.models.card import ModelCard
from nesa.models.folder import INDEX
from nesa.models.index import decode_index
from nesa.models.publish import index_digest
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidInput, InvalidTensor, Unavailable
from nesa.protocol.ids import VersionId

MAX_INDEX_BYTES: Final = 8 << 20

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


async def read_model(event: VersionRegistered, folder: Path | None = None) -> Model:
    """The model of a registration, its card from a folder at hand or from where it is published.

    Raises:
        Unavailable: there is no card to be had.
        IntegrityError: the card is not the registered one.
    """
    data = await asyncio.to_thread(_from_folder if folder else _from_store, event, folder)
    card = decode_index(data).card
    if card.digest != event.metadata_digest:
        raise IntegrityError(f"the card of {event.name} is not the registered one")
    return Model(event.version_id, event.name, event.location, card)


def _words(event: VersionRegistered) -> tuple[str, str]:
    return event.name, f"0x{event.version_id.hex()}"


def _from_folder(event: VersionRegistered, folder: Path | None) -> bytes:
    path = (folder or Path()) / INDEX
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"cannot read the card of {event.name} at {path}") from error


def _from_store(event: VersionRegistered, _: Path | None) -> bytes:
    digest = index_digest(event.location)
    try:
        with fsspec.open(event.location, "rb") as file:
            data = bytes(file.read(MAX_INDEX_BYTES + 1))
    except (OSError, ValueError, ImportError) as error:
        raise Unavailable(f"cannot read the card of {event.name} at {event.location}") from error
    if len(data) > MAX_INDEX_BYTES or bytes_root(data) != digest:
        raise IntegrityError(f"{event.location} holds something else than its name says")
    return data
