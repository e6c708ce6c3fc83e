"""Whether a folder holds what its table says: everything that can be made again is made again."""

from __future__ import annotations

from pathlib import Path

from nesa.models.folder import CompiledModel, assemble, load
from nesa.models.measuring import check_measured, integer_outputs
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
    rows = model.test_rows()
    if not len(rows.inputs) == len(rows.labels) == len(rows.features):
        raise InvalidModel("test.npz holds unequal numbers of inputs, labels and features")
    answers = integer_outputs(model.table, rows.inputs)
    check_measured(model.card, answers, rows)
    return model
