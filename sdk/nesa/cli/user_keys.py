"""How commands get the key of a model that is under one: its file, and the file of its password."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesa.cli.option_groups import Command
from nesa.protocol.errors import InvalidConfiguration

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

FILE: Final = click.Path(path_type=Path, dir_okay=False)
PASSWORD_VARIABLE: Final = "NESA_EE_PASSWORD_FILE"


def password_option(command: Command) -> Command:
    """Option that names the file with a key's password; the command gets `ee_password_file`."""
    return click.option(
        "--ee-password-file",
        type=FILE,
        envvar=PASSWORD_VARIABLE,
        help=f"File whose first line is the key's password; also {PASSWORD_VARIABLE}.",
    )(command)


def user_key_options(command: Command) -> Command:
    """Options that name the key of a model under one; the command gets `ee_key` beside."""
    option = click.option(
        "--ee-key",
        type=FILE,
        help="Key file of a model under your key, as `nesa privacy key` wrote it.",
    )
    return option(password_option(command))


def read_user_key(path: Path | None, password_file: Path | None) -> UserKey | None:
    """The key in a file; None without one.

    Raises:
        InvalidConfiguration: no password, a wrong one, or no key.
    """
    if path is None:
        return None
    from nesa.privacy.equivariant.user_keys import load_user_key

    return load_user_key(path, read_password(password_file))


def read_password(password_file: Path | None) -> str:
    """The password of a key.

    Raises:
        InvalidConfiguration: no file, or none that can be read.
    """
    from nesa.chain.keystore import read_password_file

    if password_file is None:
        raise InvalidConfiguration(
            "--ee-password-file must name a file whose first line is the key's password"
        )
    return read_password_file(password_file)
