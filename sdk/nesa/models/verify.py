"""Whether a folder holds what its table says: everything that can be made again is made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nesa.models.folder import CompiledModel, assemble, load
from nesa.models.measuring import check_measured
from nesa.models.runtime import ShardRunner, run_all
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
    check_runs(model)
    return model


def check_runs(model: CompiledModel) -> None:
    """Run every shard of the model: its known answers, and all test rows from end to end.

    Raises:
        IntegrityError: this machine computes something else than the model or its card says.
        InvalidModel: the test rows are none.
    """
    runners = [ShardRunner(model.shard_file(i), facts) for i, facts in enumerate(model.shards)]
    for number, runner in enumerate(runners):
        runner.self_test(model.known_answers(number))
    rows = model.test_rows()
    if not len(rows.inputs) == len(rows.labels) == len(rows.features):
        raise InvalidModel("test.npz holds unequal numbers of inputs, labels and features")
    tensors = (run_all(runners, (model.input_edge.encode(row),)) for row in rows.inputs)
    answers = [model.output_edge.decode(output).astype(np.int64) for (output,) in tensors]
    check_measured(model.card, answers, rows)
