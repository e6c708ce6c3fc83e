"""What a user of a transformed model holds: the key, the frames, and the plain model's card.

A float graph has no card: its user encodes and decodes tensors by the frames alone.

It rests in a file whose secret is encrypted like a V3 keystore. Card and frames are no secrets, but
they decide what leaves the user's machine, so that the file is bound together by the key.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nesa.models.canonical import canonical_json
from nesa.models.card import AnyCard, Equivariance, Part
from nesa.models.folder import CompiledModel
from nesa.models.graph import Integers
from nesa.models.index import unword, word
from nesa.privacy.equivariant.frames import Frames
from nesa.privacy.equivariant.graphs import graph_root, infer_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.tables import infer
from nesa.privacy.key_files import WORK_FACTOR, load_secret, save_secret
from nesa.protocol.errors import InvalidConfiguration, InvalidInput

KIND: Final = "nesa-equivariant-key"
_WORD: Final = Field(pattern="^0x[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class UserKey:
    """A key for one version, with what inputs and answers need: the frames, and the card of a
    compiled model; a float graph has none."""

    key: EquivariantKey
    frames: Frames
    card: AnyCard | None = None

    @classmethod
    def generate(cls, model: CompiledModel) -> UserKey:
        """A fresh key for a plain model.

        Raises:
            InvalidInput: the model is under a key already.
        """
        if model.card.equivariance is not None:
            raise InvalidInput(f"{model.name} is under a key already; use the plain model")
        key = EquivariantKey.generate(bytes(model.root))
        return cls(key, infer(model.table).frames, model.card)

    @classmethod
    def of_graph(cls, proto: onnx.ModelProto) -> UserKey:
        """A fresh key for a plain float graph.

        Raises:
            InvalidModel: see `transform_graph`.
        """
        return cls(EquivariantKey.generate(graph_root(proto)), infer_graph(proto).frames)

    def rotated(self) -> UserKey:
        """The key of the next epoch."""
        return replace(self, key=self.key.rotated())

    @property
    def mark(self) -> Equivariance:
        """What the card of a model under this key says."""
        return Equivariance(
            plain_version=word(self.key.version),
            epoch=self.key.epoch,
            key=word(self.key.fingerprint),
        )

    @property
    def plain_card(self) -> AnyCard:
        """The card of the plain compiled model.

        Raises:
            InvalidInput: the key is for a float graph.
        """
        if self.card is None:
            raise InvalidInput("the key is for a float graph, and no network serves those")
        return self.card

    def require_opens(self, name: str, card: AnyCard) -> None:
        """Returns when the model with this card is under this key.

        Raises:
            InvalidInput: it is not; the message says why.
        """
        mark, mine = card.equivariance, self.mark
        if mark is None:
            raise InvalidInput(f"{name} is under no key: ask it without one")
        if mark.plain_version != mine.plain_version:
            raise InvalidInput(f"the key is for another model than {name}")
        if mark.epoch != mine.epoch:
            raise InvalidInput(
                f"the key is of epoch {mine.epoch} and {name} of epoch {mark.epoch}: keys change "
                "from epoch to epoch, so use the key file of that epoch"
            )
        if mark.key != mine.key:
            raise InvalidInput(f"{name} is under another key, {mark.key[:10]}")
        plain = self.plain_card
        types = (card.input_type, card.output_type)
        if types != (plain.input_type, plain.output_type):
            raise InvalidInput(f"{name} takes other tensors than the model that the key is for")

    def encode_input(self, values: Integers) -> Integers:
        """An input of the plain model as the transformed one takes it."""
        (encoded,) = self.frames.encode_inputs(self.key, [values])
        return encoded.astype(np.int64)

    def decode_output(self, values: NDArray[np.generic]) -> Integers:
        """An answer of the transformed model as the plain one gives it."""
        (decoded,) = self.frames.decode_outputs(self.key, [values])
        return decoded.astype(np.int64)


class _Document(Part):
    """The file without what is encrypted."""

    kind: str
    plain_version: Annotated[str, _WORD]
    epoch: int
    fingerprint: Annotated[str, _WORD]
    card: AnyCard | None
    frames: Frames
    authenticator: Annotated[str, _WORD]


def save_user_key(path: Path, held: UserKey, password: str, work_factor: int = WORK_FACTOR) -> None:
    """Write a key to a new file that only its owner may read.

    Raises:
        InvalidConfiguration: the file exists or cannot be written, or the password is empty.
    """
    public = {
        "plain_version": word(held.key.version),
        "epoch": held.key.epoch,
        "fingerprint": word(held.key.fingerprint),
        **_public(held),
        "authenticator": word(_authenticator(held)),
    }
    save_secret(path, KIND, public, held.key.seed, password, work_factor)


def load_user_key(path: Path, password: str) -> UserKey:
    """The key in a file that `save_user_key` wrote.

    Raises:
        InvalidConfiguration: no such file, another kind of file, the wrong password, or a file
            that was changed.
    """
    document, seed = load_secret(path, KIND, "a key file of a transformed model", password)
    held = _held(document, seed, path)
    stated = unword(document["authenticator"])
    if not hmac.compare_digest(_authenticator(held), stated):
        raise InvalidConfiguration(f"{path} was changed; take the file that was written")
    return held


def _held(document: Mapping[str, Any], seed: bytes, path: Path) -> UserKey:
    public = {name: value for name, value in document.items() if name in _Document.model_fields}
    try:
        found = _Document.model_validate_json(canonical_json(public))
        key = EquivariantKey(seed, unword(found.plain_version), found.epoch)
    except (ValidationError, InvalidInput) as error:
        raise InvalidConfiguration(f"{path} is damaged") from error
    return UserKey(key, found.frames, found.card)


def _authenticator(held: UserKey) -> bytes:
    return hmac.digest(held.key.authentication_key, canonical_json(_public(held)), sha256)


def _public(held: UserKey) -> dict[str, Any]:
    return {
        "card": None if held.card is None else held.card.model_dump(mode="json"),
        "frames": held.frames.model_dump(mode="json"),
    }
