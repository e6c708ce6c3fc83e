"""The file `manifest.json` of a cut: its shards, their digests, and who makes which tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from nesa.models.canonical import canonical_json
from nesa.models.card import Part
from nesa.models.index import Word
from nesa.models.onnx_graphs.weights import stays_inside
from nesa.models.validation import first_problem
from nesa.protocol.digests import merkle_root
from nesa.protocol.errors import IntegrityError, InvalidModel

MANIFEST: Final = "manifest.json"

Count = Annotated[int, Field(ge=0, lt=2**63)]


class TensorEntry(Part):
    """A tensor at an edge of a shard; `maker` is the shard that makes it, null the model's caller.

    `type` and `shape` are null where nothing is known of them; a named dimension is its name.
    """

    name: str
    type: str | None
    shape: tuple[int | str | None, ...] | None
    maker: Count | None


class WeightEntry(Part):
    """A byte range of a shard's file of weights, and where the same bytes lie in the model's files.

    `source` is a path in the folder of the model. `digest` is the SHA-256 of the bytes.
    """

    digest: Word
    offset: Count
    nbytes: Count
    source: str
    source_offset: Count


class ShardEntry(Part):
    """A shard. `digest` is the Merkle root over `file_digest` and the digests of the weights."""

    digest: Word
    file_digest: Word
    nodes: Count
    weight_bytes: Count
    weights: tuple[WeightEntry, ...]
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]


class Manifest(Part):
    """The whole file; the shards are in the order in which they run.

    `optimisation` is the level at which ONNX Runtime gives the same bytes as for the whole model.
    """

    format: Literal["onnx-cut-v1"]
    optimisation: Literal["ORT_DISABLE_ALL"]
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    shards: tuple[ShardEntry, ...]

    def encode(self) -> bytes:
        """Canonical bytes of the file."""
        return canonical_json(self.model_dump(mode="json"))


def onnx_path(shard: int) -> str:
    """Path of a shard's ONNX file inside the folder of a cut."""
    return f"shards/{shard}.onnx"


def weights_path(shard: int) -> str:
    """Path of a shard's weights inside the folder of a cut."""
    return f"shards/{shard}.weights"


def shard_digest(file_digest: str, weights: tuple[WeightEntry, ...]) -> str:
    """What names a shard: its ONNX file, which says where each weight lies, and all weights."""
    words = [file_digest, *(weight.digest for weight in weights)]
    return f"0x{merkle_root([bytes.fromhex(word[2:]) for word in words]).hex()}"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in the folder of a cut, consistent in itself; no other file is read.

    Raises:
        InvalidModel: it is missing, breaks the format, places weights where they cannot be, or has
            a shard read what nobody made before.
        IntegrityError: a shard's digest is not that of its parts.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise InvalidModel(f"{folder / MANIFEST} cannot be read") from error
    except ValidationError as error:
        place, problem = first_problem(error, "the file")
        raise InvalidModel(f"{MANIFEST}: {place}: {problem}") from error
    for number, shard in enumerate(manifest.shards):
        if shard.digest != shard_digest(shard.file_digest, shard.weights):
            raise IntegrityError(f"the digest of shard {number} is not that of its parts")
        _check_weights(number, shard)
    _check_makers(manifest)
    return manifest


def _check_weights(number: int, shard: ShardEntry) -> None:
    end = 0
    for weight in shard.weights:
        if weight.offset < end or not stays_inside(weight.source):
            raise InvalidModel(f"{MANIFEST}: the weights of shard {number} overlap or lie outside")
        end = weight.offset + weight.nbytes
    if end != shard.weight_bytes:
        raise InvalidModel(f"{MANIFEST}: the weights of shard {number} have another size")


def _check_makers(manifest: Manifest) -> None:
    makers: dict[str, int | None] = {entry.name: None for entry in manifest.inputs}
    for number, shard in enumerate(manifest.shards):
        _check_entries(shard.inputs, makers)
        for entry in shard.outputs:
            if entry.name in makers or entry.maker != number:
                raise InvalidModel(f"{MANIFEST}: {entry.name!r} has two makers")
            makers[entry.name] = number
    _check_entries(manifest.outputs, makers)


def _check_entries(entries: tuple[TensorEntry, ...], makers: dict[str, int | None]) -> None:
    for entry in entries:
        if entry.name not in makers or entry.maker != makers[entry.name]:
            raise InvalidModel(f"{MANIFEST}: {entry.name!r} is read before anybody made it")
