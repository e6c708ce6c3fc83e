"""What a model folder keeps to test a machine with: labelled rows and known answers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.canonical import canonical_json
from nesa.models.graph import Table
from nesa.models.index import word
from nesa.models.reference import run_shard
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidModel

KNOWN_ANSWERS: Final = 4
"""Test rows that become known answers, beside the two ends of the input's range."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """Test rows: quantised inputs [n, ..], labels, and the features [n, ..] they came from.

    Labels are the numbers of a classifier's right answers [n], or tensors of the float model
    [n, ..].
    """

    inputs: NDArray[np.generic]
    labels: NDArray[np.generic]
    features: NDArray[np.generic]


def probes(table: Table, rows: LabelledRows) -> list[bytes]:
    """The two ends of the input's range and the first test rows, as canonical bytes."""
    edge = table.inputs[0]
    ends = [edge.encode(np.full(edge.shape, end)) for end in (edge.low, edge.high)]
    return ends + [edge.encode(row.reshape(edge.shape)) for row in rows.inputs[:KNOWN_ANSWERS]]


def pack_answers(table: Table, inputs: Sequence[bytes]) -> list[bytes]:
    """Known answers of each shard for these inputs of the model, as canonical JSON."""
    files: list[bytes] = []
    tensors: list[tuple[bytes, ...]] = [(data,) for data in inputs]
    for shard in table.shards:
        edges = table.types_of(shard.outputs)
        outputs = [run_shard(table, shard, operands) for operands in tensors]
        digests = [word(boundary_digest(edges, output)) for output in outputs]
        pairs = zip(tensors, digests, strict=True)
        answers = [_answer(operands, digest) for operands, digest in pairs]
        files.append(canonical_json({"answers": answers}) + b"\n")
        tensors = outputs
    return files


def _answer(inputs: Sequence[bytes], digest: str) -> dict[str, object]:
    return {"inputs": [tensor.hex() for tensor in inputs], "output_digest": digest}


def pack_rows(rows: LabelledRows) -> bytes:
    """Labelled rows as a compressed NumPy archive."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, inputs=rows.inputs, labels=rows.labels, features=rows.features)
    return buffer.getvalue()


def unpack_rows(data: bytes) -> LabelledRows:
    """Labelled rows from the bytes of a NumPy archive.

    Raises:
        InvalidModel: `data` does not hold them.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return LabelledRows(arrays["inputs"], arrays["labels"], arrays["features"])
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidModel("test.npz does not hold inputs, labels and features") from error
