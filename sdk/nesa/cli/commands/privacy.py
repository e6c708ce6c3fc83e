"""`nesa privacy`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nesa.cli.output import json_option, show
from nesa.cli.user_keys import FILE, password_option, read_password
from nesa.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

FOLDER: Final = click.Path(path_type=Path, file_okay=False)

LIMITS: Final = (
    "who has the plain model can work the key out of the transformed one; see docs/privacy.md"
)


@click.group(
    epilog="Example: nesa privacy key models/net --output net.key --ee-password-file password"
)
def privacy() -> None:
    """Put models under a key of your own, so that the network sees them in another order."""


@privacy.command(
    epilog="Example: nesa privacy key models/net --output net.key --ee-password-file password"
)
@click.argument("model", type=FOLDER)
@click.option("--output", type=FILE, required=True, help="File of the new key.")
@password_option
@json_option
def key(model: Path, output: Path, ee_password_file: Path | None, as_json: bool) -> None:
    """Make a key for the compiled model in the folder MODEL.

    Whoever has the file and its password can ask the model that is under the key and read its
    answers. Keep both; nobody else has them.
    """
    from nesa.models.folder import load
    from nesa.privacy.equivariant.user_keys import UserKey, save_user_key

    password = read_password(ee_password_file)
    held = UserKey.generate(load(model))
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
@click.argument("model", type=FOLDER)
@click.option("--key", type=FILE, required=True, help="Key of this model.")
@click.option("--output", type=FOLDER, required=True, help="Folder of the transformed model.")
@password_option
@json_option
def transform(
    model: Path, key: Path, output: Path, ee_password_file: Path | None, as_json: bool
) -> None:
    """Write the compiled model in the folder MODEL under a key.

    The result is a model like any other: check it, register it, ask it with `nesa query --ee-key`.
    Its answers are exactly those of MODEL. It has no circuits, so that nothing of it is PROVED.
    """
    from nesa.models.folder import load, save
    from nesa.privacy.equivariant.folders import transformed_model
    from nesa.privacy.equivariant.user_keys import load_user_key

    if output.resolve() == model.resolve():
        raise InvalidInput("write the transformed model to another folder than the plain one's")
    held = load_user_key(key, read_password(ee_password_file))
    made = transformed_model(load(model), held)
    save(made, output)
    facts = {"folder": output, "name": made.name, "root": f"0x{made.root.hex()}"}
    show({**facts, "shards": len(made.shards), **_facts(held)}, as_json=as_json)


def _facts(held: UserKey) -> dict[str, Any]:
    """What a key is for, and what it hides."""
    from nesa.privacy.equivariant.reports import hidden_words

    mark = held.mark
    return {
        "plain_version": mark.plain_version,
        "epoch": mark.epoch,
        "fingerprint": mark.key,
        "input": hidden_words(held.frames.inputs[0]),
        "answer": hidden_words(held.frames.outputs[0]),
        "limits": LIMITS,
    }
