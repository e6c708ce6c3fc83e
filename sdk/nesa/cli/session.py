"""How commands reach a network: the file that describes it, and a key to pay with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from nesa.chain.deployment import KeyFile
from nesa.chain.sender import OnIntent, forget
from nesa.cli.option_groups import Command, grouped
from nesa.client.client import Client
from nesa.client.publishing import Publisher
from nesa.protocol.errors import InvalidConfiguration

DEFAULT_FOLDER: Final = Path(".devnet")
DEFAULT_NETWORK: Final = DEFAULT_FOLDER / "network.json"

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Target:
    """Which network, and whose key when it is not the network's own client."""

    network: Path
    rpc_url: str | None
    keystore: Path | None
    password_file: Path | None

    def client(self, on_intent: OnIntent = forget, publisher: Publisher | None = None) -> Client:
        """A client that is not connected yet; `on_intent` is told of what it sends, `publisher` is
        where its long inputs go.

        Raises:
            InvalidConfiguration: no network file, or only one of a key and its password file.
        """
        key = self._key()
        return Client.connect(
            self.network, rpc_url=self.rpc_url, key=key, on_intent=on_intent, publisher=publisher
        )

    def _key(self) -> KeyFile | None:
        if self.keystore is None:
            if self.password_file is not None:
                raise InvalidConfiguration(
                    f"--password-file {self.password_file} needs --keystore, the key that it opens"
                )
            return None
        if self.password_file is None:
            raise InvalidConfiguration("--keystore needs --password-file, a file with its password")
        return KeyFile(keystore=self.keystore, password_file=self.password_file)


def network_options(command: Command) -> Command:
    """Options that say which network and which key; the command receives `target`."""

    def call(
        network: Path,
        rpc_url: str | None,
        keystore: Path | None,
        password_file: Path | None,
        **others: Any,
    ) -> Any:
        source = click.get_current_context().get_parameter_source("password_file")
        if keystore is None and source is ParameterSource.ENVIRONMENT:
            password_file = None  # the variable is also the miners', and says nothing by itself
        return command(target=Target(network, rpc_url, keystore, password_file), **others)

    return grouped(command, call, _OPTIONS)


_PATH: Final = click.Path(path_type=Path, dir_okay=False)
_OPTIONS: Final = (
    click.option(
        "--network",
        type=_PATH,
        default=DEFAULT_NETWORK,
        envvar="NESA_NETWORK",
        show_default=True,
        help="Network file of `nesa devnet up`, or a deployment file; also NESA_NETWORK.",
    ),
    click.option(
        "--rpc-url",
        envvar="NESA_RPC_URL",
        help="Node to ask; a deployment file needs it. Also NESA_RPC_URL.",
    ),
    click.option("--keystore", type=_PATH, envvar="NESA_KEYSTORE", help="Key to pay with."),
    click.option(
        "--password-file",
        type=_PATH,
        envvar="NESA_PASSWORD_FILE",
        help="File whose first line is the keystore's password.",
    ),
)


def connected(
    target: Target,
    work: Callable[[Client], Awaitable[_Result]],
    on_intent: OnIntent = forget,
    publisher: Publisher | None = None,
) -> _Result:
    """What `work` returns, run with a connected client, see `Target.client`."""

    async def run() -> _Result:
        async with target.client(on_intent, publisher) as client:
            return await work(client)

    return asyncio.run(run())
