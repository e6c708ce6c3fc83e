"""What a user must know beside the key: how inputs and answers are laid out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.card import Part
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Layout, Leaf, Place, stays
from nesa.privacy.equivariant.moves import Array, Mover


class TensorFrame(Part):
    """One tensor: its layout and, where its numbers are names such as token ids, that of its
    alphabet, whose first name is `low`."""

    places: tuple[Place, ...]
    alphabet: Leaf | None = None
    low: int = 0

    @property
    def layout(self) -> Layout:
        """How the elements move."""
        return self.places

    @property
    def is_plain(self) -> bool:
        """Whether a key changes nothing of it."""
        names = self.alphabet is not None and not self.alphabet.stays
        return not names and stays(self.places)

    def encode(self, values: Array, mover: Mover) -> Array:
        """The tensor in the key's frame."""
        return mover.move(self._renamed(values, mover, back=False), self.layout)

    def decode(self, values: Array, mover: Mover) -> Array:
        """The tensor out of the key's frame."""
        return self._renamed(mover.back(values, self.layout), mover, back=True)

    def _renamed(self, values: Array, mover: Mover, *, back: bool) -> Array:
        if self.alphabet is None or self.alphabet.stays:
            return values
        names = np.arange(self.alphabet.size)
        # Moving the list of names puts each where its new name is.
        old_of_new = mover.move(names, (self.alphabet,))
        table = old_of_new if back else np.argsort(old_of_new)
        renamed: Array = table[values.astype(np.int64) - self.low] + self.low
        return renamed


class Frames(Part):
    """What goes into a model and what comes out of it, in order."""

    inputs: tuple[TensorFrame, ...]
    outputs: tuple[TensorFrame, ...]

    def encode_inputs(self, key: EquivariantKey, tensors: Sequence[Array]) -> tuple[Array, ...]:
        """Inputs of the plain model as the transformed one takes them."""
        mover = Mover(key)
        pairs = zip(self.inputs, tensors, strict=True)
        return tuple(frame.encode(tensor, mover) for frame, tensor in pairs)

    def decode_outputs(self, key: EquivariantKey, tensors: Sequence[Array]) -> tuple[Array, ...]:
        """Outputs of the transformed model as the plain one gives them."""
        mover = Mover(key)
        pairs = zip(self.outputs, tensors, strict=True)
        return tuple(frame.decode(tensor, mover) for frame, tensor in pairs)
