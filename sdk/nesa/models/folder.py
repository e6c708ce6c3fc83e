"""A compiled model as a folder of files, every one of them named by its digest.

model.json               operators without constants, card, shards, digests of all other files
test.npz                 quantised test rows, their labels and their real-valued features
parameters/<i>.bin       constants of the rows of shard i, one behind the other, if it has any
known_answers/<i>.json   inputs of shard i and the digests that must come out
shards/<i>.onnx          shard i for ONNX Runtime
shards/<i>.circuit.onnx  shard i for ezkl, where it can be proved
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nesa.models.answers import answers_path, read_answers
from nesa.models.card import AnyCard, ClassifierCard
from nesa.models.check import check_table
from nesa.models.graph import FORMAT, Table
from nesa.models.index import (
    Index,
    ShardEntry,
    constants,
    constants_path,
    decode_index,
    read_table,
    row_entries,
    unword,
    word,
)
from nesa.models.lowering import circuit_model, circuit_needs, runtime_model
from nesa.models.runtime import KnownAnswer
from nesa.models.samples import (
    LabelledRows,
    pack_answers,
    pack_rows,
    probes,
    unpack_rows,
)
from nesa.protocol.digests import bytes_root
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import ZERO_DIGEST, Digest, VersionRoot
from nesa.protocol.versions import ShardFacts, version_root

__all__ = [
    "INDEX",
    "TEST",
    "CompiledModel",
    "LabelledRows",
    "assemble",
    "circuit_path",
    "load",
    "save",
    "shard_path",
    "with_circuits",
]

INDEX: Final = "model.json"
TEST: Final = "test.npz"

NO_CIRCUIT: Final = (ZERO_DIGEST, ZERO_DIGEST)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledModel:
    """A model that has passed every check of its folder."""

    table: Table
    card: AnyCard
    shards: tuple[ShardFacts, ...]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Name of the model and of its folder."""
        return self.card.name

    @property
    def classifier(self) -> ClassifierCard:
        """The card of a model that answers with labels.

        Raises:
            InvalidModel: it answers with a tensor.
        """
        if not isinstance(self.card, ClassifierCard):
            raise InvalidModel(f"{self.name} answers with a tensor and names no labels")
        return self.card

    @property
    def operators_root(self) -> Digest:
        """Merkle root of the operator table."""
        return self.table.operators_root

    @property
    def metadata_digest(self) -> Digest:
        """Digest of the model card."""
        return self.card.digest

    @property
    def root(self) -> VersionRoot:
        """Commitment to the whole version."""
        return version_root(self.operators_root, self.shards, self.metadata_digest)

    @property
    def input_edge(self) -> EdgeType:
        """Type of the model's input."""
        return self.table.inputs[0]

    @property
    def output_edge(self) -> EdgeType:
        """Type of the model's output."""
        return self.table.type_of(self.table.outputs[0])

    def shard_file(self, shard: int) -> bytes:
        """ONNX file of a shard for ONNX Runtime."""
        return self.files[shard_path(shard)]

    def circuit_file(self, shard: int) -> bytes | None:
        """ONNX file of a shard for ezkl; None where the shard cannot be proved."""
        return self.files.get(circuit_path(shard))

    def known_answers(self, shard: int) -> tuple[KnownAnswer, ...]:
        """Inputs of a shard with the digests that must come out."""
        return read_answers(self.files[answers_path(shard)], shard)

    def test_rows(self) -> LabelledRows:
        """The rows that the accuracies were measured on.

        Raises:
            InvalidModel: `test.npz` does not hold them.
        """
        return unpack_rows(self.files[TEST])


def shard_path(shard: int) -> str:
    """Path of a shard's ONNX file inside the folder."""
    return f"shards/{shard}.onnx"


def circuit_path(shard: int) -> str:
    """Path of a shard's ONNX file for ezkl inside the folder."""
    return f"shards/{shard}.circuit.onnx"


def load(path: Path, expected: bytes | None = None) -> CompiledModel:
    """The compiled model in a folder, after every digest in it has been compared.

    `expected` is the version root that the model must have, when one is known.

    Raises:
        IntegrityError: a file, constant, card or root does not match its digest.
        InvalidModel: the folder does not hold a model that keeps the rules of `int-v1`.
    """
    index = decode_index(_read(path, INDEX))
    files = {name: _checked(path, name, root) for name, root in index.files.items()}
    model = _model(index, files)
    _compare("operators_root", index.operators_root, model.operators_root)
    _compare("metadata_digest", index.metadata_digest, model.metadata_digest)
    _compare("root", index.root, model.root)
    if expected is not None and model.root != expected:
        raise IntegrityError(f"{model.name} is not the version 0x{expected.hex()}")
    check_table(model.table)
    _check_card(model)
    return model


