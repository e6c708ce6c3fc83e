"""Whether a folder holds what its table says: everything that can be made again is made again."""

from __future__ import annotations

from pathlib import Path

from nesa.models.folder import CompiledModel, assemble, load
from nesa.models.runtime import ShardRunner
from nesa.protocol.errors import IntegrityError, InvalidModel


def check_folder(path: Path) -> CompiledModel:
    """The model in a folder, after its files were made again and its accuracy measured again.

    Slower than `load`, which compares digests only: for developers before they register a model
    and for operators before they stake on one.

    Raises:
        IntegrityError: a file is not made from the table, a known answer comes out differently,
            or the card states another accuracy than the test rows give.
        InvalidModel: as `load`.
    """
    model = load(path)
    made = assemble(model.table, model.card, model.test_rows())
    for name in sorted(made.files.keys() - {"test.npz"}):
        if model.files.get(name) != made.files[name]:
            raise IntegrityError(f"{name} is not made from the table")
    runners = [ShardRunner(model.shard_file(i), facts) for i, facts in enumerate(model.shards)]
    for number, runner in enumerate(runners):
        runner.self_test(model.known_answers(number))
    _check_accuracy(model, runners)
    return model


def _check_accuracy(model: CompiledModel, runners: list[ShardRunner]) -> None:
    rows = model.test_rows()
    if not len(rows.inputs) == len(rows.labels) == len(rows.features):
        raise InvalidModel("test.npz holds unequal numbers of inputs, labels and features")
    right = 0
    for row, label in zip(rows.inputs, rows.labels, strict=True):
        tensors: tuple[bytes, ...] = (model.input_edge.encode(row),)
        for runner in runners:
            tensors = runner.run(tensors)
        right += model.card.interpret(model.output_edge.decode(tensors[0])).index == int(label)
    stated = model.card.accuracy
    if (stated.test_rows, stated.integer_model) != (len(rows.labels), right / len(rows.labels)):
        raise IntegrityError(f"the card states another accuracy than {right} of {len(rows.labels)}")
