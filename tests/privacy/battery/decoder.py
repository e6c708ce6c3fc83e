"""A small decoder as a float graph with made-up weights, and requests to it in a made-up language.

RMSNorm takes rotations, so that a key of the product turns its stream.
"""

from __future__ import annotations

import numpy as np

from nesa.privacy.battery.compiled import Text
from nesa.privacy.battery.float_graphs import FloatSubject
from nesa.privacy.battery.views import Items, Secret
from tests.privacy.equivariant.float_graphs import LENGTH, WORDS, llama

REQUESTS = 240


def decoder_subject(secret: Secret) -> FloatSubject:
    """The decoder, and the attacker's own text."""
    return FloatSubject(llama(np.float32), Text(secret.items, _sentences(3)), causal=True)


def decoder_requests() -> Secret:
    """Requests [REQUESTS, LENGTH], of which every other pair begins with the same three words."""
    items, draws = _sentences(11), np.random.default_rng(5)
    linked = draws.random(REQUESTS // 2) < 0.5
    items[1::2, :3] = np.where(linked[:, None], items[0::2, :3], items[1::2, :3])
    return Secret(items, 3)


def _sentences(seed: int) -> Items:
    """A few words are frequent."""
    shares = 1 / np.arange(1, WORDS + 1)
    draws = np.random.default_rng(seed)
    return draws.choice(WORDS, (REQUESTS, LENGTH), p=shares / shares.sum())