def assemble(table: Table, card: AnyCard, rows: LabelledRows) -> CompiledModel:
    """Everything that a folder holds, made from the table; no shard has a circuit yet.

    A model under a user's key never gets one: circuits are set up once for everybody.

    Raises:
        InvalidModel: the table breaks a rule, or the card does not describe it.
    """
    check_table(table)
    files = {TEST: pack_rows(rows)}
    answers = pack_answers(table, probes(table, rows))
    for number, shard in enumerate(table.shards):
        files[answers_path(number)] = answers[number]
        if data := constants(table, shard):
            files[constants_path(number)] = data
        files[shard_path(number)] = runtime_model(table, shard)
        if card.equivariance is None and not circuit_needs(table, shard).obstacles:
            ends = card.circuits.ends(number, len(table.shards))
            files[circuit_path(number)] = circuit_model(table, shard, ends)
    model = CompiledModel(
        table, card, _facts(table, files, [NO_CIRCUIT] * len(table.shards)), files
    )
    _check_card(model)
    return model


def with_circuits(
    model: CompiledModel, circuits: Sequence[tuple[Digest, Digest]], card: AnyCard
) -> CompiledModel:
    """The model with a (circuit digest, verifier code hash) for each shard and a new card.

    Its version root changes with them; a shard without a circuit has two zero digests.
    """
    return replace(model, card=card, shards=_facts(model.table, model.files, circuits))


def save(model: CompiledModel, path: Path) -> None:
    """Writes the folder; files that it does not name are left alone."""
    for name, data in model.files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (path / INDEX).write_bytes(_index(model).encode())


def _index(model: CompiledModel) -> Index:
    table = model.table
    return Index(
        format=FORMAT,
        root=word(model.root),
        operators_root=word(model.operators_root),
        metadata_digest=word(model.metadata_digest),
        card=model.card,
        inputs=tuple(word(edge.pack()) for edge in table.inputs),
        rows=row_entries(table),
        outputs=table.outputs,
        cuts=table.cuts,
        shards=tuple(
            ShardEntry(
                circuit_digest=word(facts.circuit_digest),
                verifier_code_hash=word(facts.verifier_code_hash),
            )
            for facts in model.shards
        ),
        files={name: word(bytes_root(data)) for name, data in model.files.items()},
    )


def _model(index: Index, files: Mapping[str, bytes]) -> CompiledModel:
    shards = range(len(index.shards))
    if missing := {TEST, *map(answers_path, shards)} - files.keys():
        raise InvalidModel(f"model.json does not name {', '.join(sorted(missing))}")
    table = read_table(index, [files.get(constants_path(shard), b"") for shard in shards])
    circuits = [
        (Digest(unword(entry.circuit_digest)), Digest(unword(entry.verifier_code_hash)))
        for entry in index.shards
    ]
    return CompiledModel(table, index.card, _facts(table, files, circuits), files)


def _facts(
    table: Table, files: Mapping[str, bytes], circuits: Sequence[tuple[Digest, Digest]]
) -> tuple[ShardFacts, ...]:
    missing = [i for i in range(len(table.shards)) if shard_path(i) not in files]
    if missing:
        raise InvalidModel(f"the file {shard_path(missing[0])} is not there")
    numbered = enumerate(zip(table.shards, circuits, strict=True))
    return tuple(
        ShardFacts(
            table.types_of(shard.inputs),
            table.types_of(shard.outputs),
            bytes_root(files[shard_path(number)]),
            circuit_digest,
            code_hash,
        )
        for number, (shard, (circuit_digest, code_hash)) in numbered
    )


def _check_card(model: CompiledModel) -> None:
    card, table = model.card, model.table
    if len(table.inputs) != 1 or len(table.outputs) != 1:
        raise InvalidModel("a model has one input and one output")
    if (card.input_edge, card.output_edge) != (model.input_edge, model.output_edge):
        raise InvalidModel("the card gives other types than the table")
    if len(card.element_features) != model.input_edge.elements:
        raise InvalidModel(f"the card names {len(card.features)} features")
    if isinstance(card, ClassifierCard):
        edge = model.output_edge
        if len(card.labels) != (edge.elements if edge.elements > 1 else edge.high + 1):
            raise InvalidModel(f"the card names {len(card.labels)} labels")
    for number in range(len(table.shards)):
        model.known_answers(number)


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        what = f"{path} holds no compiled model: " if name == INDEX else ""
        raise InvalidModel(f"{what}{path / name} cannot be read") from error


def _checked(path: Path, name: str, root: str) -> bytes:
    data = _read(path, name)
    if not data or word(bytes_root(data)) != root:
        raise IntegrityError(f"{name} does not match its digest in {INDEX}")
    return data


def _compare(what: str, stated: str, found: bytes) -> None:
    if word(found) != stated:
        raise IntegrityError(f"the {what} in {INDEX} does not match its contents")
