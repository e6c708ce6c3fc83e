"""Reads files that somebody was given: quotes, collateral, evidence."""

from __future__ import annotations

from pathlib import Path

from nesa.protocol.errors import InvalidConfiguration


def read_bounded(path: Path, most: int) -> bytes:
    """A file of at most so many bytes.

    Raises:
        InvalidConfiguration: it cannot be read, or is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InvalidConfiguration(f"cannot read {path}: {error.strerror}") from error
    if len(data) > most:
        raise InvalidConfiguration(f"{path} has more than {most:,} bytes; it is another file")
    return data
