"""What `ape run deploy` is told, read before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from eth_utils.address import (
    is_checksum_address,
    is_checksum_formatted_address,
    is_hex_address,
    to_checksum_address,
)

from nesa.chain.deployment import deployment_path
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address


class AddressType(click.ParamType):
    """An option that is an account; a wrong one is refused by the option's name."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """The checksummed address in `value`."""
        if not is_hex_address(value):
            self.fail(f"{value} is no account; give 0x and 40 hexadecimal digits", param, ctx)
        if is_checksum_formatted_address(value) and not is_checksum_address(value):
            self.fail(f"{value} is mistyped: its capitals do not fit its digits", param, ctx)
        if int(value, 16) == 0:
            self.fail("nobody has the key of the zero address", param, ctx)
        return Address(to_checksum_address(value))


def free_path(folder: Path, chain_id: int, *, replace: bool) -> Path:
    """Where the deployment on `chain_id` will be written; the folder is made.

    Raises:
        InvalidConfiguration: a deployment is there and `replace` is not set, or the folder cannot
            be written to.
    """
    path = deployment_path(folder, chain_id)
    if path.exists() and not replace:
        raise InvalidConfiguration(
            f"{path} already says where contracts on chain {chain_id} are; keep it elsewhere, "
            "or let a new set of contracts take its place with --replace"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfiguration(f"cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InvalidConfiguration(f"cannot write to the folder {folder}")
    return path
