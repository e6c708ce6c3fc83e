"""A model's own test rows are its example; strangers' archives are not trusted."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nesa import Client, InvalidModel, Model, Network
from nesa.client.samples import MAX_UNPACKED_BYTES, first_row
from nesa.models.samples import LabelledRows, pack_rows
from tests.client.conftest import MLP
from tests.standing_network import StandingNetwork


def packed(features: np.ndarray) -> bytes:
    return pack_rows(LabelledRows(np.zeros(1), np.zeros(1), features))


async def test_the_sample_is_the_first_test_row(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    assert await client.sample(model) == features.tolist()
    bare = Network.model_validate(network.network.model_dump() | {"models": ()})
    async with Client.connect(bare) as elsewhere:
        assert await elsewhere.sample(MLP) == features.tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        packed(np.zeros((0, 3))),
        packed(np.zeros((1, 4))),
        packed(np.array([[1.0, np.nan, 2.0]])),
        packed(np.array([["a", "b", "c"]])),
        packed(np.array(1.0)),
        packed(np.zeros((MAX_UNPACKED_BYTES // 8, 1))),
    ],
    ids=["bytes", "empty", "longer", "NaN", "text", "scalar", "bomb"],
)
def test_what_holds_no_row_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidModel):
        first_row(data, 3)


def test_an_archive_of_other_arrays_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, rows=np.zeros((1, 3)))
    with pytest.raises(InvalidModel):
        first_row(buffer.getvalue(), 3)
