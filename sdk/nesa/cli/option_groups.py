"""Options that several commands share, handed over as one argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Any], Any]
"""What `click.option` returns."""


def grouped(command: Command, call: Callable[..., Any], options: Sequence[Option]) -> Command:
    """`call` with `options`, named, explained and otherwise optioned as the `command` that it calls
    with what they say."""
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        call = option(call)
    return call  # type: ignore[return-value]
