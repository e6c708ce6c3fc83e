"""The client: connect, choose a model, ask, await, read."""

from __future__ import annotations

from nesa.client.parts.asking import Asking
from nesa.client.parts.models import Models
from nesa.client.parts.training import Training


class Client(Models, Asking, Training):
    """A person's or a program's door to Nesa; an async context manager. Make one with `connect`."""
