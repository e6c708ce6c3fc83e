"""Finds a model by name or id and reads its card, which says what numbers go in and come out."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
from numpy.typing import NDArray

from nesa.chain.deployment import ServedModel
from nesa.chain.events import VersionRegistered
from nesa.chain.web import Patience, read_url
from nesa.client.ranges import check_ranges
from nesa.models.card import AnyCard, TensorCard
from nesa.models.folder import INDEX
from nesa.models.index import decode_index
from nesa.models.publish import index_digest
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import (
    IntegrityError,
    InvalidInput,
    InvalidModel,
    InvalidTensor,
    NesaError,
    Unavailable,
)
from nesa.protocol.ids import VersionId

MAX_INDEX_BYTES: Final = 8 << 20
PATIENCE: Final = Patience(10, MAX_INDEX_BYTES, redirects=True)
READS_AT_ONCE: Final = 16

Features = Sequence[float] | NDArray[np.generic]
"""What a person gives: real numbers in the order of the card's features."""


@dataclass(frozen=True, slots=True)
class Model:
    """A registered version and its card, whose digest was compared with the registered one;
    `weights` counts the constants that its index lists."""

    version_id: VersionId
    name: str
    location: str
    card: AnyCard
    weights: int

    def encode_features(self, features: Features) -> bytes:
        """Canonical bytes of the input tensor; warns of numbers outside of their feature's range.

        Raises:
            InvalidTensor: wrong shape, something that is not a finite number, or one that is far
                out of range.
        """
        return encode_features(self.card, features)


def encode_features(card: AnyCard, features: Features) -> bytes:
    """As `Model.encode_features`, by the card alone."""
    try:
        numbers = np.asarray(features, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTensor("features must be numbers, all rows of the same length") from error
    with np.errstate(over="ignore"):
        whole = card.quantise_input(numbers)
    if not (isinstance(card, TensorCard) and card.tokens):
        check_ranges(card, numbers)
    return card.input_edge.encode(whole)


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
        InvalidModel: its location is none that a card is read from.
        Unavailable: there is no card to be had.
        IntegrityError: the card is not the registered one.
    """
    data = await read_store(event.location) if folder is None else await read_file(folder / INDEX)
    index = decode_index(data)
    card = index.card
    if card.digest != event.metadata_digest:
        raise IntegrityError(f"the card of {event.name} is not the registered one")
    return Model(event.version_id, event.name, event.location, card, index.weights)


async def read_models(
    registered: Sequence[VersionRegistered], read: Callable[[VersionRegistered], Awaitable[Model]]
) -> tuple[Model, ...]:
    """The models that can be read, in order; warns of each that is left out.

    Anybody may register anything: one bad location must not hide everybody's models.
    """
    turns = asyncio.Semaphore(READS_AT_ONCE)

    async def attempt(event: VersionRegistered) -> Model | None:
        try:
            async with turns:
                return await read(event)
        except NesaError as error:
            warnings.warn(f"model {event.name} is left out: {error}", stacklevel=2)
            return None

    found = await asyncio.gather(*(attempt(event) for event in registered))
    return tuple(model for model in found if model is not None)


async def read_store(location: str) -> bytes:
    """The index at a registered location: an http or https URL, or a path on this machine.

    Strangers choose locations, so nothing else is opened for them, and neither much nor for long.

    Raises:
        InvalidModel: another kind of location, or one that does not end in a digest.
        Unavailable: nothing is there, or it takes too long.
        IntegrityError: something else is there.
    """
    digest = index_digest(location)
    scheme, _, path = location.partition("://") if "://" in location else ("file", "", location)
    if scheme not in ("file", "http", "https") or "::" in location:
        raise InvalidModel(f"{location!r} is neither an http or https URL nor a path")
    data = await (read_file(Path(path)) if scheme == "file" else _read_url(location))
    if len(data) > MAX_INDEX_BYTES or bytes_root(data) != digest:
        raise IntegrityError(f"{location} holds something else than its name says")
    return data


def _words(event: VersionRegistered) -> tuple[str, str]:
    return event.name, f"0x{event.version_id.hex()}"


async def read_file(path: Path) -> bytes:
    """A file of a model's folder.

    Raises:
        Unavailable: it cannot be read.
    """

    def read() -> bytes:
        if not path.is_file():
            raise FileNotFoundError(path)
        with path.open("rb") as file:
            return file.read(MAX_INDEX_BYTES + 1)

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise Unavailable(f"cannot read {path}") from error


async def _read_url(url: str) -> bytes:
    async with aiohttp.ClientSession() as session:
        data = await read_url(session, url, PATIENCE)
    if data is None:
        raise Unavailable(f"there is nothing at {url}")
    return data
