"""Options that say where members read an input that is too long for the chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from nesa.cli.option_groups import Command, grouped
from nesa.client.publishing import (
    ContentServer,
    FolderPublisher,
    Publisher,
    UploadPublisher,
)
from nesa.protocol.errors import InvalidInput

MOST_PORT: Final = 65535


class ListenAddress(click.ParamType):
    """HOST:PORT."""

    name = "host:port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Host and port; anything else is wrong usage."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > MOST_PORT:
            self.fail(f"{value!r} is not HOST:PORT, e.g. 0.0.0.0:8800", param, ctx)
        return host.strip("[]"), int(port)


def choose_publisher(
    serve: tuple[str, int] | None, url: str | None, folder: Path | None
) -> Publisher | None:
    """Where long inputs go; None where nothing was said.

    Raises:
        InvalidInput: the options do not go together.
    """
    if serve is not None:
        if folder is not None:
            raise InvalidInput("--serve serves by itself; leave out --content-folder")
        return ContentServer(*serve, url)
    if folder is None:
        return None if url is None else UploadPublisher(url)
    if url is None:
        raise InvalidInput("--content-folder needs --content-url, the URL that it is published at")
    return FolderPublisher(folder, url)


def publishing_options(command: Command) -> Command:
    """Options that say where long inputs go; the command receives `publisher`."""

    def call(
        serve: tuple[str, int] | None,
        content_url: str | None,
        content_folder: Path | None,
        **others: Any,
    ) -> Any:
        return command(publisher=choose_publisher(serve, content_url, content_folder), **others)

    return grouped(command, call, _OPTIONS)


_OPTIONS: Final = (
    click.option(
        "--serve",
        type=ListenAddress(),
        help="Serve a long input here while the command waits; members have to reach it, at "
        "--content-url where that is another address.",
    ),
    click.option(
        "--content-url",
        help="Where members read a long input: a store that takes HTTP PUT, or the URL of "
        "--content-folder or --serve.",
    ),
    click.option(
        "--content-folder",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="Folder that a web server publishes at --content-url; the input stays in it.",
    ),
)
