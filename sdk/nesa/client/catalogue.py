"""Which models a network has, with their cards: from the folders at hand, else as published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nesa.chain.connection import Connection
from nesa.chain.deployment import ServedModel
from nesa.chain.events import VersionRegistered
from nesa.chain.history import find_versions
from nesa.client.cards import Model, choose, read_model, read_models
from nesa.client.samples import read_sample
from nesa.protocol.ids import VersionId


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The registered versions; `served` are those that the network file names."""

    connection: Connection
    served: Sequence[ServedModel]

    async def models(self) -> tuple[Model, ...]:
        """Every version whose card can be read and is the registered one; warns of the others."""
        return await read_models(await find_versions(self.connection), self._read)

    async def model(self, name: str) -> Model:
        """A version by its name or its 0x-prefixed id.

        Raises:
            InvalidInput: there is no such model, or more than one of that name.
            IntegrityError: its card is not the registered one.
        """
        event = choose(name, await find_versions(self.connection), self.served)
        return await self._read(event)

    async def sample(self, model: Model) -> list[float]:
        """A row of features that the model was measured on; errors as of `read_sample`."""
        return await read_sample(model, self._folder(model.version_id))

    async def _read(self, event: VersionRegistered) -> Model:
        return await read_model(event, self._folder(event.version_id))

    def _folder(self, version_id: VersionId) -> Path | None:
        return {model.id: model.folder for model in self.served}.get(version_id)
