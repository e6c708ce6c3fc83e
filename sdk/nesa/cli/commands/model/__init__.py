"""`nesa model`"""

from __future__ import annotations

import click

from nesa.cli.commands.model import compiling, cutting, offering, showing
from nesa.cli.commands.release_keys import release_keys


@click.group(epilog="Example: nesa model compile net.onnx data.npz words.json --output models/net")
def model() -> None:
    """Compile float models, cut and check them, register them, look at registered ones."""


for command in (
    compiling.compile,
    compiling.circuits,
    compiling.check,
    cutting.cut,
    cutting.split,
    cutting.plan,
    offering.share,
    offering.register_products,
    offering.register,
    offering.allow,
    offering.evict,
    offering.retire,
    showing.list_models,
    showing.show_model,
    release_keys,
):
    model.add_command(command)
