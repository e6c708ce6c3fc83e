"""Reads one of the rows that a model was measured on, as an example of what it takes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from nesa.client.cards import Model, read_file, read_store
from nesa.models.folder import INDEX, TEST
from nesa.models.index import decode_index, unword
from nesa.models.publish import base_of
from nesa.models.samples import unpack_rows
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel

MAX_UNPACKED_BYTES: Final = 64 << 20


async def read_sample(model: Model, folder: Path | None = None) -> list[float]:
    """The features of the model's first test row, from a folder at hand or as published.

    Raises:
        InvalidModel: its test rows are none.
        Unavailable: they are not to be had.
        IntegrityError: something else is in their place.
    """
    index = await (read_store(model.location) if folder is None else read_file(folder / INDEX))
    files = decode_index(index).files
    if TEST not in files:
        raise InvalidModel(f"the index of {model.name} names no test rows")
    digest = unword(files[TEST])
    if folder is None:
        data = await read_store(f"{base_of(model.location)}/{digest.hex()}")
    else:
        data = await read_file(folder / TEST)
    if bytes_root(data) != digest:
        raise IntegrityError(f"the test rows of {model.name} are not those of its index")
    return first_row(data, model.card.input_edge.elements)


def first_row(data: bytes, features: int) -> list[float]:
    """The first of the labelled rows in a NumPy archive, flat.

    Raises:
        InvalidModel: there is none of that many finite numbers; strangers write these files.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise InvalidModel(f"the test rows are over {MAX_UNPACKED_BYTES} bytes")
        row = unpack_rows(data).features[:1].astype(np.float64).reshape(-1)
    except (zipfile.BadZipFile, ValueError, TypeError, IndexError, MemoryError) as error:
        raise InvalidModel("the test rows are no rows of numbers") from error
    if row.size != features or not np.isfinite(row).all():
        raise InvalidModel(f"the test rows do not hold {features} features each")
    found: list[float] = row.tolist()
    return found
