"""Places of a sequence that are only there to fill it up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nesa.models.quantise import Floats


def without_padding(samples: Mapping[str, Floats], padded: NDArray[np.bool_]) -> dict[str, Floats]:
    """The samples [n, ..] with NaN wherever a place of the sequence is padding.

    `padded` is [n, .., length]. Every axis as long as the sequence is taken to be one of its
    places; a model whose other axes have that size too is calibrated with what is left.
    """
    places = padded.reshape(len(padded), -1)
    return {name: _hidden(values, places) for name, values in samples.items()}


def _hidden(values: Floats, places: NDArray[np.bool_]) -> Floats:
    hidden = np.zeros(values.shape, np.bool_)
    for axis in range(1, values.ndim):
        if values.shape[axis] == places.shape[1]:
            shape = [len(values), *[1] * (values.ndim - 1)]
            shape[axis] = places.shape[1]
            hidden |= places.reshape(shape)
    return np.where(hidden, np.nan, values)
