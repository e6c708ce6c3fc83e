"""What the network is given of a shared model: each product as a model of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nesa.models.card import Feature, Fidelity, TensorCard
from nesa.models.folder import INDEX, CompiledModel, assemble, save
from nesa.models.index import word
from nesa.models.measuring import fidelity
from nesa.models.reference import run
from nesa.models.samples import LabelledRows
from nesa.privacy.shared.plan import Plan
from nesa.privacy.shared.products import Product
from nesa.protocol.errors import InvalidInput

TEST_ROWS = 2
"""Drawn shares that a folder holds to test a machine with."""


def product_models(plan: Plan, public: CompiledModel) -> Iterator[CompiledModel]:
    """One model of one shard for every product, in the order of their numbers.

    Its input are the digits of a share, its output their sums. Both groups serve the same model:
    an operator holds one seat in it, so two committees of one draw have no operator in common.

    Raises:
        InvalidInput: the plan is that of another model.
    """
    if plan.table.operators_root != public.operators_root:
        raise InvalidInput(f"the plan is not that of {public.name}")
    for number, product in enumerate(plan.products):
        yield _model(product, number, len(plan.products), public)


def write_products(plan: Plan, public: CompiledModel, output: Path) -> tuple[Path, ...]:
    """Writes the products to folders below `output`, named so that they sort by their numbers.

    Raises:
        InvalidInput: as `product_models`.
        InvalidConfiguration: a folder is there already or cannot be written.
    """
    paths = []
    for number, model in enumerate(product_models(plan, public)):
        paths.append(output / f"{number:02d}")
        save(model, paths[-1])
    return tuple(paths)


def written_products(output: Path) -> tuple[Path, ...]:
    """The folders that `write_products` wrote.

    Raises:
        InvalidInput: there is none, or one is missing.
    """
    found = sorted(path.parent for path in output.glob(f"[0-9][0-9]/{INDEX}"))
    if not found or [path.name for path in found] != [f"{one:02d}" for one in range(len(found))]:
        raise InvalidInput(f"{output} is no folder of `nesa model share`; write it anew")
    return tuple(found)


def _model(product: Product, number: int, count: int, public: CompiledModel) -> CompiledModel:
    rows = _rows(product, number)
    card = TensorCard(
        task="regression",
        name=f"{public.name[:50]}-shared-{number}",
        title=f"Product {number + 1} of {count} of {public.card.title}, on shares",
        description=(
            "A linear layer over the digits of one share of its input. Inputs are uniformly "
            "random and say nothing without the other group's share."
        ),
        data=public.card.data,
        licence=public.card.licence,
        features=(Feature(name="digit", unit="digits of a share", offset=0.0, step=1.0),),
        input_type=word(product.input_edge.pack()),
        output_type=word(product.output_edge.pack()),
        output_scale=1.0,
        fidelity=Fidelity(test_rows=0, mean_cosine=0.0, lowest_cosine=0.0, relative_error=0.0),
    )
    answers = [label.astype(np.int64) for label in rows.labels]
    measured = card.model_copy(update={"fidelity": fidelity(card, answers, rows)})
    return assemble(product.table, measured, rows)


def _rows(product: Product, number: int) -> LabelledRows:
    """Drawn shares and their sums, which are whole numbers in the float model as well."""
    edge = product.input_edge
    drawn = np.random.default_rng(number).integers(0, edge.high + 1, (TEST_ROWS, *edge.shape))
    inputs = drawn.astype(edge.dtype.numpy)
    sums = [run(product.table, (edge.encode(row),))[0] for row in inputs]
    labels = np.stack([product.output_edge.decode(one) for one in sums]).astype(np.float32)
    return LabelledRows(inputs, labels, inputs)
