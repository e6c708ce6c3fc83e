"""`nesa model release-keys`, and the secret that private models are published under."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesa.chain.keystore import read_password
from nesa.chain.sender import forget
from nesa.cli.interruption import run_until_told
from nesa.cli.output import json_option, show
from nesa.cli.session import Target, network_options
from nesa.cli.text import printable
from nesa.client.cards import choose
from nesa.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from nesa.client.client import Client
    from nesa.client.key_release.record import ReleaseRecord
    from nesa.client.key_release.service import KeyReleaseService
    from nesa.models.publish import Encryption
    from nesa.privacy.model_secrets import ModelSecret

PASSWORD_VARIABLE: Final = "NESA_SECRET_PASSWORD"
"""Holds the password of the secret's file; with `_FILE` behind it, the path of a file that does."""

DEFAULT_PORT: Final = 8711
SECRET: Final = click.Path(path_type=Path, dir_okay=False)


def encryption_of(secret: Path | None, url: str | None) -> Encryption:
    """How `nesa model register --private` publishes; a secret that is not there is made.

    Raises:
        InvalidInput: secret or URL is not given, or the URL is none.
        InvalidConfiguration: no password, or the file cannot be used.
    """
    from nesa.client.key_release.encrypting import encryption_under
    from nesa.privacy.model_secrets import load_model_secret, new_secret, save_model_secret

    if secret is None or url is None:
        raise InvalidInput(
            "--private needs --secret FILE, which is made when there is none, and --release-url "
            "URL, at which `nesa model release-keys` will answer operators"
        )
    password = read_password(PASSWORD_VARIABLE)
    if secret.exists():
        return encryption_under(load_model_secret(secret, password), url)
    made = new_secret()
    encryption = encryption_under(made, url)
    save_model_secret(secret, made, password)
    return encryption


@click.command(
    "release-keys",
    epilog="Example: NESA_SECRET_PASSWORD_FILE=password nesa model release-keys my-model "
    "--secret models.secret --host 0.0.0.0 --port 8711",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--secret", type=SECRET, required=True, help="What they were published under.")
@click.option("--record", type=SECRET, help="Who got which key; SECRET.released by default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True)
@network_options
@json_option
def release_keys(
    target: Target,
    names: tuple[str, ...],
    secret: Path,
    record: Path | None,
    host: str,
    port: int,
    as_json: bool,
) -> None:
    """Release the keys of private models NAME… to their operators, until Ctrl-C.

    An operator that the version admits is given the key of one shard, once and for good, sealed to
    its key on the chain. Keep the secret and the record: without the record an operator that left
    its seat could ask for another shard.
    """
    from nesa.privacy.model_secrets import load_model_secret

    opened = load_model_secret(secret, read_password(PASSWORD_VARIABLE))
    kept = record or secret.with_name(f"{secret.name}.released")
    run_until_told(_release(target, names, opened, kept, (host, port), as_json=as_json))


async def _release(
    target: Target,
    names: Sequence[str],
    secret: ModelSecret,
    record: Path,
    address: tuple[str, int],
    *,
    as_json: bool,
) -> None:
    from nesa.client.key_release.record import ReleaseRecord
    from nesa.client.key_release.server import serving

    def told(outcome: str, why: str) -> None:
        if as_json:
            show({"request": outcome, "why": why}, as_json=True)
        else:
            click.echo(f"{outcome} {printable(why)}".strip())

    async with target.client(forget) as client:
        opened = ReleaseRecord(record)
        try:
            service = await _service(client, names, secret, opened)
            async with serving(service.answer, told, *address) as url:
                released = [version.name for version in service.versions.values()]
                show({"url": url, "models": released, "record": record}, as_json=as_json)
                await asyncio.Event().wait()
        finally:
            opened.close()


async def _service(
    client: Client, names: Sequence[str], secret: ModelSecret, record: ReleaseRecord
) -> KeyReleaseService:
    from nesa.chain.history import find_versions
    from nesa.client.key_release.service import KeyReleaseService, private_versions, standing_on
    from nesa.privacy.envelopes import Deployment

    connection = client.connection
    registered = await find_versions(connection)
    chosen = [choose(name, registered, ()) for name in dict.fromkeys(names)]
    versions = await private_versions(connection, chosen, secret)
    on_chain = connection.deployment
    deployment = Deployment(on_chain.chain_id, on_chain.market)
    standing = standing_on(connection)
    return KeyReleaseService(secret, versions, deployment, standing, record, time.time)
