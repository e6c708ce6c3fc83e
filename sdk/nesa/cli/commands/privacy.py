"""`nesa privacy`"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nesa.cli.commands.privacy_audit import audit
from nesa.cli.commands.split_training import serve_split, train_split
from nesa.cli.option_groups import Command
from nesa.cli.output import json_option, show
from nesa.cli.user_keys import FILE, password_option, read_password
from nesa.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

MODEL: Final = click.Path(path_type=Path, exists=True)

LIMITS: Final = (
    "who has the plain model can work the key out of the transformed one; see docs/equivariant.md"
)


@click.group(
    epilog="Example: nesa privacy key models/net --output net.key --ee-password-file password"
)
def privacy() -> None:
    """Put models under a key, train them with others, and see what each mode leaves to see."""


for command in (audit, serve_split, train_split):
    privacy.add_command(command)


@privacy.command(
    epilog="Example: nesa privacy key models/net --output net.key --ee-password-file password"
)
@click.argument("model", type=MODEL)
@click.option("--output", type=FILE, required=True, help="File of the new key.")
@password_option
@json_option
def key(model: Path, output: Path, ee_password_file: Path | None, as_json: bool) -> None:
    """Make a key for MODEL, the folder of a compiled model or an ONNX file.

    Whoever has the file and its password can ask the model that is under the key and read its
    answers. Keep both; nobody else has them.
    """
    from nesa.cli import transforming
    from nesa.privacy.equivariant.user_keys import save_user_key

    password = read_password(ee_password_file)
    held = transforming.new_key(model)
    save_user_key(output, held, password)
    show({"key": output, **_facts(held)}, as_json=as_json)


@privacy.command(epilog="Example: nesa privacy rotate net.key --output net.1.key")
@click.argument("key", type=FILE)
@click.option("--output", type=FILE, required=True, help="File of the key of the next epoch.")
@password_option
@json_option
def rotate(key: Path, output: Path, ee_password_file: Path | None, as_json: bool) -> None:
    """Write the key of the epoch after that of KEY, with the same password.

    Transform and register the model anew with it, and retire the old version: what was seen under
    one epoch's key helps nobody under the next. The secret stays the same; where it may be known
    to others, make a new key instead.
    """
    from nesa.privacy.equivariant.user_keys import load_user_key, save_user_key

    password = read_password(ee_password_file)
    held = load_user_key(key, password).rotated()
    save_user_key(output, held, password)
    show({"key": output, **_facts(held)}, as_json=as_json)


@privacy.command(
    epilog="Example: nesa privacy transform models/net --key net.key --output models/net-ee"
)
@click.argument("model", type=MODEL)
@click.option("--key", type=FILE, required=True, help="Key of this model.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the transformed model, or ONNX file.",
)
@password_option
@json_option
def transform(
    model: Path, key: Path, output: Path, ee_password_file: Path | None, as_json: bool
) -> None:
    """Write MODEL, the folder of a compiled model or an ONNX file, under a key.

    A compiled model becomes a model like any other: check it, register it, ask it with `nesa query
    --ee-key`. Its answers are exactly those of MODEL. It has no circuits, so that nothing of it is
    PROVED. A float model's answers are those of MODEL up to rounding; it runs wherever ONNX does,
    between `nesa privacy encode` and `nesa privacy decode`.
    """
    from nesa.cli import transforming
    from nesa.privacy.equivariant.user_keys import load_user_key

    if output.resolve() == model.resolve():
        raise InvalidInput("write the transformed model beside the plain one, not over it")
    held = load_user_key(key, read_password(ee_password_file))
    made = transforming.write_transformed(model, held, output)
    show({"output": output, **made, **_facts(held)}, as_json=as_json)


def _tensor_options(command: Command) -> Command:
    output = click.option("--output", type=FILE, required=True, help="npz file to write.")
    named = click.option("--key", type=FILE, required=True, help="Key of the model.")
    given = click.argument("tensors", type=click.Path(path_type=Path, exists=True, dir_okay=False))
    return given(named(output(password_option(json_option(command)))))


@privacy.command(epilog="Example: nesa privacy encode in.npz --key net.key --output sent.npz")
@_tensor_options
def encode(
    tensors: Path, key: Path, output: Path, ee_password_file: Path | None, as_json: bool
) -> None:
    """Encode the arrays in the npz file TENSORS, the model's inputs in their order."""
    from nesa.cli.transforming import encoded

    _write(encoded, tensors, (key, ee_password_file), output, as_json)


@privacy.command(epilog="Example: nesa privacy decode got.npz --key net.key --output out.npz")
@_tensor_options
def decode(
    tensors: Path, key: Path, output: Path, ee_password_file: Path | None, as_json: bool
) -> None:
    """Decode the arrays in the npz file TENSORS, the model's outputs in their order."""
    from nesa.cli.transforming import decoded

    _write(decoded, tensors, (key, ee_password_file), output, as_json)


def _write(
    changed: Callable[[UserKey, Path], list[Any]],
    tensors: Path,
    opened_by: tuple[Path, Path | None],
    output: Path,
    as_json: bool,
) -> None:
    """Arrays as they are under a key, or as they come out of it; the key by file and password."""
    from nesa.cli.transforming import write_arrays
    from nesa.privacy.equivariant.user_keys import load_user_key

    key, password_file = opened_by
    held = load_user_key(key, read_password(password_file))
    write_arrays(output, changed(held, tensors))
    show({"output": output}, as_json=as_json)


def _facts(held: UserKey) -> dict[str, Any]:
    """What a key is for, and what it hides."""
    from nesa.privacy.equivariant.reports import hidden_words

    mark = held.mark
    return {
        "plain_version": mark.plain_version,
        "epoch": mark.epoch,
        "fingerprint": mark.key,
        "input": "; ".join(map(hidden_words, held.frames.inputs)),
        "answer": "; ".join(map(hidden_words, held.frames.outputs)),
        "limits": LIMITS,
    }
